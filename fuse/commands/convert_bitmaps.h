/* SPDX-License-Identifier: MIT */
/* convert_bitmaps.h - dirty bitmaps in qcowfs convert: what they say is copied, or they are. */
#ifndef CONVERT_BITMAPS_H
#define CONVERT_BITMAPS_H

#include "commands/convert_options.h"
#include "commands/source_disk.h"

/* Opens the bitmap whose dirty areas are to be copied, for qc_close(); *out stays NULL without
 * --bitmap.  Return: COMMAND_OK; COMMAND_FAILED after a message */
int convert_bitmaps_open_areas(const struct convert_args *a, const char *path,
			       const struct source_disk *s, struct qc_image **out);

/* Copies all bitmaps of the source to the new image, if --bitmaps was given, when its disk has
 * been written.  Return: 0; -ECANCELED after a message; as qc_bitmap_add() */
qc_err convert_bitmaps_copy_all(const struct convert_args *a, const char *path,
				const struct source_disk *s, struct qc_image *to);

#endif
