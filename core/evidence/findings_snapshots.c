/* SPDX-License-Identifier: MIT */
/* findings_snapshots.c - what snapshots and bitmaps tell about the history of the image. */
#include "evidence/findings.h"

#include <errno.h>
#include <inttypes.h>

#include "format/bitmap_directory.h"
#include "format/snapshot_table.h"

/* Returns the id if it is a number as QEMU gives them, else 0. */
static uint64_t number_of_id(const struct qc_snapshot *s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s->id_len; i++) {
		if (s->id[i] < '0' || s->id[i] > '9' || n > UINT32_MAX)
			return 0;
		n = n * 10 + (uint64_t)(s->id[i] - '0');
	}
	return n;
}

static bool is_earlier(const struct qc_snapshot *a, const struct qc_snapshot *b)
{
	return a->date_s < b->date_s || (a->date_s == b->date_s && a->date_ns < b->date_ns);
}

/* QEMU gives the next snapshot the highest id and one more. */
static void find_order(struct qc_finding_list *l, const struct qc_snapshot_table *t)
{
	const struct qc_snapshot *last = NULL;
	uint64_t last_id = 0;

	for (uint32_t i = 0; i < t->n; i++) {
		const struct qc_snapshot_entry *e = &t->entry[i];
		uint64_t id = number_of_id(&e->s), at = l->t->md.head->snapshots_offset + e->at;

		if (id > last_id + 1)
			qc_finding_list_add(l, QC_CODE_ID_GAP, at, e->len,
					    "id %" PRIu64 " comes after %" PRIu64 ": snapshots in between "
					    "were deleted", id, last_id);
		if (last && id > last_id && is_earlier(&e->s, last))
			qc_finding_list_add(l, QC_CODE_DATES_OUT_OF_ORDER, at, e->len,
					    "snapshot %" PRIu64 " has an earlier date than the one before it", id);
		if (e->s.date_s > l->img->layer[0]->stat_at_open.mtime_ns / 1000000000 + 1)
			qc_finding_list_add(l, QC_CODE_DATE_IN_FUTURE, at, e->len,
					    "the date of snapshot %" PRIu64 " is after the last change of the file", id);
		if (id > last_id) {
			last_id = id;
			last = &e->s;
		}
	}
}

static qc_err find_in_snapshots(struct qc_finding_list *l)
{
	const struct qc_header *h = l->t->md.head;
	struct qc_snapshot_table t;
	qc_err r;

	if (!h->snapshots)
		return 0;
	r = qc_snapshot_table_read(l->t->md.file, h->snapshots_offset, h->snapshots, h->size, &t);
	if (r == -EIO || r == -EINVAL)
		return 0; /* the check has found it */
	if (r)
		return r;
	find_order(l, &t);
	qc_snapshot_table_free(&t);
	return 0;
}

qc_err qc_findings_snapshots_find(struct qc_finding_list *l)
{
	const struct qc_header *h = l->t->md.head;
	struct qc_bitmaps b;
	qc_err r = find_in_snapshots(l);

	if (r || !h->bitmaps)
		return r;
	if (!(h->autoclear & AUTOCLEAR_BITMAPS))
		qc_finding_list_add(l, QC_CODE_BITMAP_STALE, h->bitmaps_offset, h->bitmaps_bytes,
				    "a program that does not know bitmaps has written to the image");
	r = qc_bitmaps_read(l->t->md.file, h, &b);
	for (size_t i = 0; i < b.n; i++)
		if (b.at[i].in_use)
			qc_finding_list_add(l, QC_CODE_BITMAP_IN_USE, h->bitmaps_offset, h->bitmaps_bytes,
					    "the bitmap \"%s\" was not closed", b.at[i].name);
	qc_bitmaps_free(&b);
	return r == -ENOMEM ? r : 0;
}
