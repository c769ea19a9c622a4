/* SPDX-License-Identifier: MIT */
/*
 * abort.c - how a writer ends before its time: what it finds cannot be, or what
 * it wrote may be lost.  Either way nothing more is written to the image.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "update/overlap_check.h"
#include "base/range.h"

qc_err qc_writer_set_incompatible(struct qc_writer *w, uint64_t bits)
{
	uint8_t raw[8];
	qc_err r;

	be64_to(raw, bits);
	r = qc_file_write(w->file, HEAD_INCOMPATIBLE, raw, sizeof(raw));
	if (!r)
		r = qc_file_sync(w->file);
	if (r)
		atomic_store(&w->broken, true);
	if (!r)
		w->layer->head.incompatible = bits;
	return r;
}

qc_err qc_writer_mark_corrupt(struct qc_writer *w, const char *fmt, ...)
{
	char what[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (!atomic_exchange(&w->broken, true) && w->layer->head.version == 3)
		qc_writer_set_incompatible(w, w->layer->head.incompatible | INCOMPAT_CORRUPT);
	return qc_layer_report_damage(w->layer, "%s; nothing more is written to it", what);
}

qc_err qc_overlap_check_write(struct qc_writer *w, struct hoff host, uint64_t len)
{
	const struct geom *g = &w->layer->head.geom;
	uint64_t header = g->layout == LAYOUT_V1 ? HEAD1_BYTES : geom_cluster(g);
	/* In the order against that in which a move sets them: never too much. */
	uint64_t bytes = w->alloc.counts.entries * 8, table = w->alloc.counts.table_offset;
	bool metadata;
	qc_err r = 0;

	if (w->data != w->file)
		return 0;
	metadata = host.v < header ||
		   range_overlap(host.v, len, g->l1_offset, (uint64_t)g->l1_entries * 8) ||
		   range_overlap(host.v, len, table, bytes) ||
		   range_overlap(host.v, len, w->layer->head.luks_offset, w->layer->head.luks_bytes);
	if (!metadata && w->guard)
		r = qc_overlap_map_test(w, host.v, len, &metadata);
	if (r || !metadata)
		return r;
	return qc_writer_mark_corrupt(w, "guest data would be written over metadata at 0x%" PRIx64,
				 host.v);
}

qc_err qc_writer_abort(struct qc_writer *w, qc_err r, const char *what)
{
	if (!atomic_exchange(&w->broken, true))
		qc_layer_report_damage(w->layer, "%s: %s; nothing more is written to it", what,
				 strerror(-r));
	return r;
}
