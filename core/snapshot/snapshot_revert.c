/* SPDX-License-Identifier: MIT */
/*
 * snapshot_revert.c - make a disk what it was when a snapshot was taken.
 *
 * The active disk gets copies of the snapshot's L2 tables without COPIED, as if the snapshot
 * had just been taken, and drops its own tables.  References are added before others are
 * dropped, so that no refcount is 0 in between.  VM state is behind the disk of the snapshot:
 * the active L1 table has no entries for it.
 */
#include <errno.h>
#include <string.h>

#include "base/range.h"
#include "snapshot/snapshot_update.h"

/* Returns the size of the disk with the snapshot, in whole sectors as a disk has them. */
static uint64_t reverted_size(const struct qc_snapshot *s)
{
	return s->size - s->size % SECTOR;
}

/* Replaces the tables of the active disk. */
static qc_err replace_active_disk(struct qc_snapshot_update *u, const struct qc_snapshot *s)
{
	struct qc_l1_table from = { .l1_offset = s->l1_offset, .l1_entries = s->l1_entries };
	struct qc_l1_table old = qc_l1_active(u->layer);
	uint8_t *l1;
	qc_err r = qc_snapshot_update_read_l1(u, &from, &l1);

	if (!r)
		r = qc_snapshot_update_each_l2(u, l1, geom_l1_need(u->g, s->size),
					       qc_snapshot_update_share_l2);
	free(l1);
	u->atomic.size = reverted_size(s);
	return r ? r : qc_snapshot_update_drop_tables(u, &old);
}

/* Checks the fields of the snapshot against the file and the limits of the format. */
static qc_err check_revert(struct qc_snapshot_update *u, const struct qc_snapshot *s)
{
	const struct qc_header *h = &u->layer->head;
	struct qc_file_stat now;
	qc_err r = qc_file_stat(u->w->file, &now);

	if (r)
		return r;
	if (!qc_snapshot_entry_is_valid(s, geom_cluster(u->g), now.size) ||
	    s->l1_entries > L1_ENTRIES_MAX || s->size > INT64_MAX ||
	    geom_l1_need(u->g, s->size) > s->l1_entries)
		return qc_snapshot_update_damaged(u, s->l1_offset);
	/* Other snapshots of version 2 may rely on the size of the disk. */
	return h->version == 2 && reverted_size(s) != h->size ? -EOPNOTSUPP : 0;
}

/* Reserves clusters for the new tables, and makes an empty active L1 table. */
static qc_err reserve_active_tables(struct qc_snapshot_update *u, const struct qc_snapshot *s)
{
	struct qc_l1_table from = { .l1_offset = s->l1_offset, .l1_entries = s->l1_entries };
	uint64_t need = geom_l1_need(u->g, s->size), tables = 0;
	uint8_t *l1;
	qc_err r = qc_snapshot_update_read_l1(u, &from, &l1);

	if (!r)
		tables = qc_snapshot_update_count_l2(l1, need);
	free(l1);
	if (r)
		return r;
	/* An L1 table is never made shorter: QEMU keeps its length, too. */
	u->atomic.l1.l1_entries = (uint32_t)max_u64(u->atomic.l1.l1_entries, need);
	u->l1 = calloc(u->atomic.l1.l1_entries + 1, 8);
	return u->l1 ? qc_snapshot_update_reserve(u, tables) : -ENOMEM;
}

static qc_err revert_to_snapshot(struct qc_snapshot_update *u, const struct qc_snapshot_args *args)
{
	struct qc_snapshot_table_edit edit = { .skip = UINT32_MAX };
	uint32_t i = qc_snapshot_table_find(&u->table, args->s);
	uint64_t before = u->layer->size;
	const struct qc_snapshot *s;
	qc_err r;

	if (i == u->table.n)
		return -ENOENT;
	s = &u->table.entry[i].s;
	r = check_revert(u, s);
	if (!r)
		r = qc_snapshot_table_write(&u->table, &edit, &u->new_table, &u->new_table_bytes);
	if (!r && reverted_size(s) != before)
		r = qc_writer_client_before_resize(u->w);
	if (!r)
		r = reserve_active_tables(u, s);
	if (!r)
		r = qc_snapshot_update_change(u, replace_active_disk, s);
	if (u->layer->size != before)
		qc_writer_client_resized(u->w);
	qc_writer_range_changed(u->w, 0, max_u64(before, u->layer->size));
	return r;
}

qc_err qc_snapshot_revert(struct qc_image *img, const struct qc_snapshot *s)
{
	return qc_snapshot_update_run(img, revert_to_snapshot,
				      &(struct qc_snapshot_args){ .s = s });
}
