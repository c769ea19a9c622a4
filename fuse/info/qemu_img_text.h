/* SPDX-License-Identifier: MIT */
/* qemu_img_text.h - what an image is, for people, as `qemu-img info` prints it. */
#ifndef QEMU_IMG_TEXT_H
#define QEMU_IMG_TEXT_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

/* Prints the keys that @info, a document of image_json(), has in common with qemu-img.  Control
 * bytes of names are shown as %XX. */
void qemu_img_text_print(FILE *f, const json_t *info);

/* Print the two lines above a list of snapshots, and one line of it.  @snapshot is an element of
 * qemu_img_json_snapshots(). */
void qemu_img_text_print_snapshot_heading(FILE *f);
void qemu_img_text_print_snapshot(FILE *f, const json_t *snapshot);

/* Writes a number of bytes as "1.5 GiB", with three digits; @out has 20 bytes. */
void qemu_img_text_size(char *out, uint64_t bytes);

#endif
