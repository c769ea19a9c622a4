/* SPDX-License-Identifier: MIT */
#include "update/overlap_check.h"

#include <errno.h>
#include <inttypes.h>

#include "base/array.h"
#include "base/range.h"
#include "layer/metadata_walk.h"
#include "update/abort.h"

/* 16 MiB of memory; a disk of 1 PiB has as many tables, in clusters of 64 KiB. */
enum { CLUSTERS_MAX = 2 << 20 };

struct qc_overlap_map {
	uint64_t *cluster; /* in order */
	size_t n, room;
};

/* ---- noting them ----------------------------------------------------------- */

struct noting {
	struct qc_overlap_map *guard;
	unsigned int cluster_bits;
};

static qc_err note(void *arg, struct qc_metadata_item *item)
{
	struct noting *n = arg;
	struct qc_overlap_map *g = n->guard;
	uint64_t end = div_up(item->off + item->len, UINT64_C(1) << n->cluster_bits);

	if (item->invalid)
		return 0;
	for (uint64_t c = item->off >> n->cluster_bits; c < end && g->n < CLUSTERS_MAX; c++) {
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
	qc_err r = n.guard ? qc_metadata_for_each(&w->metadata, 0, note, &n) : -ENOMEM;

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

static qc_err look_at(void *arg, struct qc_metadata_item *item)
{
	struct looking *l = arg;

	if (!item->invalid)
		l->found = l->found || range_overlap(l->off, l->len, item->off, item->len);
	return 0;
}

qc_err qc_overlap_map_test(struct qc_writer *w, uint64_t off, uint64_t len, bool *metadata)
{
	unsigned int bits = w->layer->head.geom.cluster_bits;
	struct looking l = { off, len, false };
	qc_err r = 0;

	if (is_noted(w->overlap_map, off >> bits, div_up(off + len, UINT64_C(1) << bits)))
		r = qc_metadata_for_each(&w->metadata, 0, look_at, &l);
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
