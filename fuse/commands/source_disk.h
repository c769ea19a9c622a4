/* SPDX-License-Identifier: MIT */
/*
 * source_disk.h - a disk that a command reads: an image with its chain, or a raw file.
 */
#ifndef SOURCE_DISK_H
#define SOURCE_DISK_H

#include "commands/common.h"
#include "qcow_info.h"

struct source_disk {
	struct qc_image *img; /* NULL: a raw file */
	int fd;		      /* of a raw file, or -1 */
	uint64_t size;	      /* of the disk, in bytes */
	bool bitmaps_possible; /* version 3 */
	uint64_t bitmap_bytes; /* of source_disk_measure_bitmaps() */
};

/* Opens an image for reading, or else a regular file or block device as a raw disk.  Refuses an
 * image that cannot be read to its end: see qc_check_walk_ends().
 * Return: COMMAND_OK; COMMAND_FAILED after a message */
int source_disk_open(struct command *c, const char *path, struct source_disk *out);

/* The same, with a format that the file must have: "raw", "qcow", "qcow2"; NULL: any. */
int source_disk_open_as(struct command *c, const char *path, const char *format,
			struct source_disk *out);

/* Replaces the disk of the image at @path by that of a snapshot, by its name or ID.
 * Return: COMMAND_OK; COMMAND_FAILED after a message */
int source_disk_select_snapshot(const char *path, const char *name, struct source_disk *s);
void source_disk_close(struct source_disk *s);

/* Finds out whether the bytes from @at on are data or a hole; @at < size.
 * Return: 0; -errno */
qc_err source_disk_status(const struct source_disk *s, uint64_t at, struct qc_extent *out);

/* The same of a raw file, as qc_get_mapping() tells it of an image; @disk is its struct
 * source_disk.  A qemu_img_map_fn. */
qc_err source_disk_raw_mapping(void *disk, uint64_t at, struct qc_mapping *out);

/* Sets bitmap_bytes: the bytes that copies of all persistent bitmaps take in an image with
 * clusters of @cluster bytes.  Return: 0; -errno */
qc_err source_disk_measure_bitmaps(struct command *c, const char *path, struct source_disk *s,
				   uint32_t cluster);

#endif
