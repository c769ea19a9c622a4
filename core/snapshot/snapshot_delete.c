/* SPDX-License-Identifier: MIT */
/*
 * snapshot_delete.c - delete a snapshot.
 *
 * Lowers the refcount of every cluster that the snapshot references, and frees those that
 * reach 0.  Active L2 tables with clusters whose refcount becomes 1 are copied with COPIED
 * set, so that these clusters can be written in place again.  Bitmaps get the bits of the clusters
 * that the snapshot had otherwise than the disk: a backup that was made of it is not one of the disk.
 */
#include <errno.h>

#include "snapshot/snapshot_difference.h"

/* ---- COPIED in active L2 tables ------------------------------------------- */

/* Sets COPIED for an active L2 table and in it, if no other snapshot shares the table. */
static qc_err restore_copied(struct qc_snapshot_update *u, struct qc_metadata_item *item)
{
	struct hoff table = { item->off };
	uint64_t count, changed = 0;
	qc_err r = qc_atomic_update_refcount(&u->atomic, table, &count);

	if (r || count != 1)
		return r;
	be64_to(u->l1 + 8 * item->index, l1_encode(u->g, table, true));
	r = qc_metadata_fix_copied(&u->w->metadata, item->bytes, 0, item->len >> u->g->entry_bits,
				   false, &changed);
	if (r || !changed)
		return r;
	r = qc_snapshot_update_write_copy(u, item);
	return r ? r : qc_atomic_update_adjust(&u->atomic, item->off, item->len, -1);
}

/* Counts the active L2 tables of which restore_copied() may write a copy: those with an
 * entry without COPIED. */
static qc_err count_l2_copies(struct qc_snapshot_update *u, struct qc_metadata_item *item)
{
	bool found = false;
	struct l2_entry e;

	for (uint64_t i = 0; !found && i < item->len >> u->g->entry_bits; i++)
		found = !l2_entry_at(u->g, item->bytes, i, &e) && e.kind != QC_COMPRESSED &&
			e.host.v && !e.copied;
	u->l2_copies += found;
	return 0;
}

/* ---- the change ----------------------------------------------------------- */

static qc_err drop_snapshot(struct qc_snapshot_update *u, const struct qc_snapshot *s)
{
	struct qc_l1_table gone = { .l1_offset = s->l1_offset, .l1_entries = s->l1_entries };
	struct qc_l1_table *l1 = &u->atomic.l1;
	qc_err r = qc_snapshot_update_drop_tables(u, &gone);

	if (!r)
		r = qc_snapshot_update_each_l2(u, u->l1, l1->l1_entries, restore_copied);
	if (!r && l1->l1_entries)
		r = qc_atomic_update_adjust(&u->atomic, l1->l1_offset,
					    l1->l1_entries * UINT64_C(8), -1);
	u->atomic.snapshots--;
	return r;
}

static qc_err delete_snapshot(struct qc_snapshot_update *u, const struct qc_snapshot_args *args)
{
	struct qc_snapshot_table_edit edit = { .skip = qc_snapshot_table_find(&u->table, args->s) };
	const struct qc_snapshot *s;
	qc_err r;

	if (edit.skip == u->table.n)
		return -ENOENT;
	s = &u->table.entry[edit.skip].s;
	if (s->l1_entries > L1_ENTRIES_MAX || s->l1_offset & (geom_cluster(u->g) - 1))
		return qc_snapshot_update_damaged(u, s->l1_offset);
	if (qc_layer_snapshot_is_pinned(u->layer, s->l1_offset))
		return -EBUSY;
	r = qc_snapshot_table_write(&u->table, &edit, &u->new_table, &u->new_table_bytes);
	if (!r)
		r = qc_snapshot_update_read_l1(u, &u->atomic.l1, &u->l1);
	if (!r)
		r = qc_snapshot_update_each_l2(u, u->l1, u->atomic.l1.l1_entries,
						  count_l2_copies);
	if (!r)
		r = qc_snapshot_difference_report(u, s);
	if (!r)
		r = qc_snapshot_update_reserve(u, u->l2_copies);
	return r ? r : qc_snapshot_update_change(u, drop_snapshot, s);
}

qc_err qc_snapshot_delete(struct qc_image *img, const struct qc_snapshot *s)
{
	return qc_snapshot_update_run(img, delete_snapshot, &(struct qc_snapshot_args){ .s = s });
}
