/* SPDX-License-Identifier: MIT */
#include "evidence/extension_walk.h"

#include "base/range.h"

void qc_extension_walk_begin(struct qc_extension_walk *w, const struct qc_tables *t)
{
	const struct qc_header *h = t->md.head;
	uint8_t raw[4];
	size_t got;

	*w = (struct qc_extension_walk){
		.file = t->md.file,
		.at = HEAD_V2_BYTES,
		.limit = h->backing_offset ? h->backing_offset : geom_cluster(&h->geom),
	};
	if (h->version > 2)
		w->error = qc_file_read(w->file, HEAD_LENGTH, raw, sizeof(raw), &got);
	if (h->version > 2 && !w->error)
		w->at = be32_at(raw);
}

bool qc_extension_walk_next(struct qc_extension_walk *w)
{
	uint8_t raw[8];
	size_t got;

	if (w->error || !range_inside(w->at, sizeof(raw), w->limit))
		return false;
	w->error = qc_file_read(w->file, w->at, raw, sizeof(raw), &got);
	if (w->error)
		return false;
	w->off = w->at;
	w->magic = be32_at(raw);
	w->len = be32_at(raw + 4);
	w->at += sizeof(raw);
	if (w->magic == EXT_END)
		return false;
	w->at += round_up(w->len, 8);
	return true;
}
