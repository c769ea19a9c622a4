/* SPDX-License-Identifier: MIT */
/* raw_name.h - from the name of an image file to names in the mount. */
#ifndef RAW_NAME_H
#define RAW_NAME_H

#include <stdbool.h>
#include <stddef.h>

enum { RAW_NAME_MAX = 255 }; /* bytes of a file name; the kernel's NAME_MAX */

/*
 * raw_name() - vm.qcow2 -> vm.raw
 *
 * Replaces an ending of image files by .raw: .qcow, .qcow2, .qcow3, .qc2, .cow, .img, in any
 * case.  Names of other endings get .raw appended.
 *
 * Return: a string to be freed, of at most RAW_NAME_MAX bytes; NULL: no memory.
 */
char *raw_name(const char *file);

/* Returns the full name plus .raw, for when the short one is taken: vm.qcow2 -> vm.qcow2.raw. */
char *raw_name_full(const char *file);

/*
 * raw_name_of_view() - the name of a virtual file beside an image
 * @shown:   name of the image in the mount; ends in .raw
 * @suffix:  of the virtual file, with its dot
 *
 * Return: @shown with @suffix in place of .raw, to be freed; NULL: no memory.
 */
char *raw_name_of_view(const char *shown, const char *suffix);

/*
 * raw_name_cut() - shorten a name that is too long
 * @name:  consumed; NULL stays NULL
 *
 * A name of more than @max bytes is cut, and ends in `%~` and 16 hex digits, which depend on
 * all of it.  A UTF-8 character is never cut in two.
 *
 * Return: the name, to be freed; NULL: no memory.
 */
char *raw_name_cut(char *name, size_t max);

#endif
