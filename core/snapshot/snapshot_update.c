/* SPDX-License-Identifier: MIT */
#include "snapshot/snapshot_update.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/outcome.h"
#include "base/range.h"
#include "image/gather.h"
#include "update/checkpoint.h"

enum { SNAPSHOT_NAME_MAX = 255 };

qc_err qc_snapshot_update_check_name(const struct qc_snapshot_table *t,
				     const struct qc_snapshot_args *args)
{
	const char *name = args->name;
	size_t len = args->len;

	if (!len || memchr(name, 0, len))
		return -EINVAL;
	if (len > SNAPSHOT_NAME_MAX)
		return -ENAMETOOLONG;
	for (uint32_t i = 0; i < t->n; i++)
		if (t->entry[i].s.name_len == len && !memcmp(t->entry[i].s.name, name, len))
			return -EEXIST;
	return 0;
}

/* ---- tables --------------------------------------------------------------- */

qc_err qc_snapshot_update_damaged(struct qc_snapshot_update *u, uint64_t offset)
{
	return qc_layer_report_damage(u->layer, "cannot change snapshots: the table at 0x%" PRIx64
				      " is damaged (qcowfs check may repair it)", offset);
}

qc_err qc_snapshot_update_read_l1(struct qc_snapshot_update *u, const struct qc_l1_table *l1,
				  uint8_t **out)
{
	size_t bytes = l1->l1_entries * UINT64_C(8), got;

	*out = malloc(bytes + 1);
	if (!*out)
		return -ENOMEM;
	return bytes ? qc_file_read(u->w->file, l1->l1_offset, *out, bytes, &got) : 0;
}

struct l2_visit {
	struct qc_snapshot_update *u;
	qc_snapshot_update_l2_fn *fn;
};

static qc_err visit_valid_l2(void *arg, struct qc_metadata_item *item)
{
	const struct l2_visit *v = arg;

	if (item->invalid)
		return qc_snapshot_update_damaged(v->u,
						  item->excessive ? item->off : item->entry_off);
	return v->fn(v->u, item);
}

qc_err qc_snapshot_update_each_l2(struct qc_snapshot_update *u, const uint8_t *l1, uint64_t entries,
				  qc_snapshot_update_l2_fn *fn)
{
	struct qc_l1_table table = {
		.l1_offset = u->atomic.l1.l1_offset, .l1_entries = (uint32_t)entries
	};
	struct l2_visit visit = { u, fn };

	return qc_metadata_for_each_l2(&u->w->metadata, &table, l1, QC_WALK_READ_L2,
				       visit_valid_l2, &visit);
}

qc_err qc_snapshot_update_adjust_l2(struct qc_snapshot_update *u,
				    const struct qc_metadata_item *item, int by)
{
	qc_err r = 0;

	for (uint64_t i = 0; !r && i < item->len >> u->g->entry_bits; i++) {
		struct l2_entry e;

		if (l2_entry_at(u->g, item->bytes, i, &e))
			return qc_snapshot_update_damaged(u, item->off);
		if (e.kind == QC_COMPRESSED)
			r = qc_atomic_update_adjust(&u->atomic, e.host.v, e.compressed_len, by);
		else if (e.host.v)
			r = qc_atomic_update_adjust(&u->atomic, e.host.v, geom_cluster(u->g), by);
	}
	return r;
}

qc_err qc_snapshot_update_write_copy(struct qc_snapshot_update *u,
				     const struct qc_metadata_item *item)
{
	struct hoff to = qc_atomic_update_next_cluster(&u->atomic);

	be64_to(u->l1 + 8 * item->index, l1_encode(u->g, to, true));
	return qc_file_write(u->w->file, to.v, item->bytes, item->len);
}

qc_err qc_snapshot_update_share_l2(struct qc_snapshot_update *u, struct qc_metadata_item *item)
{
	qc_err r = qc_snapshot_update_adjust_l2(u, item, 1);

	if (r == -EOVERFLOW) {
		qc_log(&u->layer->ctx->log, QC_LOG_ERROR,
		       "%s: cannot share clusters with a snapshot: a refcount of %u bits cannot "
		       "be higher (delete another snapshot)", u->layer->path,
		       1u << u->layer->head.refcount_order);
		return -EMLINK;
	}
	if (r)
		return r;
	for (uint64_t i = 0; i < item->len >> u->g->entry_bits; i++)
		l2_entry_set_copied(u->g, item->bytes, i, false);
	return qc_snapshot_update_write_copy(u, item);
}

uint64_t qc_snapshot_update_count_l2(const uint8_t *l1, uint64_t entries)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < entries; i++)
		n += be64_at(l1 + 8 * i) != 0;
	return n;
}

static qc_err drop_l2_table(struct qc_snapshot_update *u, struct qc_metadata_item *item)
{
	qc_err r = qc_snapshot_update_adjust_l2(u, item, -1);

	return r ? r : qc_atomic_update_adjust(&u->atomic, item->off, item->len, -1);
}

qc_err qc_snapshot_update_drop_tables(struct qc_snapshot_update *u, const struct qc_l1_table *table)
{
	uint8_t *l1;
	qc_err r = qc_snapshot_update_read_l1(u, table, &l1);

	if (!r)
		r = qc_snapshot_update_each_l2(u, l1, table->l1_entries, drop_l2_table);
	free(l1);
	if (!r && table->l1_entries)
		r = qc_atomic_update_adjust(&u->atomic, table->l1_offset,
					    table->l1_entries * UINT64_C(8), -1);
	return r;
}

/* ---- the change ----------------------------------------------------------- */

static uint64_t clusters_of(const struct qc_snapshot_update *u, uint64_t bytes)
{
	return div_up(bytes, geom_cluster(u->g));
}

qc_err qc_snapshot_update_reserve(struct qc_snapshot_update *u, uint64_t l2_tables)
{
	struct qc_atomic_update *a = &u->atomic;
	uint64_t l1_clusters = clusters_of(u, a->l1.l1_entries * UINT64_C(8));
	qc_err r = qc_atomic_update_reserve(a, l2_tables);

	if (!r)
		r = qc_atomic_update_reserve_run(a, l1_clusters, &u->new_l1_at);
	if (!r)
		r = qc_atomic_update_reserve_run(a, clusters_of(u, u->new_table_bytes),
						 &u->new_table_at);
	return r ? r : qc_atomic_update_reserve_refcounts(a);
}

static qc_err write_active_l1(struct qc_snapshot_update *u)
{
	struct qc_l1_table *l1 = &u->atomic.l1;

	if (!l1->l1_entries)
		return 0;
	l1->l1_offset = u->new_l1_at.v;
	return qc_file_write(u->w->file, l1->l1_offset, u->l1, l1->l1_entries * UINT64_C(8));
}

/* Writes the new snapshot table, and frees the old one. */
static qc_err write_snapshot_table(struct qc_snapshot_update *u)
{
	uint64_t old = u->layer->head.snapshots_offset;
	qc_err r = 0;

	if (u->table.n)
		r = qc_atomic_update_adjust(&u->atomic, old, u->table.len, -1);
	if (r)
		return r;
	u->atomic.snapshots_offset = u->new_table_at.v;
	if (!u->new_table_bytes)
		return 0;
	return qc_file_write(u->w->file, u->new_table_at.v, u->new_table, u->new_table_bytes);
}

qc_err qc_snapshot_update_change(struct qc_snapshot_update *u, qc_snapshot_update_fn *fn,
				 const struct qc_snapshot *s)
{
	qc_err r = qc_atomic_update_begin(&u->atomic);

	if (!r)
		r = fn(u, s);
	if (!r)
		r = write_active_l1(u);
	if (!r)
		r = write_snapshot_table(u);
	if (!r)
		r = qc_atomic_update_commit(&u->atomic);
	if (r)
		qc_atomic_update_abort(&u->atomic);
	return r;
}

/* ---- the frame ------------------------------------------------------------ */

/* Checks that the image can have snapshots, and writes most of its dirty metadata while
 * requests go on. */
static qc_err prepare_snapshot_update(struct qc_image *img, struct qc_snapshot_update *u)
{
	*u = (struct qc_snapshot_update){ .layer = img->layer[0], .g = &img->layer[0]->head.geom };
	if (!img->writable)
		return -EROFS;
	if (u->g->layout == LAYOUT_V1 || u->g->external)
		return -EOPNOTSUPP;
	u->w = u->layer->writer;
	return qc_writer_prepare(u->w) ? -EIO : qc_writer_flush_all(u->w);
}

/* Writes the rest of the dirty metadata, and reads the snapshot table. */
static qc_err begin_snapshot_update(struct qc_snapshot_update *u)
{
	const struct qc_header *h = &u->layer->head;
	qc_err r = qc_writer_flush_all(u->w);

	if (!r)
		r = qc_snapshot_table_read(u->w->file, h->snapshots_offset, h->snapshots,
					   u->layer->size, &u->table);
	qc_atomic_update_init(&u->atomic, u->w);
	return r;
}

static void end_snapshot_update(struct qc_snapshot_update *u)
{
	qc_snapshot_table_free(&u->table);
	qc_atomic_update_end(&u->atomic);
	free(u->new_table);
	free(u->l1);
}

qc_err qc_snapshot_update_run(struct qc_image *img, qc_snapshot_change_fn *fn,
			      const struct qc_snapshot_args *args)
{
	struct qc_snapshot_update u;
	qc_err flushed, r = prepare_snapshot_update(img, &u);

	if (r)
		return r;
	qc_gather_block(img);
	qc_lock(&u.w->resize_lock);
	qc_drain_begin(&u.layer->inflight);
	r = begin_snapshot_update(&u);
	if (!r)
		r = fn(&u, args);
	end_snapshot_update(&u);
	qc_drain_end(&u.layer->inflight);
	qc_unlock(&u.w->resize_lock);
	qc_gather_unblock(img);
	/* A failed change has freed its reserved clusters again: that is dirty metadata. */
	flushed = qc_writer_flush_all(u.w);
	return qc_no_outcome(r ? r : flushed);
}
