/* SPDX-License-Identifier: MIT */
#include "rescue/lost_snapshots.h"

#include "base/byteorder.h"
#include "base/range.h"
#include "format/qcow_layout.h"
#include "format/snapshot_table.h"

/* Reads one entry of a snapshot table.  *next: the offset behind it. */
static bool read_snapshot_entry(struct qc_file *f, const struct geom *g, uint64_t file_bytes,
				uint64_t off, uint64_t *next, uint64_t *size)
{
	struct qc_snapshot_table t;
	const struct qc_snapshot *e;
	uint8_t l1[8];
	size_t got;
	bool valid;

	/* Almost all bytes that are no entry have no L1 table there, and so little is read. */
	if (qc_file_read(f, off, l1, sizeof(l1), &got) || !be64_at(l1) ||
	    be64_at(l1) % geom_cluster(g) || be64_at(l1) >= file_bytes)
		return false;
	if (qc_snapshot_table_read(f, off, 1, 0, &t))
		return false;
	e = &t.entry[0].s;
	valid = e->id_len && e->size && e->l1_entries && e->date_ns < 1000000000 &&
		qc_snapshot_entry_is_valid(e, geom_cluster(g), file_bytes);
	if (valid) {
		*next = off + round_up(t.len, 8);
		*size = e->size;
	}
	qc_snapshot_table_free(&t);
	return valid;
}

uint32_t qc_lost_snapshots_count(struct qc_file *f, const struct geom *g, uint64_t file_bytes,
				 uint64_t off, uint64_t *size)
{
	uint32_t n = 0;

	while (n < SNAPSHOTS_MAX && read_snapshot_entry(f, g, file_bytes, off, &off, size))
		n++;
	return n;
}
