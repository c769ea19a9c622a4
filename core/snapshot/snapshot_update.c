/* SPDX-License-Identifier: MIT */
#include "snapshot/snapshot_update.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/outcome.h"
#include "base/range.h"
#include "update/checkpoint.h"

/* ---- tables --------------------------------------------------------------- */

qc_err qc_snapshot_update_damaged(struct qc_snapshot_update *j, uint64_t offset)
{
	return qc_layer_report_damage(j->l, "the tables of a snapshot cannot be changed: the one at 0x%"
				      PRIx64 " is damaged", offset);
}

qc_err qc_snapshot_update_read_l1(struct qc_snapshot_update *j, const struct qc_l1_table *root, uint8_t **out)
{
	size_t bytes = root->l1_entries * UINT64_C(8), got;

	*out = malloc(bytes + 1);
	if (!*out)
		return -ENOMEM;
	return bytes ? qc_file_read(j->w->file, root->l1_offset, *out, bytes, &got) : 0;
}

qc_err qc_snapshot_update_each_table(struct qc_snapshot_update *j, const uint8_t *l1, uint64_t entries,
			     qc_snapshot_update_l2_fn *fn)
{
	qc_err r = 0;

	for (uint64_t i = 0; !r && i < entries; i++) {
		struct hoff table;
		size_t got;

		if (l1_decode(j->g, be64_at(l1 + 8 * i), &table))
			return qc_snapshot_update_damaged(j, j->shadow.root.l1_offset);
		if (!table.v)
			continue;
		r = qc_file_read(j->w->file, table.v, j->l2, geom_l2_bytes(j->g), &got);
		if (!r)
			r = fn(j, i, table);
	}
	return r;
}

qc_err qc_snapshot_update_entry(const struct qc_snapshot_update *j, size_t at, struct l2_entry *e)
{
	return l2_entry_decode(j->g, be64_at(j->l2 + at), qc_snapshot_update_entry_bytes(j) == 16 ? be64_at(j->l2 + at + 8) : 0,
			    e);
}

qc_err qc_snapshot_update_adjust_l2(struct qc_snapshot_update *j, struct hoff table, int by)
{
	qc_err r = 0;

	for (size_t at = 0; !r && at < geom_l2_bytes(j->g); at += qc_snapshot_update_entry_bytes(j)) {
		struct l2_entry e;

		if (qc_snapshot_update_entry(j, at, &e))
			return qc_snapshot_update_damaged(j, table.v);
		if (e.kind == QC_COMPRESSED)
			r = qc_atomic_update_adjust(&j->shadow, e.host.v, e.compressed_len, by);
		else if (e.host.v)
			r = qc_atomic_update_adjust(&j->shadow, e.host.v, geom_cluster(j->g), by);
	}
	return r == QC_REFCOUNT_UNDERFLOW ? qc_snapshot_update_damaged(j, table.v) : r;
}

qc_err qc_snapshot_update_write_copy(struct qc_snapshot_update *j, uint64_t index)
{
	struct hoff to = qc_atomic_update_next_cluster(&j->shadow);

	be64_to(j->l1 + 8 * index, to.v | L2_COPIED);
	return qc_file_write(j->w->file, to.v, j->l2, geom_l2_bytes(j->g));
}

/* ---- the change ----------------------------------------------------------- */

static uint64_t clusters(const struct qc_snapshot_update *j, uint64_t bytes)
{
	return div_up(bytes, geom_cluster(j->g));
}

qc_err qc_snapshot_update_reserve(struct qc_snapshot_update *j, uint64_t tables)
{
	struct qc_atomic_update *s = &j->shadow;
	qc_err r = qc_atomic_update_reserve(s, tables);

	if (!r)
		r = qc_atomic_update_reserve_run(s, clusters(j, s->root.l1_entries * UINT64_C(8)), &j->l1_at);
	if (!r)
		r = qc_atomic_update_reserve_run(s, clusters(j, j->rows_bytes), &j->rows_at);
	return r ? r : qc_atomic_update_reserve_refcounts(s);
}

static qc_err write_l1(struct qc_snapshot_update *j)
{
	struct qc_l1_table *root = &j->shadow.root;

	if (!root->l1_entries)
		return 0;
	root->l1_offset = j->l1_at.v;
	return qc_file_write(j->w->file, root->l1_offset, j->l1, root->l1_entries * UINT64_C(8));
}

static qc_err write_rows(struct qc_snapshot_update *j)
{
	const struct qc_header *h = &j->l->head;
	qc_err r = 0;

	if (j->table.n)
		r = qc_atomic_update_adjust(&j->shadow, h->snapshots_offset, j->table.len, -1);
	if (r)
		return r == QC_REFCOUNT_UNDERFLOW ? qc_snapshot_update_damaged(j, h->snapshots_offset) : r;
	j->shadow.snapshots_offset = j->rows_at.v;
	return j->rows_bytes ? qc_file_write(j->w->file, j->rows_at.v, j->rows, j->rows_bytes) : 0;
}

qc_err qc_snapshot_update_change(struct qc_snapshot_update *j, qc_snapshot_update_fn *fn, const struct qc_snapshot *s)
{
	qc_err r = qc_atomic_update_begin(&j->shadow);

	if (!r)
		r = fn(j, s);
	if (!r)
		r = write_l1(j);
	if (!r)
		r = write_rows(j);
	if (!r)
		r = qc_atomic_update_commit(&j->shadow);
	if (r)
		qc_atomic_update_abort(&j->shadow);
	return r;
}

/* ---- the frame ------------------------------------------------------------ */

static qc_err open_job(struct qc_image *img, struct qc_snapshot_update *j)
{
	*j = (struct qc_snapshot_update){ .l = img->layer[0], .g = &img->layer[0]->head.geom };
	if (!img->writable)
		return -EROFS;
	if (j->g->layout == LAYOUT_V1 || j->g->external)
		return -EOPNOTSUPP;
	j->w = j->l->writer;
	return qc_writer_prepare(j->w) ? -EIO : qc_writer_flush_all(j->w);
}

static qc_err begin(struct qc_snapshot_update *j)
{
	const struct qc_header *h = &j->l->head;
	qc_err r = qc_writer_flush_all(j->w);

	if (!r)
		r = qc_snapshot_table_read(j->w->file, h->snapshots_offset, h->snapshots, j->l->size,
				      &j->table);
	qc_atomic_update_init(&j->shadow, j->w);
	j->l2 = malloc(geom_l2_bytes(j->g));
	return r ? r : j->l2 ? 0 : -ENOMEM;
}

static void end(struct qc_snapshot_update *j)
{
	qc_snapshot_table_free(&j->table);
	qc_atomic_update_end(&j->shadow);
	free(j->rows);
	free(j->l1);
	free(j->l2);
}

qc_err qc_snapshot_update_run(struct qc_image *img, qc_snapshot_args_fn *fn, const struct qc_snapshot_args *wish)
{
	struct qc_snapshot_update j;
	qc_err settled, r = open_job(img, &j);

	if (r)
		return r;
	qc_lock(&j.w->resize_lock);
	qc_drain_begin(&j.l->inflight);
	r = begin(&j);
	if (!r)
		r = fn(&j, wish);
	end(&j);
	qc_drain_end(&j.l->inflight);
	qc_unlock(&j.w->resize_lock);
	/* A failure gives back what was taken; the file is to say so, too. */
	settled = qc_writer_flush_all(j.w);
	return qc_no_outcome(r ? r : settled);
}
