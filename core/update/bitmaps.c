/* SPDX-License-Identifier: MIT */
#include "update/bitmaps.h"

#include <errno.h>
#include <stdio.h>

#include "format/bitmap_directory.h"
#include "layer/context.h"

/* Writes the names, separated by commas, as far as they fit. */
static void join_bitmap_names(const struct qc_bitmaps *b, char *out, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < b->n && used + b->at[i].name_len + 3 <= size; i++)
		used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "",
					 b->at[i].name);
}

void qc_bitmaps_warn(struct qc_layer *l)
{
	struct qc_bitmaps b;
	char names[400] = "";

	if (qc_bitmaps_read(l->file, &l->head, &b) != -ENOMEM)
		join_bitmap_names(&b, names, sizeof(names));
	qc_bitmaps_free(&b);
	qc_log(&l->ctx->log, QC_LOG_WARN,
	       "%s: persistent bitmaps are no longer valid, since the image is written: %s", l->path,
	       *names ? names : "(their directory is damaged)");
}
