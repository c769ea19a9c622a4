/* SPDX-License-Identifier: MIT */
/*
 * snapshot_rename.c - give a snapshot another name.
 *
 * No refcount of guest data changes.  So it takes no atomic update, only a new snapshot
 * table: it is written, its refcounts are made durable, and then one write of the header
 * references it.
 */
#include <errno.h>

#include "base/range.h"
#include "snapshot/snapshot_update.h"
#include "update/checkpoint.h"

/* Writes the number of snapshots and the offset of the new table to the header. */
static qc_err write_snapshot_location(struct qc_snapshot_update *u)
{
	uint8_t raw[12];

	be32_to(raw, u->table.n);
	be64_to(raw + 4, u->new_table_at.v);
	return qc_writer_update_header(u->w, HEAD_SNAPSHOTS, raw, sizeof(raw));
}

static qc_err switch_snapshot_table(struct qc_snapshot_update *u)
{
	struct qc_header *h = &u->layer->head;
	uint64_t n = div_up(u->new_table_bytes, geom_cluster(u->g)), before = h->snapshots_offset;
	qc_err r = qc_alloc_contiguous(&u->w->alloc, n, &u->new_table_at);

	if (r)
		return r;
	r = qc_file_write(u->w->file, u->new_table_at.v, u->new_table, u->new_table_bytes);
	if (!r)
		r = qc_checkpoint(u->w, false);
	if (!r)
		r = write_snapshot_location(u);
	if (r && !u->w->aborted) /* else the header may reference it, and it leaks */
		qc_alloc_cancel(&u->w->alloc, u->new_table_at, n);
	if (r)
		return r;
	h->snapshots_offset = u->new_table_at.v;
	qc_alloc_defer_free(&u->w->alloc, before, round_up(u->table.len, geom_cluster(u->g)));
	return 0;
}

static qc_err rename_snapshot(struct qc_snapshot_update *u, const struct qc_snapshot_args *args)
{
	struct qc_snapshot_table_edit edit = { .skip = UINT32_MAX,
					       .name = args->name,
					       .name_len = args->len,
					       .renamed =
						       qc_snapshot_table_find(&u->table, args->s) };
	qc_err r = qc_snapshot_update_check_name(&u->table, args);

	if (edit.renamed == u->table.n)
		return -ENOENT;
	if (qc_layer_snapshot_is_pinned(u->layer, args->s->l1_offset))
		return -EBUSY;
	if (!r)
		r = qc_snapshot_table_write(&u->table, &edit, &u->new_table, &u->new_table_bytes);
	return r ? r : switch_snapshot_table(u);
}

qc_err qc_snapshot_rename(struct qc_image *img, const struct qc_snapshot *s, const char *name,
			  size_t len)
{
	return qc_snapshot_update_run(img, rename_snapshot,
				      &(struct qc_snapshot_args){ s, name, len });
}
