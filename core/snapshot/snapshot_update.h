/* SPDX-License-Identifier: MIT */
/*
 * snapshot_update.h - what taking, deleting and renaming a snapshot have in common: the frame,
 * the tables that are walked through, the places that are taken, and the moment at which
 * all changes.
 *
 * The gate is closed meanwhile, and the file is as memory is; so tables are read
 * from the file, and nobody is on the way to a cluster that goes.
 */
#ifndef QC_SNAPSHOT_UPDATE_H
#define QC_SNAPSHOT_UPDATE_H

#include "format/l2_entry.h"
#include "image/image.h"
#include "update/atomic_update.h"
#include "format/snapshot_table.h"

struct qc_snapshot_update {
	struct qc_layer *l;
	struct qc_writer *w;
	const struct geom *g;
	struct qc_atomic_update shadow;
	struct qc_snapshot_table table;
	uint8_t *rows; /* of the table as it will be */
	size_t rows_bytes;
	struct hoff rows_at, l1_at;
	uint8_t *l1; /* the live one, as it will be */
	uint8_t *l2; /* room for one */
	uint64_t shared; /* live tables of which deleting may make a copy */
};

/* What is asked for: that `s` goes, or is called `name`; or a new one of that name. */
struct qc_snapshot_args {
	const struct qc_snapshot *s;
	const char *name;
	size_t len;
};

/* Settles most of an image that is open for writing while requests go on; then closes the
 * gate, settles the rest, and lets fn do the job. */
typedef qc_err qc_snapshot_args_fn(struct qc_snapshot_update *j, const struct qc_snapshot_args *wish);
qc_err qc_snapshot_update_run(struct qc_image *img, qc_snapshot_args_fn *fn, const struct qc_snapshot_args *wish);

/* -EIO, and says which table is damaged. */
qc_err qc_snapshot_update_damaged(struct qc_snapshot_update *j, uint64_t offset);

qc_err qc_snapshot_update_read_l1(struct qc_snapshot_update *j, const struct qc_l1_table *root, uint8_t **out);

/* Calls fn for each L2 table of an L1 table, with its bytes in j->l2. */
typedef qc_err qc_snapshot_update_l2_fn(struct qc_snapshot_update *j, uint64_t index, struct hoff table);
qc_err qc_snapshot_update_each_table(struct qc_snapshot_update *j, const uint8_t *l1, uint64_t entries,
			     qc_snapshot_update_l2_fn *fn);

/* Bytes from one entry of an L2 table to the next; and the entry there. */
static inline size_t qc_snapshot_update_entry_bytes(const struct qc_snapshot_update *j)
{
	return (size_t)1 << j->g->entry_bits;
}
qc_err qc_snapshot_update_entry(const struct qc_snapshot_update *j, size_t at, struct l2_entry *e);

/* All that the L2 table in j->l2 names has one name more, or less. */
qc_err qc_snapshot_update_adjust_l2(struct qc_snapshot_update *j, struct hoff table, int by);

/* The bytes in j->l2 become a table of the live disk, which nobody shares. */
qc_err qc_snapshot_update_write_copy(struct qc_snapshot_update *j, uint64_t index);

/* Takes places for `tables` L2 tables, the L1 table, the rows, and the counts. */
qc_err qc_snapshot_update_reserve(struct qc_snapshot_update *j, uint64_t tables);

/* Lets fn change counts and j->l1, writes that and the rows, and switches over. */
typedef qc_err qc_snapshot_update_fn(struct qc_snapshot_update *j, const struct qc_snapshot *s);
qc_err qc_snapshot_update_change(struct qc_snapshot_update *j, qc_snapshot_update_fn *fn, const struct qc_snapshot *s);

/* snapshot_delete.c: the job that deletes a snapshot. */
qc_err qc_snapshot_delete_update(struct qc_snapshot_update *j, const struct qc_snapshot_args *wish);

#endif
