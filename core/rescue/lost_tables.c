/* SPDX-License-Identifier: MIT */
#include "rescue/lost_tables.h"

#include <errno.h>

#include "base/range.h"
#include "base/zeros.h"
#include "qcow_array.h"
#include "rescue/lost_snapshots.h"
#include "rescue/table_test.h"

enum { LOST_TABLES_MAX = 1 << 22 };

struct lost_table_search {
	struct qc_file *file;
	const struct qc_header *head;
	const struct geom *g;
	struct qc_refcounts *counts;
	uint64_t file_bytes;
	uint8_t *bytes, *target; /* one table each, at least a cluster */
	struct qc_lost_tables *out;
};

static qc_err add_lost_table(struct lost_table_search *s, uint64_t off,
			     enum qc_lost_table_kind kind, uint32_t snapshots)
{
	struct qc_lost_tables *o = s->out;
	uint64_t count = 0;
	qc_err r = 0;

	if (o->n == LOST_TABLES_MAX)
		return -EFBIG;
	if (s->counts)
		r = qc_refcounts_get(s->counts, off >> s->g->cluster_bits, &count);
	if (r == -ENOMEM)
		return r;
	if (r)
		count = 0;
	r = array_reserve(&o->table, &o->room, o->n + 1, sizeof(*o->table));
	if (!r)
		o->table[o->n++] = (struct qc_lost_table){ off, count, kind, snapshots };
	return r;
}

/* An L1 entry looks like an L2 entry, but not with an external data file or subclusters. */
static bool may_begin_l1_table(const struct lost_table_search *s)
{
	for (uint64_t i = 0; i < SECTOR; i += 8) {
		struct hoff at;

		if (l1_decode(s->g, be64_at(s->bytes + i), &at) || at.v >= s->file_bytes)
			return false;
	}
	return s->g->external || geom_is_extended(s->g);
}

/* Returns true if the first sector does not rule out a table of offsets. */
static bool may_begin_table(struct lost_table_search *s, uint64_t off)
{
	size_t got;

	return !qc_file_read(s->file, off, s->bytes, SECTOR, &got) &&
	       (qc_table_test_entries(s->g, s->file_bytes, s->bytes, SECTOR) ||
		may_begin_l1_table(s));
}

static qc_err test_offsets(struct lost_table_search *s, uint64_t off)
{
	size_t got, n = (size_t)max_u64(geom_cluster(s->g), geom_l2_bytes(s->g));

	if (qc_file_read(s->file, off, s->bytes, n, &got) || qc_is_all_zeros(s->bytes, n))
		return 0;
	if (qc_table_test_l1(s->file, s->g, s->file_bytes, s->bytes, s->target))
		return add_lost_table(s, off, QC_LOST_L1_TABLE, 0);
	if (qc_table_test_l2(s->g, s->file_bytes, s->bytes))
		return add_lost_table(s, off, QC_LOST_L2_TABLE, 0);
	return 0;
}

static qc_err test_cluster(struct lost_table_search *s, uint64_t off)
{
	uint64_t size = 0;
	uint32_t n;

	if (may_begin_table(s, off))
		return test_offsets(s, off);
	if (s->head->version == 1)
		return 0;
	n = qc_lost_snapshots_count(s->file, s->g, s->file_bytes, off, &size);
	return n ? add_lost_table(s, off, QC_LOST_SNAPSHOT_TABLE, n) : 0;
}

/* Returns the end of a hole of the file system at an offset; the offset itself if there is data. */
static uint64_t end_of_hole(const struct lost_table_search *s, uint64_t off)
{
	struct qc_extent e;

	if (qc_file_extent(s->file, off, &e) || e.data)
		return off;
	return off + min_u64(e.len, s->file_bytes - off);
}

static qc_err search_lost_tables(struct lost_table_search *s, qc_is_referenced_fn *is_referenced,
			     const void *arg)
{
	unsigned int bits = s->head->version == 1 ? 9 : s->g->cluster_bits;
	qc_err r = 0;

	for (uint64_t c = 1; !r && c << bits < s->file_bytes; c++) {
		uint64_t off = c << bits, end;

		if (is_referenced(arg, c))
			continue;
		end = end_of_hole(s, off);
		if (end >> bits > c) {
			c = (end >> bits) - 1; /* a cluster may begin in the hole, and end behind it */
			continue;
		}
		r = test_cluster(s, off);
	}
	return r;
}

qc_err qc_lost_tables_find(struct qc_file *f, const struct qc_header *h,
			     struct qc_refcounts *counts, qc_is_referenced_fn *is_referenced,
			     const void *arg, struct qc_lost_tables *out)
{
	struct lost_table_search s = {
		.file = f, .head = h, .g = &h->geom, .counts = counts, .out = out
	};
	uint64_t room = max_u64(geom_cluster(s.g), geom_l2_bytes(s.g));
	struct qc_file_stat now;
	qc_err r = qc_file_stat(f, &now);

	*out = (struct qc_lost_tables){ 0 };
	if (r)
		return r;
	s.file_bytes = now.size;
	s.bytes = malloc(room);
	s.target = malloc(room);
	r = s.bytes && s.target ? search_lost_tables(&s, is_referenced, arg) : -ENOMEM;
	free(s.bytes);
	free(s.target);
	if (r)
		qc_lost_tables_free(out);
	return r;
}

void qc_lost_tables_free(struct qc_lost_tables *o)
{
	free(o->table);
	*o = (struct qc_lost_tables){ 0 };
}
