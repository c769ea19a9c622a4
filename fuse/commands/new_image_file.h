/* SPDX-License-Identifier: MIT */
/*
 * new_image_file.h - image files that a command makes: create, convert.
 */
#ifndef NEW_IMAGE_FILE_H
#define NEW_IMAGE_FILE_H

#include "cli/create_options.h"
#include "commands/common.h"

/*
 * new_image_file_look_at_base() - open the backing file of an image that does not exist yet
 * @path:  the image; a relative backing name is relative to its directory
 * @o:     names the backing file; a format that was not given is set, if the file is a QCOW image
 * @size:  out: of the backing file's disk, in bytes
 *
 * Return: COMMAND_OK; COMMAND_FAILED after a message
 */
int new_image_file_look_at_base(struct command *c, const char *path, struct qc_create_options *o,
				uint64_t *size);

/* Returns the path of a file that the image at @path names; to be freed.  NULL: no memory. */
char *new_image_file_base_path(const char *path, const char *name);

/*
 * new_image_file_create() - make an image file, its external data file, and preallocate
 *
 * An existing file is overwritten, unless another program uses it. A file that this function
 * made is removed if it fails.
 * Return: COMMAND_OK; COMMAND_FAILED after a message
 */
int new_image_file_create(struct command *c, const char *path, struct create_options *options);

#endif
