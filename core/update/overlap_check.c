/* SPDX-License-Identifier: MIT */
#include "update/overlap_check.h"

#include <errno.h>
#include <inttypes.h>

#include "format/l2_entry.h"
#include "layer/cluster_map.h"
#include "base/array.h"
#include "base/range.h"
#include "format/snapshot_table.h"
#include "update/abort.h"

/* 16 MiB of memory; a disk of 1 PiB has as many tables, in clusters of 64 KiB. */
enum { CLUSTERS_MAX = 2 << 20 };

struct qc_overlap_map {
	uint64_t *cluster; /* in order */
	size_t n, room;
};

/* ---- all metadata, as it is ------------------------------------------------ */

static qc_err each_l2(struct qc_writer *w, qc_metadata_fn *fn, void *arg)
{
	const struct geom *g = &w->layer->head.geom;
	qc_err r = 0;

	for (uint64_t i = 0; !r && i < g->l1_entries; i++) {
		struct hoff table = { 0 };
		uint64_t raw;

		r = qc_map_l1_get(w->layer, (struct goff){ i * geom_l1_span(g) }, &raw);
		if (!r && !l1_decode(g, raw, &table) && table.v)
			r = fn(arg, table.v, geom_l2_bytes(g));
	}
	return r;
}

static qc_err each_block(struct qc_writer *w, qc_metadata_fn *fn, void *arg)
{
	const struct qc_refcounts *c = &w->alloc.refcounts;
	qc_err r = w->alloc.has_refcounts ? fn(arg, c->table_offset, c->entries * 8) : 0;

	for (uint64_t i = 0; w->alloc.has_refcounts && !r && i < c->entries; i++) {
		uint64_t off = qc_alloc_refcount_block(&w->alloc, i);

		if (off)
			r = fn(arg, off, geom_cluster(&w->layer->head.geom));
	}
	return r;
}

static qc_err each_of_snapshot(struct qc_writer *w, const struct qc_snapshot *s, qc_metadata_fn *fn,
			       void *arg)
{
	const struct geom *g = &w->layer->head.geom;
	uint64_t bytes = s->l1_entries * UINT64_C(8);
	AUTO_FREE uint8_t *l1 = malloc(bytes + 1);
	size_t got;
	qc_err r = l1 ? qc_file_read(w->file, s->l1_offset, l1, bytes, &got) : -ENOMEM;

	if (!r)
		r = fn(arg, s->l1_offset, bytes);
	for (uint64_t i = 0; !r && i < bytes; i += 8) {
		struct hoff table;

		if (!l1_decode(g, be64_at(l1 + i), &table) && table.v)
			r = fn(arg, table.v, geom_l2_bytes(g));
	}
	return r;
}

static qc_err each_of_snapshots(struct qc_writer *w, qc_metadata_fn *fn, void *arg)
{
	const struct qc_header *h = &w->layer->head;
	struct qc_snapshot_table t;
	qc_err r = qc_snapshot_table_read(w->file, h->snapshots_offset, h->snapshots, w->layer->size, &t);

	if (!r && t.n)
		r = fn(arg, h->snapshots_offset, t.bytes);
	for (uint32_t i = 0; !r && i < t.n; i++)
		r = each_of_snapshot(w, &t.entry[i].s, fn, arg);
	qc_snapshot_table_free(&t);
	return r;
}

static qc_err each_of_header(struct qc_writer *w, qc_metadata_fn *fn, void *arg)
{
	const struct qc_header *h = &w->layer->head;
	qc_err r = fn(arg, 0, h->geom.layout == LAYOUT_V1 ? HEAD1_BYTES : 1);

	if (!r && h->geom.l1_entries)
		r = fn(arg, h->geom.l1_offset, h->geom.l1_entries * UINT64_C(8));
	if (!r && h->luks_bytes)
		r = fn(arg, h->luks_offset, h->luks_bytes);
	return r;
}

qc_err qc_metadata_for_each(struct qc_writer *w, qc_metadata_fn *fn, void *arg)
{
	qc_err r = each_of_header(w, fn, arg);

	if (!r)
		r = each_l2(w, fn, arg);
	if (!r)
		r = each_block(w, fn, arg);
	return r ? r : each_of_snapshots(w, fn, arg);
}

/* ---- noting them ----------------------------------------------------------- */

struct noting {
	struct qc_overlap_map *guard;
	unsigned int cluster_bits;
};

static qc_err note(void *arg, uint64_t off, uint64_t len)
{
	struct noting *n = arg;
	struct qc_overlap_map *g = n->guard;
	uint64_t end = div_up(off + len, UINT64_C(1) << n->cluster_bits);

	for (uint64_t c = off >> n->cluster_bits; c < end && g->n < CLUSTERS_MAX; c++) {
		if (array_reserve(&g->cluster, &g->room, g->n + 1, sizeof(*g->cluster)))
			return -ENOMEM;
		g->cluster[g->n++] = c;
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

qc_err qc_overlap_map_new(struct qc_writer *w, struct qc_overlap_map **out)
{
	struct noting n = { calloc(1, sizeof(*n.guard)), w->layer->head.geom.cluster_bits };
	qc_err r = n.guard ? qc_metadata_for_each(w, note, &n) : -ENOMEM;

	if (r) {
		qc_overlap_map_free(n.guard);
		return r;
	}
	if (n.guard->n)
		qsort(n.guard->cluster, n.guard->n, sizeof(*n.guard->cluster), compare);
	*out = n.guard;
	return 0;
}

void qc_overlap_map_free(struct qc_overlap_map *g)
{
	if (!g)
		return;
	free(g->cluster);
	free(g);
}

/* ---- looking --------------------------------------------------------------- */

/* Whether one of the clusters was noted. */
static bool is_noted(const struct qc_overlap_map *g, uint64_t first, uint64_t end)
{
	size_t low = 0, high = g->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (g->cluster[mid] < first)
			low = mid + 1;
		else
			high = mid;
	}
	return low < g->n && g->cluster[low] < end;
}

struct looking {
	uint64_t off, len;
	bool found;
};

static qc_err look_at(void *arg, uint64_t off, uint64_t len)
{
	struct looking *l = arg;

	l->found = l->found || range_overlap(l->off, l->len, off, len);
	return 0;
}

qc_err qc_overlap_map_test(struct qc_writer *w, uint64_t off, uint64_t len, bool *metadata)
{
	unsigned int bits = w->layer->head.geom.cluster_bits;
	struct looking l = { off, len, false };
	qc_err r = 0;

	if (is_noted(w->overlap_map, off >> bits, div_up(off + len, UINT64_C(1) << bits)))
		r = qc_metadata_for_each(w, look_at, &l);
	*metadata = l.found;
	return r;
}

qc_err qc_overlap_check_write(struct qc_writer *w, struct hoff host, uint64_t len)
{
	const struct geom *g = &w->layer->head.geom;
	uint64_t header = g->layout == LAYOUT_V1 ? HEAD1_BYTES : geom_cluster(g);
	/* In the order against that in which a move sets them: never too much. */
	uint64_t bytes = w->alloc.refcounts.entries * 8, table = w->alloc.refcounts.table_offset;
	bool metadata;
	qc_err r = 0;

	if (w->data != w->file)
		return 0;
	metadata = host.v < header ||
		   range_overlap(host.v, len, g->l1_offset, (uint64_t)g->l1_entries * 8) ||
		   range_overlap(host.v, len, table, bytes) ||
		   range_overlap(host.v, len, w->layer->head.luks_offset, w->layer->head.luks_bytes);
	if (!metadata && w->overlap_map)
		r = qc_overlap_map_test(w, host.v, len, &metadata);
	if (r || !metadata)
		return r;
	return qc_writer_mark_corrupt(w, "guest data would be written over metadata at 0x%" PRIx64,
				 host.v);
}
