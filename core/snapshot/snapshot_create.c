/* SPDX-License-Identifier: MIT */
/*
 * snapshot_create.c - taking, deleting and renaming a snapshot while the disk is in use.
 *
 * A new snapshot gets the live L1 table and its L2 tables as they are.  The disk
 * goes on with copies of them, in which no cluster may be written in place, as
 * each has a second name now.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/range.h"
#include "update/checkpoint.h"
#include "snapshot/snapshot_update.h"

enum { NAME_LEN_MAX = 255 };

/* ---- take ----------------------------------------------------------------- */

static void clear_copied(struct qc_snapshot_update *j)
{
	for (size_t at = 0; at < geom_l2_bytes(j->g); at += qc_snapshot_update_entry_bytes(j)) {
		uint64_t word = be64_at(j->l2 + at);

		if (!(word & L2_COMPRESSED))
			be64_to(j->l2 + at, word & ~L2_COPIED);
	}
}

static qc_err share_table(struct qc_snapshot_update *j, uint64_t index, struct hoff table)
{
	qc_err r = qc_snapshot_update_adjust_l2(j, table, 1);

	if (r == -EOVERFLOW) {
		qc_log(&j->l->ctx->log, QC_LOG_ERROR,
		       "%s: no snapshot can be taken: its refcounts have %u bits, and cannot "
		       "count one more", j->l->path, 1u << j->l->head.refcount_order);
		return -EMLINK;
	}
	if (r)
		return r;
	clear_copied(j);
	return qc_snapshot_update_write_copy(j, index);
}

/* VM state stays with the snapshot. */
static qc_err share_all(struct qc_snapshot_update *j, const struct qc_snapshot *s)
{
	uint64_t need = geom_l1_need(j->g, s->size);

	memset(j->l1 + 8 * need, 0, 8 * (s->l1_entries - need));
	j->shadow.snapshots++;
	return qc_snapshot_update_each_table(j, j->l1, need, share_table);
}

static uint64_t count_tables(const struct qc_snapshot_update *j)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < j->shadow.root.l1_entries; i++)
		n += be64_at(j->l1 + 8 * i) != 0;
	return n;
}

static qc_err check_name(const struct qc_snapshot_table *t, const struct qc_snapshot_args *wish)
{
	const char *name = wish->name;
	size_t len = wish->len;

	if (!len || memchr(name, 0, len))
		return -EINVAL;
	if (len > NAME_LEN_MAX)
		return -ENAMETOOLONG;
	for (uint32_t i = 0; i < t->n; i++)
		if (t->entry[i].s.name_len == len && !memcmp(t->entry[i].s.name, name, len))
			return -EEXIST;
	return 0;
}

static qc_err take(struct qc_snapshot_update *j, const struct qc_snapshot_args *wish)
{
	char id[24];
	struct timespec now;
	struct qc_snapshot s = { .name = wish->name, .name_len = wish->len, .id = id,
				 .size = j->l->size, .icount = UINT64_MAX };
	struct qc_snapshot_table_edit edit = { .skip = UINT32_MAX, .add = &s };
	qc_err r = check_name(&j->table, wish);

	if (!r && j->table.n == SNAPSHOTS_MAX)
		r = -EMLINK;
	if (r)
		return r;
	clock_gettime(CLOCK_REALTIME, &now);
	s.date_s = now.tv_sec;
	s.date_ns = (uint32_t)now.tv_nsec;
	s.id_len = (size_t)snprintf(id, sizeof(id), "%" PRIu64, qc_snapshot_table_next_id(&j->table));
	s.l1_offset = j->shadow.root.l1_offset;
	s.l1_entries = j->shadow.root.l1_entries;
	r = qc_snapshot_table_write(&j->table, &edit, &j->rows, &j->rows_bytes);
	if (!r)
		r = qc_snapshot_update_read_l1(j, &j->shadow.root, &j->l1);
	if (!r)
		r = qc_snapshot_update_reserve(j, count_tables(j));
	return r ? r == -EFBIG ? -EMLINK : r : qc_snapshot_update_change(j, share_all, &s);
}

/* ---- rename --------------------------------------------------------------- */

/* Only the rows are other ones: their place is counted first, then named. */
static qc_err switch_rows(struct qc_snapshot_update *j)
{
	struct qc_header *h = &j->l->head;
	uint64_t n = div_up(j->rows_bytes, geom_cluster(j->g)), before = h->snapshots_offset;
	uint8_t raw[12];
	qc_err r = qc_alloc_contiguous(&j->w->alloc, n, &j->rows_at);

	if (r)
		return r;
	r = qc_file_write(j->w->file, j->rows_at.v, j->rows, j->rows_bytes);
	if (!r)
		r = qc_checkpoint(j->w, false);
	be32_to(raw, j->table.n);
	be64_to(raw + 4, j->rows_at.v);
	if (!r)
		r = qc_writer_update_header(j->w, HEAD_SNAPSHOTS, raw, sizeof(raw));
	if (r && !j->w->aborted) /* else the file may name them already */
		qc_alloc_cancel(&j->w->alloc, j->rows_at, n);
	if (r)
		return r;
	h->snapshots_offset = j->rows_at.v;
	qc_alloc_defer_free(&j->w->alloc, before, round_up(j->table.len, geom_cluster(j->g)));
	return 0;
}

static qc_err rename_row(struct qc_snapshot_update *j, const struct qc_snapshot_args *wish)
{
	struct qc_snapshot_table_edit edit = { .skip = UINT32_MAX, .name = wish->name, .name_len = wish->len,
				    .renamed = qc_snapshot_table_find(&j->table, wish->s) };
	qc_err r = check_name(&j->table, wish);

	if (edit.renamed == j->table.n)
		return -ENOENT;
	if (qc_layer_snapshot_is_pinned(j->l, wish->s->l1_offset))
		return -EBUSY;
	if (!r)
		r = qc_snapshot_table_write(&j->table, &edit, &j->rows, &j->rows_bytes);
	return r ? r : switch_rows(j);
}

/* --------------------------------------------------------------------------- */

qc_err qc_snapshot_take(struct qc_image *img, const char *name, size_t len)
{
	return qc_snapshot_update_run(img, take, &(struct qc_snapshot_args){ NULL, name, len });
}

qc_err qc_snapshot_delete(struct qc_image *img, const struct qc_snapshot *s)
{
	return qc_snapshot_update_run(img, qc_snapshot_delete_update, &(struct qc_snapshot_args){ .s = s });
}

qc_err qc_snapshot_rename(struct qc_image *img, const struct qc_snapshot *s, const char *name,
			  size_t len)
{
	return qc_snapshot_update_run(img, rename_row, &(struct qc_snapshot_args){ s, name, len });
}
