/* SPDX-License-Identifier: MIT */
/*
 * snapshot_delete.c - deleting a snapshot.
 *
 * What it named loses a name, and is free if that was the last.  Live tables in which
 * that leaves clusters their own get a copy that says so.
 */
#include <errno.h>

#include "base/outcome.h"
#include "snapshot/snapshot_update.h"

static qc_err drop_table(struct qc_snapshot_update *j, uint64_t index, struct hoff table)
{
	qc_err r = qc_snapshot_update_adjust_l2(j, table, -1);

	(void)index;
	return r ? r : qc_atomic_update_adjust(&j->shadow, table.v, geom_l2_bytes(j->g), -1);
}

static qc_err drop_tree(struct qc_snapshot_update *j, const struct qc_snapshot *s)
{
	struct qc_l1_table root = { s->l1_offset, s->l1_entries };
	uint8_t *l1;
	qc_err r = qc_snapshot_update_read_l1(j, &root, &l1);

	if (!r)
		r = qc_snapshot_update_each_table(j, l1, s->l1_entries, drop_table);
	free(l1);
	if (!r && s->l1_entries)
		r = qc_atomic_update_adjust(&j->shadow, s->l1_offset, s->l1_entries * UINT64_C(8), -1);
	return r == QC_REFCOUNT_UNDERFLOW ? qc_snapshot_update_damaged(j, s->l1_offset) : r;
}

/* Whether the entry names a cluster that it may come to have alone. */
static bool may_adopt(const struct qc_snapshot_update *j, size_t at, struct l2_entry *e)
{
	return !qc_snapshot_update_entry(j, at, e) && e->kind != QC_COMPRESSED && e->host.v && !e->copied;
}

/* Each entry says whether its cluster has no other name. */
static qc_err set_copied(struct qc_snapshot_update *j, bool *changed)
{
	*changed = false;
	for (size_t at = 0; at < geom_l2_bytes(j->g); at += qc_snapshot_update_entry_bytes(j)) {
		uint64_t count;
		struct l2_entry e;
		qc_err r;

		if (!may_adopt(j, at, &e))
			continue;
		r = qc_atomic_update_refcount(&j->shadow, e.host, &count);
		if (r)
			return r;
		if (count != 1)
			continue;
		be64_to(j->l2 + at, be64_at(j->l2 + at) | L2_COPIED);
		*changed = true;
	}
	return 0;
}

static qc_err adopt_table(struct qc_snapshot_update *j, uint64_t index, struct hoff table)
{
	uint64_t count;
	bool changed;
	qc_err r = qc_atomic_update_refcount(&j->shadow, table, &count);

	if (r || count != 1) /* another snapshot has it, too */
		return r;
	be64_to(j->l1 + 8 * index, table.v | L2_COPIED);
	r = set_copied(j, &changed);
	if (r || !changed)
		return r;
	r = qc_snapshot_update_write_copy(j, index);
	return r ? r : qc_atomic_update_adjust(&j->shadow, table.v, geom_l2_bytes(j->g), -1);
}

static qc_err drop_all(struct qc_snapshot_update *j, const struct qc_snapshot *s)
{
	struct qc_l1_table *root = &j->shadow.root;
	qc_err r = drop_tree(j, s);

	if (!r)
		r = qc_snapshot_update_each_table(j, j->l1, root->l1_entries, adopt_table);
	if (!r && root->l1_entries)
		r = qc_atomic_update_adjust(&j->shadow, root->l1_offset, root->l1_entries * UINT64_C(8), -1);
	j->shadow.snapshots--;
	return r;
}

/* Live tables of which adopt_table() may make a copy. */
static qc_err count_shared(struct qc_snapshot_update *j, uint64_t index, struct hoff table)
{
	bool shared = false;
	struct l2_entry e;

	(void)index, (void)table;
	for (size_t at = 0; !shared && at < geom_l2_bytes(j->g); at += qc_snapshot_update_entry_bytes(j))
		shared = may_adopt(j, at, &e);
	j->shared += shared;
	return 0;
}

qc_err qc_snapshot_delete_update(struct qc_snapshot_update *j, const struct qc_snapshot_args *wish)
{
	struct qc_snapshot_table_edit edit = { .skip = qc_snapshot_table_find(&j->table, wish->s) };
	const struct qc_snapshot *mine;
	qc_err r;

	if (edit.skip == j->table.n)
		return -ENOENT;
	mine = &j->table.entry[edit.skip].s;
	if (mine->l1_entries > L1_ENTRIES_MAX || mine->l1_offset & (geom_cluster(j->g) - 1))
		return qc_snapshot_update_damaged(j, mine->l1_offset);
	if (qc_layer_snapshot_is_pinned(j->l, mine->l1_offset))
		return -EBUSY;
	r = qc_snapshot_table_write(&j->table, &edit, &j->rows, &j->rows_bytes);
	if (!r)
		r = qc_snapshot_update_read_l1(j, &j->shadow.root, &j->l1);
	if (!r)
		r = qc_snapshot_update_each_table(j, j->l1, j->shadow.root.l1_entries, count_shared);
	if (!r)
		r = qc_snapshot_update_reserve(j, j->shared);
	return r ? r : qc_snapshot_update_change(j, drop_all, mine);
}
