/* SPDX-License-Identifier: MIT */
#include "update/bitmaps.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/byteorder.h"
#include "format/bitmap_directory.h"
#include "layer/context.h"
#include "layer/metadata_walk.h"
#include "update/checkpoint.h"

/* Writes the names, separated by commas, as far as they fit. */
static void join_bitmap_names(const struct qc_bitmaps *b, char *out, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < b->n && used + b->at[i].name_len + 3 <= size; i++)
		used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "",
					 b->at[i].name);
}

static void warn_of_removal(struct qc_layer *l)
{
	struct qc_bitmaps b;
	char names[400] = "";

	if (qc_bitmaps_read(l->file, &l->head, &b) != -ENOMEM)
		join_bitmap_names(&b, names, sizeof(names));
	qc_bitmaps_free(&b);
	qc_log(&l->ctx->log, QC_LOG_WARN,
	       "%s: persistent bitmaps are removed, since the image is written: %s", l->path,
	       *names ? names : "(their directory is damaged)");
}

/* ---- clusters -------------------------------------------------------------------- */

struct collect {
	struct qc_writer *w;
	struct qc_free_list *out;
};

static qc_err collect_item(void *arg, struct qc_metadata_item *item)
{
	struct collect *c = arg;

	if (item->invalid)
		return 0;
	return qc_free_list_add(c->out, c->w->alloc.cluster_bits, item->off, item->len);
}

qc_err qc_bitmaps_collect(struct qc_writer *w, struct qc_free_list *out)
{
	struct collect c = { w, out };

	return qc_metadata_for_each_bitmap(&w->metadata, collect_item, &c);
}

/* ---- the header ------------------------------------------------------------------ */

/* Takes the extension out of the header with one write inside a sector, so that a power cut
 * leaves it or takes it.  As the last extension it becomes the end; before others it becomes a
 * table of feature names that is too short for a name, which all readers skip. */
static qc_err remove_extension(struct qc_writer *w)
{
	struct qc_header *h = &w->layer->head;
	uint64_t behind = h->bitmaps_extension + 8 + EXT_BITMAPS_BYTES;
	uint8_t next[4], magic[8];
	size_t got;
	qc_err r = qc_file_read(w->file, behind, next, sizeof(next), &got);

	if (r)
		return r;
	be32_to(magic, be32_at(next) == EXT_END ? EXT_END : EXT_FEATURE_NAMES);
	be32_to(magic + 4, be32_at(next) == EXT_END ? 0 : EXT_BITMAPS_BYTES);
	return qc_writer_update_header(w, h->bitmaps_extension, magic, sizeof(magic));
}

qc_err qc_bitmaps_remove(struct qc_writer *w, struct qc_free_list *extents)
{
	struct qc_header *h = &w->layer->head;
	qc_err r = 0;

	warn_of_removal(w->layer);
	if (h->bitmaps_extension)
		r = remove_extension(w);
	if (r)
		return r;
	h->bitmaps = 0;
	h->bitmaps_extension = 0;
	for (size_t i = 0; i < extents->n; i++)
		qc_alloc_defer_free(&w->alloc, extents->extent[i].off, extents->extent[i].len);
	return 0;
}
