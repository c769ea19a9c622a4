/* SPDX-License-Identifier: MIT */
/* preallocation.h - allocate clusters of a disk before the user needs them. */
#ifndef PREALLOCATION_H
#define PREALLOCATION_H

#include "cli/create_options.h"
#include "commands/common.h"

/*
 * preallocation_apply() - allocate the clusters of an open image from an offset to the end
 * @from:  guest offset
 * @how:   PREALLOC_FULL also writes zeros to them; PREALLOC_OFF does nothing
 *
 * Return: 0; -errno as qc_write()
 */
qc_err preallocation_apply(struct command *c, struct qc_image *img, uint64_t from,
			   enum preallocation how);

/* Reserves space in the file system for the whole image file at @path.
 * Return: 0; -errno as fallocate(2) */
int preallocation_reserve_space(const char *path);

/* Does both for the image at @path: PREALLOC_FALLOC is the mode that reserves space.
 * Return: COMMAND_OK; COMMAND_FAILED after a message */
int preallocation_apply_to_file(struct command *c, const char *path, uint64_t from,
				enum preallocation how);

#endif
