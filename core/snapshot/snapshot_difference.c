/* SPDX-License-Identifier: MIT */
/*
 * snapshot_difference.c - compares the tables of a snapshot with those of the active disk.
 *
 * Two clusters are equal if their L2 entries are, but for COPIED.  Data is never read: an entry
 * that differs counts as a difference of the whole cluster.
 */
#include "snapshot/snapshot_difference.h"

#include <errno.h>
#include <string.h>

#include "base/range.h"

/* The two L1 tables, and room for an L2 table of each. */
struct disk_difference {
	struct qc_snapshot_update *u;
	const uint8_t *l1[2];
	uint64_t entries[2];
	uint8_t *l2[2];
};

static void report_range(const struct disk_difference *d, uint64_t off, uint64_t len)
{
	uint64_t size = d->u->layer->size;

	if (off < size)
		qc_writer_range_changed(d->u->w, off, min_u64(len, size - off));
}

/* Finds the L2 table of one of both disks.  An offset of 0: there is none. */
static qc_err find_l2_table(const struct disk_difference *d, int disk, uint64_t i, struct hoff *out)
{
	out->v = 0;
	return i < d->entries[disk] ? l1_decode(d->u->g, be64_at(d->l1[disk] + 8 * i), out) : 0;
}

static qc_err read_l2_table(const struct disk_difference *d, int disk, struct hoff table)
{
	uint64_t bytes = geom_cluster(d->u->g);

	memset(d->l2[disk], 0, bytes);
	return table.v ? qc_metadata_copy_table(&d->u->w->metadata, table.v, d->l2[disk], bytes) : 0;
}

/* Returns true if entry @k of both L2 tables is the same. */
static bool has_same_entry(const struct disk_difference *d, uint64_t k)
{
	size_t len = (size_t)1 << d->u->g->entry_bits, at = k << d->u->g->entry_bits;
	const uint8_t *a = d->l2[0] + at, *b = d->l2[1] + at;

	return !((be64_at(a) ^ be64_at(b)) & ~L2_COPIED) && !memcmp(a + 8, b + 8, len - 8);
}

/* Compares the L2 tables of one L1 entry, and reports each run of clusters that differ. */
static void compare_l2_tables(const struct disk_difference *d, uint64_t i)
{
	const struct geom *g = d->u->g;
	uint64_t span = geom_l1_span(g), n = geom_cluster(g) >> g->entry_bits, first = 0;
	struct hoff table[2];

	if (find_l2_table(d, 0, i, &table[0]) || find_l2_table(d, 1, i, &table[1])) {
		report_range(d, i * span, span);
		return;
	}
	if (table[0].v == table[1].v)
		return;
	if (read_l2_table(d, 0, table[0]) || read_l2_table(d, 1, table[1])) {
		report_range(d, i * span, span);
		return;
	}
	for (uint64_t k = 0; k <= n; k++) {
		if (k < n && !has_same_entry(d, k))
			continue;
		if (first < k)
			report_range(d, i * span + first * geom_cluster(g),
				     (k - first) * geom_cluster(g));
		first = k + 1;
	}
}

qc_err qc_snapshot_difference_report(struct qc_snapshot_update *u, const struct qc_snapshot *s)
{
	struct qc_l1_table from = { .l1_offset = s->l1_offset, .l1_entries = s->l1_entries };
	struct disk_difference d = { .u = u, .l1 = { u->l1 },
				     .entries = { u->atomic.l1.l1_entries, s->l1_entries } };
	AUTO_FREE uint8_t *room = NULL;
	AUTO_FREE uint8_t *l1 = NULL;
	qc_err r;

	if (!u->w->clients.any_for_ranges)
		return 0;
	r = qc_snapshot_update_read_l1(u, &from, &l1);
	room = malloc(2 * geom_cluster(u->g));
	if (r || !room)
		return r ? r : -ENOMEM;
	d.l1[1] = l1;
	d.l2[0] = room;
	d.l2[1] = room + geom_cluster(u->g);
	for (uint64_t i = 0; i < geom_l1_need(u->g, u->layer->size); i++)
		compare_l2_tables(&d, i);
	return 0;
}
