/* SPDX-License-Identifier: MIT */
/* new_name.h - from a name in the mount to the name of an image file. */
#ifndef NEW_NAME_H
#define NEW_NAME_H

/*
 * new_name_of_image() - vm.raw -> vm.qcow2
 * @shown:   name in the mount
 * @ending:  of the file, or ""
 * @file:    out: to be freed; a file that is shown as @shown
 *
 * Return: 0; -EPERM, after a message, there is no such file; -ENAMETOOLONG; -ENOMEM.
 */
int new_name_of_image(const char *shown, const char *ending, char **file);

/* Returns the part of an image file's name that raw_name() replaces, or "". */
const char *new_name_ending(const char *file);

#endif
