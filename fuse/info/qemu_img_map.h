/* SPDX-License-Identifier: MIT */
/*
 * qemu_img_map.h - where the bytes of a disk are, as qemu-img map tells it.
 *
 * Called by `qcowfs map` and by NAME.map.  Mappings that continue each other are one entry, as
 * QEMU merges them.
 */
#ifndef QEMU_IMG_MAP_H
#define QEMU_IMG_MAP_H

#include <stdio.h>

#include "qcow.h"

/* Finds the mapping at @at of the disk.  Return: 0; -errno. */
typedef qc_err qemu_img_map_fn(void *arg, uint64_t at, struct qc_mapping *out);

struct qemu_img_map {
	qemu_img_map_fn *get;
	void *arg;
	uint64_t at, end; /* the range that is still to be told */
	struct qc_mapping next;
	bool has_next;
};

/* A qemu_img_map_fn for the argument struct qc_image. */
qc_err qemu_img_map_of_image(void *img, uint64_t at, struct qc_mapping *out);

/* Takes the next entry; out->len is 0 behind the end.  Return: 0; -errno. */
qc_err qemu_img_map_next(struct qemu_img_map *m, struct qc_mapping *out);

/* Prints an entry as an object in one line, without a newline.  @file: as it is named. */
void qemu_img_map_print_json(FILE *to, const struct qc_mapping *m, const char *file);

#endif
