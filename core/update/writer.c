/* SPDX-License-Identifier: MIT */
#include "update/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/range.h"
#include "format/features.h"
#include "format/l2_entry.h"
#include "format/snapshot_table.h"
#include "io/image_lock.h"
#include "layer/cluster_map.h"
#include "layer/context_fields.h"
#include "update/autoclear.h"
#include "update/checkpoint.h"
#include "update/data_punch.h"
#include "update/overlap_check.h"

/* ---- open ----------------------------------------------------------------- */

/* Checks that no incompatible feature of the image forbids writing. */
static qc_err check_write_features(const struct qc_header *h, struct qc_reason *why)
{
	uint64_t bits = h->incompatible & ~qc_features_with(QC_INCOMPATIBLE, QC_FEATURE_WRITE);
	struct qc_feature list[64];
	char names[200];

	if (!bits)
		return 0;
	qc_features_join_names(list, qc_features_list(QC_INCOMPATIBLE, bits, list), names,
			       sizeof(names));
	return qc_fail(why, -EROFS, "cannot write: incompatible feature: %s%s", names,
		       bits & INCOMPAT_CORRUPT ? " (qcowfs check -r all may repair it)" : "");
}

qc_err qc_writer_check_writable(const struct qc_layer *l, struct qc_reason *why)
{
	const struct qc_header *h = &l->head;
	const char *path;
	qc_err r;

	if (l->format != QC_FORMAT_QCOW)
		return qc_fail(why, -EROFS, "not a QCOW image");
	r = check_write_features(h, why);
	if (r)
		return r;
	if (h->geom.external && l->ctx->policy.refs != QC_REFS_ANY &&
	    !qc_layer_may_write_data_file(l->ctx, h->data_file, &path))
		return qc_fail(why, -EROFS, "cannot write: data file '%s' is not to be written "
			       "(data-file=%s allows it)", h->data_file, h->data_file);
	return 0;
}

/* Checks that the L1 tables of all snapshots are inside of the file, and that the file is large
 * enough for all of them.  A table behind the end would become other data when the file
 * grows, and too many tables would take forever to read. */
static qc_err check_snapshot_table(const struct qc_layer *l, struct qc_reason *why)
{
	const struct qc_header *h = &l->head;
	struct qc_file_stat now;
	struct qc_snapshot_table t;
	uint64_t l1_bytes = 0;
	qc_err r = qc_snapshot_table_read(l->file, h->snapshots_offset, h->snapshots, h->size, &t);

	if (r == -ENOMEM)
		return qc_fail(why, r, "out of memory");
	if (!r)
		r = qc_file_stat(l->file, &now);
	for (uint32_t i = 0; !r && i < t.n; i++) {
		const struct qc_snapshot *s = &t.entry[i].s;

		l1_bytes += round_up(s->l1_entries * UINT64_C(8), geom_cluster(&h->geom));
		if (!qc_snapshot_entry_is_valid(s, geom_cluster(&h->geom), now.size) ||
		    l1_bytes > round_up(now.size, geom_cluster(&h->geom)))
			r = -EIO;
	}
	qc_snapshot_table_free(&t);
	return !r ? 0 : qc_fail(why, -EROFS, "cannot write: the snapshot table is damaged "
				"(qcowfs check -r all may repair it)");
}

static qc_err reopen_for_writing(const struct qc_layer *l, struct qc_file *f, struct qc_watch *watch,
				 struct qc_file **out, struct qc_reason *why)
{
	int fd = qc_reopen(qc_file_fd(f), O_RDWR | O_NONBLOCK);
	qc_err r;

	if (fd < 0)
		return qc_fail_as(why, QC_CAUSE_READONLY, -errno, "cannot open for writing: %s%s",
				  strerror(errno), qc_errno_hint(-errno));
	r = qc_file_of_fd(fd, out);
	if (!r && l->ctx->direct_writes)
		qc_file_enable_direct(*out);
	if (r)
		close(fd);
	else
		r = qc_watched_file_new(out, watch, NULL);
	return r ? qc_fail(why, r, "out of memory") : 0;
}

/* Watches the fields of the header that all images of the version have. */
static qc_err watch_header(struct qc_layer *l, struct qc_file *f, struct qc_reason *why)
{
	size_t bytes = l->head.version == 1 ? HEAD1_BYTES :
		       l->head.version == 2 ? HEAD_V2_BYTES : HEAD_V3_BYTES;
	qc_err r = qc_watch_header(&l->watch, f, bytes);

	return r ? qc_fail_errno(why, r, "cannot read the header") : 0;
}

static qc_err open_files_for_writing(struct qc_writer *w, struct qc_reason *why)
{
	struct qc_layer *l = w->layer;
	enum qc_locking how = l->ctx->locking;
	qc_err r = reopen_for_writing(l, l->file, &l->watch, &w->file, why);

	if (!r)
		r = qc_image_lock_write(qc_file_fd(l->file), qc_file_fd(w->file), how, why);
	if (r)
		qc_layer_explain_lock(l, l->file, why);
	w->data = w->file;
	if (!r)
		r = watch_header(l, w->file, why);
	if (r || l->data == l->file)
		return r;
	r = reopen_for_writing(l, l->data, &l->data_watch, &w->data, why);
	if (r)
		return r;
	r = qc_image_lock_write(qc_file_fd(l->data), qc_file_fd(w->data), how, why);
	if (r)
		qc_layer_explain_lock(l, l->data, why);
	return r;
}

/* Returns the first byte of version 1 that the allocator may use.  VirtualBox reads and writes
 * the L1 table in units of clusters, so no data may be in the last of these. */
static uint64_t find_first_cluster_v1(const struct geom *g)
{
	uint64_t cs = geom_cluster(g);

	return round_up(g->l1_offset + round_up((uint64_t)g->l1_entries * 8, cs), cs);
}

/* Reserves a low cluster for each L2 table that is missing (see struct qc_alloc). */
static void reserve_table_zone(struct qc_writer *w)
{
	const struct geom *g = &w->layer->head.geom;
	uint64_t span = geom_l1_span(g), raw;

	w->alloc.table_zone_end = w->layer->size >> g->cluster_bits;
	for (uint64_t at = 0; at < w->layer->size; at += span)
		if (!qc_map_l1_get(w->layer, (struct goff){ at }, &raw) && !raw)
			w->alloc.table_zone_reserved++;
}

/* A qc_refcount_report_fn. */
static void report_refcount_damage(void *arg, const char *object, uint64_t off,
				   const char *problem)
{
	qc_layer_report_damage(arg, "%s at 0x%" PRIx64 ": %s", object, off, problem);
}

/* A qc_reftable_invalid_fn: the check has reported the entry. */
static void ignore_invalid_entry(void *arg, uint64_t index, uint64_t entry)
{
	(void)arg, (void)index, (void)entry;
}

static qc_err open_allocator(struct qc_writer *w, bool damaged_refcounts, struct qc_reason *why)
{
	const struct qc_header *h = &w->layer->head;
	const struct geom *g = &h->geom;
	struct qc_alloc *a = &w->alloc;
	struct qc_file_stat now;
	qc_err r = qc_file_stat(w->file, &now);

	if (r)
		return qc_fail_errno(why, r, NULL);
	a->cluster_bits = g->cluster_bits;
	a->has_refcounts = g->layout != LAYOUT_V1;
	a->never_written = div_up(now.size, geom_cluster(g));
	if (g->layout == LAYOUT_V2)
		reserve_table_zone(w);
	if (a->has_refcounts) {
		r = qc_refcounts_open_damaged(&a->refcounts, w->file, h, &w->layer->ctx->budget,
					      damaged_refcounts ? ignore_invalid_entry : NULL,
					      NULL, why);
		a->refcounts.aborted = &w->aborted;
		a->refcounts.report_damage = report_refcount_damage;
		a->refcounts.report_arg = w->layer;
		return r;
	}
	a->cursor = max_u64(a->never_written, find_first_cluster_v1(g) >> g->cluster_bits);
	a->never_written = a->cursor;
	return 0;
}

void qc_writer_free(struct qc_writer *w)
{
	qc_writer_client_close(w, false);
	qc_free_list_clear(&w->alloc.pending);
	qc_data_punch_destroy(&w->data_punch);
	qc_overlap_map_free(w->overlap_map);
	qc_refcounts_close(&w->alloc.refcounts);
	if (w->data != w->file)
		qc_file_close(w->data);
	qc_file_close(w->file);
	qc_mutex_destroy(&w->alloc.lock);
	qc_mutex_destroy(&w->resize_lock);
	qc_mutex_destroy(&w->pending_free_lock);
	qc_mutex_destroy(&w->checkpoint_lock);
	qc_mutex_destroy(&w->table_lock);
	qc_range_locks_destroy(&w->range_locks);
	free(w);
}

qc_err qc_writer_open_for_repair(struct qc_layer *l, bool damaged_refcounts, struct qc_writer **out,
				 struct qc_reason *why)
{
	struct qc_writer *w;
	qc_err r;

	w = calloc(1, sizeof(*w));
	if (!w)
		return qc_fail(why, -ENOMEM, "out of memory");
	w->layer = l;
	w->unmap = l->ctx->unmap;
	qc_range_locks_init(&w->range_locks);
	qc_data_punch_init(&w->data_punch);
	qc_mutex_init(&w->table_lock, QC_RANK_TABLE);
	qc_mutex_init(&w->resize_lock, QC_RANK_RESIZE);
	qc_mutex_init(&w->pending_free_lock, QC_RANK_PENDING_FREE);
	qc_mutex_init(&w->checkpoint_lock, QC_RANK_CHECKPOINT);
	qc_mutex_init(&w->alloc.lock, QC_RANK_ALLOC);
	r = open_files_for_writing(w, why);
	if (!r)
		r = open_allocator(w, damaged_refcounts, why);
	w->metadata = (struct qc_metadata){
		.file = w->file,
		.head = &l->head,
		.tables = l->tables,
		.refcounts = w->alloc.has_refcounts ? &w->alloc.refcounts : NULL,
		.refcount_lock = &w->alloc.lock,
	};
	qc_writer_add_client(w, &qc_autoclear_client, NULL);
	if (r)
		qc_writer_free(w);
	else
		*out = w;
	return r;
}

qc_err qc_writer_open(struct qc_layer *l, struct qc_writer **out, struct qc_reason *why)
{
	qc_err r = qc_writer_check_writable(l, why);

	if (!r && l->head.snapshots)
		r = check_snapshot_table(l, why);
	if (r) {
		why->cause = QC_CAUSE_READONLY;
		return r;
	}
	return qc_writer_open_for_repair(l, false, out, why);
}

qc_err qc_writer_close(struct qc_writer *w)
{
	/* No sync if nothing is dirty: the image stays locked until this returns, and the user
	 * may want to use it right after the unmount. */
	qc_err r = qc_writer_client_close(w, true), flushed = qc_writer_flush_all(w);

	qc_writer_free(w);
	return r ? r : flushed;
}

/* Compares both files with their known state. */
static qc_err compare_files(struct qc_writer *w)
{
	qc_err r = qc_watch_compare(&w->layer->watch, w->file);

	if (!r && w->data != w->file)
		r = qc_watch_compare(&w->layer->data_watch, w->data);
	return r;
}

qc_err qc_writer_prepare(struct qc_writer *w)
{
	qc_err r = 0;

	if (w->aborted)
		return -EIO;
	if (w->clients.first_change) {
		if (w->clients.urgent)
			qc_writer_client_relieve(w);
		return 0;
	}
	qc_lock(&w->table_lock);
	if (!w->clients.first_change)
		r = compare_files(w);
	if (!r && !w->clients.first_change)
		r = qc_writer_client_first_change(w);
	qc_unlock(&w->table_lock);
	return r;
}
