/* SPDX-License-Identifier: MIT */
#include "snapshot/snapshot_update.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/range.h"

/* ---- tables --------------------------------------------------------------- */

qc_err qc_snapjob_damaged(struct qc_snapjob *j, uint64_t offset)
{
	return qc_layer_damaged(j->l, "the tables of a snapshot cannot be changed: the one at 0x%"
				      PRIx64 " is damaged", offset);
}

qc_err qc_snapjob_read_l1(struct qc_snapjob *j, const struct qc_root *root, uint8_t **out)
{
	size_t bytes = root->l1_entries * UINT64_C(8), got;

	*out = malloc(bytes + 1);
	if (!*out)
		return -ENOMEM;
	return bytes ? qc_file_read(j->w->file, root->l1_offset, *out, bytes, &got) : 0;
}

qc_err qc_snapjob_each_table(struct qc_snapjob *j, const uint8_t *l1, uint64_t entries,
			     qc_snapl2_fn *fn)
{
	qc_err r = 0;

	for (uint64_t i = 0; !r && i < entries; i++) {
		struct hoff table;
		size_t got;

		if (l1_decode(j->g, be64_at(l1 + 8 * i), &table))
			return qc_snapjob_damaged(j, j->shadow.root.l1_offset);
		if (!table.v)
			continue;
		r = qc_file_read(j->w->file, table.v, j->l2, geom_l2_bytes(j->g), &got);
		if (!r)
			r = fn(j, i, table);
	}
	return r;
}

qc_err qc_snapjob_entry(const struct qc_snapjob *j, size_t at, struct entry *e)
{
	return entry_decode(j->g, be64_at(j->l2 + at), qc_snapjob_step(j) == 16 ? be64_at(j->l2 + at + 8) : 0,
			    e);
}

qc_err qc_snapjob_add_names(struct qc_snapjob *j, struct hoff table, int by)
{
	qc_err r = 0;

	for (size_t at = 0; !r && at < geom_l2_bytes(j->g); at += qc_snapjob_step(j)) {
		struct entry e;

		if (qc_snapjob_entry(j, at, &e))
			return qc_snapjob_damaged(j, table.v);
		if (e.kind == QC_PACKED)
			r = qc_shadow_add(&j->shadow, e.host.v, e.packed_len, by);
		else if (e.host.v)
			r = qc_shadow_add(&j->shadow, e.host.v, geom_cluster(j->g), by);
	}
	return r == -ERANGE ? qc_snapjob_damaged(j, table.v) : r;
}

qc_err qc_snapjob_write_copy(struct qc_snapjob *j, uint64_t index)
{
	struct hoff to = qc_shadow_place(&j->shadow);

	be64_to(j->l1 + 8 * index, to.v | L2_COPIED);
	return qc_file_write(j->w->file, to.v, j->l2, geom_l2_bytes(j->g));
}

/* ---- the change ----------------------------------------------------------- */

static uint64_t clusters(const struct qc_snapjob *j, uint64_t bytes)
{
	return div_up(bytes, geom_cluster(j->g));
}

qc_err qc_snapjob_own(struct qc_snapjob *j, uint64_t tables)
{
	struct qc_shadow *s = &j->shadow;
	qc_err r = qc_shadow_own(s, tables);

	if (!r)
		r = qc_shadow_own_run(s, clusters(j, s->root.l1_entries * UINT64_C(8)), &j->l1_at);
	if (!r)
		r = qc_shadow_own_run(s, clusters(j, j->rows_bytes), &j->rows_at);
	return r ? r : qc_shadow_own_counts(s);
}

static qc_err write_l1(struct qc_snapjob *j)
{
	struct qc_root *root = &j->shadow.root;

	if (!root->l1_entries)
		return 0;
	root->l1_offset = j->l1_at.v;
	return qc_file_write(j->w->file, root->l1_offset, j->l1, root->l1_entries * UINT64_C(8));
}

static qc_err write_rows(struct qc_snapjob *j)
{
	const struct qc_header *h = &j->l->head;
	qc_err r = 0;

	if (j->table.n)
		r = qc_shadow_add(&j->shadow, h->snapshots_offset, j->table.bytes, -1);
	if (r)
		return r == -ERANGE ? qc_snapjob_damaged(j, h->snapshots_offset) : r;
	j->shadow.snapshots_offset = j->rows_at.v;
	return j->rows_bytes ? qc_file_write(j->w->file, j->rows_at.v, j->rows, j->rows_bytes) : 0;
}

static qc_err make_change(struct qc_snapjob *j, qc_snapjob_fn *fn, const struct qc_snapshot *s)
{
	qc_err r = qc_shadow_begin(&j->shadow);

	if (!r)
		r = fn(j, s);
	if (!r)
		r = write_l1(j);
	if (!r)
		r = write_rows(j);
	if (!r)
		r = qc_shadow_commit(&j->shadow);
	if (r)
		qc_shadow_abort(&j->shadow);
	return r;
}

/* With the locks that keep others off the counts. */
qc_err qc_snapjob_change(struct qc_snapjob *j, qc_snapjob_fn *fn, const struct qc_snapshot *s)
{
	qc_err r;

	qc_lock(&j->w->flush_lock);
	qc_lock(&j->w->alloc.lock);
	r = make_change(j, fn, s);
	qc_unlock(&j->w->alloc.lock);
	qc_unlock(&j->w->flush_lock);
	return r;
}

/* ---- the frame ------------------------------------------------------------ */

static qc_err open_job(struct qc_image *img, struct qc_snapjob *j)
{
	*j = (struct qc_snapjob){ .l = img->layer[0], .g = &img->layer[0]->head.geom };
	if (!img->writable)
		return -EROFS;
	if (j->g->layout == LAYOUT_V1 || j->g->external)
		return -EOPNOTSUPP;
	j->w = j->l->writer;
	return qc_writer_ready(j->w) ? -EIO : qc_writer_settle(j->w);
}

static qc_err begin(struct qc_snapjob *j)
{
	const struct qc_header *h = &j->l->head;
	qc_err r = qc_writer_settle(j->w);

	if (!r)
		r = qc_snaptable_read(j->w->file, h->snapshots_offset, h->snapshots, j->l->size,
				      &j->table);
	qc_shadow_init(&j->shadow, j->w);
	j->l2 = malloc(geom_l2_bytes(j->g));
	return r ? r : j->l2 ? 0 : -ENOMEM;
}

static void end(struct qc_snapjob *j)
{
	qc_snaptable_free(&j->table);
	qc_shadow_end(&j->shadow);
	free(j->rows);
	free(j->l1);
	free(j->l2);
}

qc_err qc_snapjob_run(struct qc_image *img, qc_snapwish_fn *fn, const struct qc_snapwish *wish)
{
	struct qc_snapjob j;
	qc_err settled, r = open_job(img, &j);

	if (r)
		return r;
	qc_lock(&j.w->resize_lock);
	qc_gate_close(&j.l->gate);
	r = begin(&j);
	if (!r)
		r = fn(&j, wish);
	end(&j);
	qc_gate_open(&j.l->gate);
	qc_unlock(&j.w->resize_lock);
	/* A failure gives back what was taken; the file is to say so, too. */
	settled = qc_writer_settle(j.w);
	return r ? r : settled;
}
