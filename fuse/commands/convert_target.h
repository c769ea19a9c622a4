/* SPDX-License-Identifier: MIT */
/*
 * convert_target.h - the file that `qcowfs convert` writes: a new image, an existing one, a raw
 * file, a block device or standard output.
 */
#ifndef CONVERT_TARGET_H
#define CONVERT_TARGET_H

#include "commands/convert_options.h"
#include "commands/source_disk.h"

struct convert_target {
	struct qc_disk disk;
	struct qc_context *ctx;	 /* of disk.img, if it is not the command's own; else NULL */
	unsigned int copy_flags; /* QC_COPY_STREAM, QC_COPY_TO_ZEROS, QC_COPY_DIFFERENCES */
	bool is_new;		 /* the file was made here: to be removed if the copy fails */
};

/*
 * convert_target_open() - make and open the target
 * @s:  the source; a target that is one of its files is refused
 *
 * Return: COMMAND_OK; COMMAND_FAILED after a message: then a new file is removed.
 * Call convert_target_close() in each case.
 */
int convert_target_open(struct command *c, struct convert_args *a, const struct source_disk *s,
			const char *path, struct convert_target *out);

/*
 * convert_target_close() - write all that is in memory, and close the target
 * @r:     result of the copy; if it is an error, a new file is removed
 * @sync:  bring the bytes to stable storage
 *
 * Return: @r, or an -errno of the close
 */
qc_err convert_target_close(struct convert_target *t, const char *path, qc_err r, bool sync);

#endif
