/* SPDX-License-Identifier: MIT */
/*
 * snapshot_update.h - the frame of all changes of snapshots.
 *
 * Used by the functions that create, delete and rename a snapshot.  They run in a drained
 * section with no dirty metadata: the tables are read from the file, and no request is on
 * its way to a cluster that becomes free.  All changes become visible in the file at once,
 * by an atomic update (update/atomic_update.h).
 */
#ifndef QC_SNAPSHOT_UPDATE_H
#define QC_SNAPSHOT_UPDATE_H

#include "format/l2_entry.h"
#include "format/snapshot_table.h"
#include "image/image.h"
#include "layer/metadata_walk.h"
#include "update/atomic_update.h"

struct qc_snapshot_update {
	struct qc_layer *layer;
	struct qc_writer *w;
	const struct geom *g;
	struct qc_atomic_update atomic;
	struct qc_snapshot_table table; /* as it is in the file */
	uint8_t *new_table;		/* and as it will be */
	size_t new_table_bytes;
	struct hoff new_table_at, new_l1_at; /* clusters reserved for them */
	uint8_t *l1; /* active L1 table, to be changed and written */
	uint64_t l2_copies; /* L2 tables that may have to be copied */
};

/* Arguments of a change; each change uses some of the fields. */
struct qc_snapshot_args {
	const struct qc_snapshot *s; /* an existing snapshot */
	const char *name;	     /* a new name */
	size_t len;
};

typedef qc_err qc_snapshot_change_fn(struct qc_snapshot_update *u,
				     const struct qc_snapshot_args *args);

/*
 * qc_snapshot_update_run() - run @fn on an image in a drained section
 *
 * Most metadata is written before requests are stopped, the rest then.  Metadata that is
 * dirty afterwards is written before the function returns.
 * Return: 0; -EROFS the image is not open for writing; -EOPNOTSUPP its format cannot have
 *	   snapshots; -EIO; -ENOMEM; an errno of the file; as @fn.
 */
qc_err qc_snapshot_update_run(struct qc_image *img, qc_snapshot_change_fn *fn,
			      const struct qc_snapshot_args *args);

/* Reports that the table at host offset @offset is damaged.  Return: -EIO. */
qc_err qc_snapshot_update_damaged(struct qc_snapshot_update *u, uint64_t offset);

/* Reads an L1 table into a buffer that the caller frees. */
qc_err qc_snapshot_update_read_l1(struct qc_snapshot_update *u, const struct qc_l1_table *l1,
				  uint8_t **out);

/*
 * qc_snapshot_update_each_l2() - call @fn for each L2 table of an L1 table
 * @l1:     the bytes of its first @entries entries
 * @fn:     gets u as its argument, and the bytes of the table in item->bytes
 *
 * Return: 0; -EIO the L1 table is damaged; as @fn; -ENOMEM; an errno of the file.
 */
typedef qc_err qc_snapshot_update_l2_fn(struct qc_snapshot_update *u,
					struct qc_metadata_item *item);
qc_err qc_snapshot_update_each_l2(struct qc_snapshot_update *u, const uint8_t *l1, uint64_t entries,
				  qc_snapshot_update_l2_fn *fn);

/* Adds @by, 1 or -1, to the refcount of each cluster that an L2 table references.
 * Return: 0; -EOVERFLOW a refcount cannot be higher; -EIO the table is damaged. */
qc_err qc_snapshot_update_adjust_l2(struct qc_snapshot_update *u,
				    const struct qc_metadata_item *item, int by);

/* Writes item->bytes to a reserved cluster, and makes the active L1 entry of that index, in
 * u->l1, reference it with COPIED. */
qc_err qc_snapshot_update_write_copy(struct qc_snapshot_update *u,
				     const struct qc_metadata_item *item);

/*
 * qc_snapshot_update_share_l2() - share an L2 table's clusters with the active disk
 *
 * Adds a reference to all clusters of the table.  Writes a copy of it without COPIED flags,
 * and sets that as the active L2 table: see qc_snapshot_update_write_copy().
 * Return: 0; -EMLINK a refcount cannot be higher, which is logged; -EIO; an errno of the file.
 */
qc_err qc_snapshot_update_share_l2(struct qc_snapshot_update *u, struct qc_metadata_item *item);

/* Returns the number of L2 tables in the first @entries entries of an L1 table. */
uint64_t qc_snapshot_update_count_l2(const uint8_t *l1, uint64_t entries);

/* Drops all references of an L1 table, which is not used any more: to itself, its L2 tables
 * and their clusters.  Return: 0; -EIO damaged tables; -ENOMEM; an errno of the file. */
qc_err qc_snapshot_update_drop_tables(struct qc_snapshot_update *u,
				      const struct qc_l1_table *table);

/* Reserves clusters for @l2_tables L2 tables, the L1 table, the new snapshot table, and all
 * refcounts.  Return: 0; -ENOSPC; -EFBIG; -ENOMEM; an errno of the file. */
qc_err qc_snapshot_update_reserve(struct qc_snapshot_update *u, uint64_t l2_tables);

/* Begins the atomic update, lets @fn change refcounts and u->l1, writes both L1 and snapshot
 * table, and commits.  If a step fails, nothing has changed. */
typedef qc_err qc_snapshot_update_fn(struct qc_snapshot_update *u, const struct qc_snapshot *s);
qc_err qc_snapshot_update_change(struct qc_snapshot_update *u, qc_snapshot_update_fn *fn,
				 const struct qc_snapshot *s);

/* Checks the name of a new snapshot.
 * Return: 0; -EINVAL it is empty, or has a NUL; -ENAMETOOLONG; -EEXIST. */
qc_err qc_snapshot_update_check_name(const struct qc_snapshot_table *t,
				     const struct qc_snapshot_args *args);

#endif
