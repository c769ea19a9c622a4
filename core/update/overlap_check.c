/* SPDX-License-Identifier: MIT */
#include "update/overlap_check.h"

#include <errno.h>
#include <inttypes.h>

#include "base/range.h"
#include "base/util.h"
#include "layer/metadata_walk.h"
#include "qcow_array.h"
#include "update/abort.h"

/* 16 MiB of memory.  A disk of 1 PiB has as many L2 tables, in clusters of 64 KiB. */
enum { CLUSTERS_MAX = 2 << 20 };

struct qc_overlap_map {
	uint64_t *cluster; /* ordered */
	size_t n, capacity;
};

/* ---- the map -------------------------------------------------------------- */

struct map_builder {
	struct qc_overlap_map *map;
	unsigned int cluster_bits;
};

/* A qc_metadata_fn. */
static qc_err add_to_map(void *arg, struct qc_metadata_item *item)
{
	struct map_builder *b = arg;
	struct qc_overlap_map *map = b->map;
	uint64_t end = div_up(item->off + item->len, UINT64_C(1) << b->cluster_bits);

	if (item->invalid)
		return 0;
	for (uint64_t c = item->off >> b->cluster_bits; c < end && map->n < CLUSTERS_MAX; c++) {
		if (array_reserve(&map->cluster, &map->capacity, map->n + 1,
				  sizeof(*map->cluster)))
			return -ENOMEM;
		map->cluster[map->n++] = c;
	}
	return 0;
}

qc_err qc_overlap_map_new(struct qc_writer *w, struct qc_overlap_map **out)
{
	struct map_builder b = { calloc(1, sizeof(*b.map)), w->layer->head.geom.cluster_bits };
	qc_err r = b.map ? qc_metadata_for_each(&w->metadata, 0, add_to_map, &b) : -ENOMEM;

	if (r) {
		qc_overlap_map_free(b.map);
		return r;
	}
	if (b.map->n)
		qsort(b.map->cluster, b.map->n, sizeof(*b.map->cluster), compare_u64);
	*out = b.map;
	return 0;
}

void qc_overlap_map_free(struct qc_overlap_map *map)
{
	if (!map)
		return;
	free(map->cluster);
	free(map);
}

/* Returns true if one of the clusters [first, end) is in the map. */
static bool map_has_cluster(const struct qc_overlap_map *map, uint64_t first, uint64_t end)
{
	size_t low = 0, high = map->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (map->cluster[mid] < first)
			low = mid + 1;
		else
			high = mid;
	}
	return low < map->n && map->cluster[low] < end;
}

/* ---- the check ------------------------------------------------------------ */

struct overlap_query {
	uint64_t off, len;
	bool found;
};

/* A qc_metadata_fn. */
static qc_err compare_with_item(void *arg, struct qc_metadata_item *item)
{
	struct overlap_query *q = arg;

	if (!item->invalid)
		q->found = q->found || range_overlap(q->off, q->len, item->off, item->len);
	return 0;
}

/* Reads if the extent holds metadata now, for a cluster that is in the map. */
static qc_err query_map(struct qc_writer *w, uint64_t off, uint64_t len, bool *metadata)
{
	unsigned int bits = w->layer->head.geom.cluster_bits;
	struct overlap_query q = { off, len, false };
	qc_err r = 0;

	if (map_has_cluster(w->overlap_map, off >> bits, div_up(off + len, UINT64_C(1) << bits)))
		r = qc_metadata_for_each(&w->metadata, 0, compare_with_item, &q);
	*metadata = q.found;
	return r;
}

static qc_err find_metadata(struct qc_writer *w, struct hoff host, uint64_t len, bool *metadata)
{
	const struct geom *g = &w->layer->head.geom;
	uint64_t header = g->layout == LAYOUT_V1 ? HEAD1_BYTES : geom_cluster(g);
	/* A table that grows sets the offset before the length.  Read in the reverse order, the
	 * pair is never longer than the table at that offset. */
	uint64_t bytes = w->alloc.refcounts.entries * 8, table = w->alloc.refcounts.table_offset;

	*metadata = host.v < header ||
		    range_overlap(host.v, len, g->l1_offset, (uint64_t)g->l1_entries * 8) ||
		    range_overlap(host.v, len, table, bytes) ||
		    range_overlap(host.v, len, w->layer->head.luks_offset, w->layer->head.luks_bytes);
	return !*metadata && w->overlap_map ? query_map(w, host.v, len, metadata) : 0;
}

qc_err qc_overlap_check_write(struct qc_writer *w, struct hoff host, uint64_t len)
{
	bool metadata = false;
	qc_err r = w->data == w->file ? find_metadata(w, host, len, &metadata) : 0;

	if (r || !metadata)
		return r;
	return qc_writer_mark_corrupt(w, "guest data would be written over metadata at 0x%" PRIx64,
				      host.v);
}

bool qc_overlap_may_free(struct qc_writer *w, struct hoff host, uint64_t len)
{
	bool metadata;
	qc_err r = find_metadata(w, host, len, &metadata);

	if (!r && !metadata)
		return true;
	qc_layer_report_damage(w->layer, "an L2 entry that was replaced referenced metadata at host "
			       "offset 0x%" PRIx64 " (it stays allocated)", host.v);
	return false;
}
