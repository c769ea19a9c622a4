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

struct qc_snapjob {
	struct qc_layer *l;
	struct qc_writer *w;
	const struct geom *g;
	struct qc_shadow shadow;
	struct qc_snaptable table;
	uint8_t *rows; /* of the table as it will be */
	size_t rows_bytes;
	struct hoff rows_at, l1_at;
	uint8_t *l1; /* the live one, as it will be */
	uint8_t *l2; /* room for one */
	uint64_t shared; /* live tables of which deleting may make a copy */
};

/* What is asked for: that `s` goes, or is called `name`; or a new one of that name. */
struct qc_snapwish {
	const struct qc_snapshot *s;
	const char *name;
	size_t len;
};

/* Settles most of an image that is open for writing while requests go on; then closes the
 * gate, settles the rest, and lets fn do the job. */
typedef qc_err qc_snapwish_fn(struct qc_snapjob *j, const struct qc_snapwish *wish);
qc_err qc_snapjob_run(struct qc_image *img, qc_snapwish_fn *fn, const struct qc_snapwish *wish);

/* -EIO, and says which table is damaged. */
qc_err qc_snapjob_damaged(struct qc_snapjob *j, uint64_t offset);

qc_err qc_snapjob_read_l1(struct qc_snapjob *j, const struct qc_root *root, uint8_t **out);

/* Calls fn for each L2 table of an L1 table, with its bytes in j->l2. */
typedef qc_err qc_snapl2_fn(struct qc_snapjob *j, uint64_t index, struct hoff table);
qc_err qc_snapjob_each_table(struct qc_snapjob *j, const uint8_t *l1, uint64_t entries,
			     qc_snapl2_fn *fn);

/* Bytes from one entry of an L2 table to the next; and the entry there. */
static inline size_t qc_snapjob_step(const struct qc_snapjob *j)
{
	return (size_t)1 << j->g->entry_bits;
}
qc_err qc_snapjob_entry(const struct qc_snapjob *j, size_t at, struct entry *e);

/* All that the L2 table in j->l2 names has one name more, or less. */
qc_err qc_snapjob_add_names(struct qc_snapjob *j, struct hoff table, int by);

/* The bytes in j->l2 become a table of the live disk, which nobody shares. */
qc_err qc_snapjob_write_copy(struct qc_snapjob *j, uint64_t index);

/* Takes places for `tables` L2 tables, the L1 table, the rows, and the counts. */
qc_err qc_snapjob_own(struct qc_snapjob *j, uint64_t tables);

/* Lets fn change counts and j->l1, writes that and the rows, and switches over. */
typedef qc_err qc_snapjob_fn(struct qc_snapjob *j, const struct qc_snapshot *s);
qc_err qc_snapjob_change(struct qc_snapjob *j, qc_snapjob_fn *fn, const struct qc_snapshot *s);

/* snapshot_delete.c: the job that deletes a snapshot. */
qc_err qc_snapjob_delete(struct qc_snapjob *j, const struct qc_snapwish *wish);

#endif
