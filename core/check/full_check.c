/* SPDX-License-Identifier: MIT */
#include "check/full_check.h"

#include <errno.h>
#include <string.h>

#include "base/range.h"
#include "check/compressed_overlap.h"
#include "check/reference_count.h"
#include "check/reference_search.h"
#include "metadata/refcount_scan.h"

struct window_check {
	struct qc_reference_count references; /* first: the callback gets a pointer to it */
	const struct qc_full_check *c;
	struct qc_findings out;
	struct qc_entry_check entries;
	struct qc_reference_search search;
	struct qc_refcount_scan scan;
	bool has_compressed; /* in the window */
	bool is_copied_doubtful; /* COPIED of an entry may be wrong there */
	uint64_t file_clusters;
	uint64_t used_end; /* cluster behind the last one in use */
	uint64_t expected; /* L2 tables that will be read */
	unsigned int percent;
};

static void report_check_progress(struct window_check *k, unsigned int percent)
{
	if (percent <= k->percent || !k->c->progress)
		return;
	k->percent = percent;
	k->c->progress(k->c->progress_arg, k->c->path, QC_WORK_CHECK, percent);
}

static qc_err report_counted_table(struct qc_reference_count *m)
{
	struct window_check *k = (struct window_check *)m;

	report_check_progress(k, m->l2_tables < k->expected ?
					 (unsigned int)(m->l2_tables * 100 / k->expected) : 99);
	return k->c->interrupted && k->c->interrupted(k->c->progress_arg) ? -ECANCELED : 0;
}

static qc_err check_item_entries(struct qc_reference_count *m, struct qc_metadata_item *item)
{
	return qc_entry_check_item(&((struct window_check *)m)->entries, item);
}

/* ---- clusters ----------------------------------------------------------------------- */

/* Calls @fn for the clusters of the window, up to QC_SCAN_MAX at a time, with their refcounts;
 * version 1 has 0 for all. */
static qc_err for_each_refcount(struct window_check *k,
				qc_err (*fn)(struct window_check *k, uint64_t cluster, size_t n,
					     const uint64_t *refcounts))
{
	uint64_t refcounts[QC_SCAN_MAX] = { 0 };
	size_t n;
	qc_err r = 0;

	for (uint64_t c = k->entries.first; !r && c < k->entries.end; c += n) {
		n = (size_t)min_u64(k->entries.end - c, QC_SCAN_MAX);
		if (k->references.md->refcounts)
			r = qc_refcount_scan_read(&k->scan, c, n, refcounts);
		if (!r)
			r = fn(k, c, n, refcounts);
	}
	return r;
}

/* Returns true if guest data or other metadata may be overwritten by way of this cluster, though
 * its refcount is right. */
static bool is_overlap(const struct qc_reference_count *m, uint64_t cluster)
{
	uint32_t kinds = m->count[cluster - m->first];

	return qc_reference_conflict(m, cluster) &&
	       (m->g->layout == LAYOUT_V1 || kinds & QC_REF_METADATA);
}

/* For findings beyond a number no entry is searched: all tables would be read again. */
static qc_err add_cluster_finding(struct window_check *k, const struct qc_finding *f)
{
	qc_err r = qc_reference_search_add(&k->search, f);

	if (r == -ENOSPC)
		qc_findings_add(&k->out, f);
	return r == -ENOSPC ? 0 : r;
}

/* An overlap is a corruption beside a wrong refcount, too, but often the reason for one that is too
 * low.  Only that of a refcount block is told twice, as QEMU does. */
static void report_overlap_beside(struct window_check *k, uint64_t cluster, const struct qc_finding *f)
{
	const struct qc_reference_count *m = &k->references;
	struct qc_finding overlap = *f;

	if (!qc_reference_shares_refcounts(m, cluster) && !(f->is_leak && is_overlap(m, cluster)))
		return;
	overlap.kind = QC_FINDING_OVERLAP;
	overlap.is_leak = false;
	qc_findings_add(&k->out, &overlap);
}

/* Returns true if an active entry may have COPIED without a refcount of 1, or the other way
 * round. */
static bool is_copied_doubtful(uint32_t count, uint64_t refcount)
{
	if (refcount != 1)
		return count & QC_REF_WRITABLE;
	return count & QC_REF_COPIED_LATER &&
	       (!(count & QC_REF_WRITABLE) || (count & QC_REF_COUNT_MAX) > 1);
}

static qc_err check_cluster(struct window_check *k, uint64_t cluster, uint64_t refcount)
{
	struct qc_reference_count *m = &k->references;
	struct qc_finding f = {
		.table = "",
		.table_offset = QC_NO_OFFSET,
		.guest_offset = QC_NO_OFFSET,
		.host_offset = cluster << m->bits,
		.refcount = refcount,
		.references = qc_reference_count_of(m, cluster),
	};

	if (cluster >= k->file_clusters && !f.references)
		return 0; /* beyond the end of the file, as QEMU does */
	if (f.references || f.refcount)
		k->used_end = max_u64(k->used_end, cluster + 1);
	if (m->count[cluster - m->first] & QC_REF_COMPRESSED)
		k->has_compressed = true;
	if (is_copied_doubtful(m->count[cluster - m->first], refcount))
		k->is_copied_doubtful = true;
	f.is_leak = f.refcount > f.references && m->md->refcounts;
	f.kind = f.is_leak ? QC_FINDING_LEAK : QC_FINDING_REFCOUNT_LOW;
	if (m->md->refcounts && f.refcount != f.references && f.references < QC_REF_COUNT_MAX) {
		report_overlap_beside(k, cluster, &f);
		return add_cluster_finding(k, &f);
	}
	f.kind = QC_FINDING_OVERLAP;
	return is_overlap(m, cluster) ? add_cluster_finding(k, &f) : 0;
}

static qc_err check_clusters(struct window_check *k, uint64_t cluster, size_t n,
			     const uint64_t *refcounts)
{
	const uint32_t plain = QC_REF_GUEST_DATA | QC_REF_ACTIVE | QC_REF_COPIED_LATER |
			       QC_REF_WRITABLE | 1;
	const uint32_t *count = k->references.count + (cluster - k->references.first);
	qc_err r = 0;

	for (size_t i = 0; !r && i < n; i++) {
		if (refcounts[i] == 1 && count[i] == plain) /* as most clusters */
			k->used_end = max_u64(k->used_end, cluster + i + 1);
		else if (refcounts[i] || count[i])
			r = check_cluster(k, cluster + i, refcounts[i]);
	}
	return r;
}

/* Notes of each cluster whether its refcount is 1. */
static qc_err note_ones(struct window_check *k, uint64_t cluster, size_t n,
			const uint64_t *refcounts)
{
	uint8_t *is_one = k->entries.is_one;
	uint64_t first = cluster - k->entries.first;

	for (size_t i = 0; i < n; i++)
		is_one[(first + i) / 8] |= (uint8_t)((refcounts[i] == 1) << (first + i) % 8);
	return 0;
}

static qc_err compare_copied(void *arg, struct qc_metadata_item *item)
{
	return qc_entry_check_item(arg, item);
}

/* Finds the entries in which COPIED is wrong.  Of a sound image, no entry is looked at. */
static qc_err check_copied_flags(struct window_check *k)
{
	struct qc_entry_check *e = &k->entries;
	qc_err r = 0;

	if (!e->is_one)
		e->is_one = malloc(QC_REF_WINDOW / 8);
	if (!e->is_one)
		return -ENOMEM;
	memset(e->is_one, 0, QC_REF_WINDOW / 8);
	r = for_each_refcount(k, note_ones);
	e->compares_copied = true;
	return r ? r : qc_metadata_for_each(e->md, QC_WALK_READ_L2 | QC_WALK_DAMAGED,
					    compare_copied, e);
}

static qc_err check_refcount_window(struct window_check *k, uint64_t first)
{
	struct qc_reference_count *m = &k->references;
	qc_err r;

	m->on_item = first ? NULL : check_item_entries;
	k->has_compressed = false;
	r = qc_reference_count_run(m, first);
	k->entries.first = first;
	k->entries.end = qc_reference_count_end(m);
	/* A damaged entry, or one that references a cluster beyond the end, is not counted. */
	k->is_copied_doubtful = k->out.result->corruptions;
	if (!r)
		r = for_each_refcount(k, check_clusters);
	if (!r && k->is_copied_doubtful)
		r = check_copied_flags(k);
	if (!r)
		r = qc_reference_search_run(&k->search, m, &k->out);
	return r || !k->has_compressed ? r : qc_compressed_overlap_check(m, &k->out);
}

/* ---- the whole check ---------------------------------------------------------------- */

/* Prepares a count as QEMU counts: a reference may end less than a cluster beyond the end. */
static qc_err open_window_check(struct window_check *k, uint64_t file_bytes)
{
	struct qc_reference_count *m = &k->references;
	qc_err r = qc_reference_count_open(m, k->c->md);

	if (r)
		return r;
	k->file_clusters = m->n;
	r = qc_reference_count_extend(m, m->n + (geom_cluster(m->g) >> m->bits));
	m->end = file_bytes + geom_cluster(m->g) - 1;
	m->ignore_damage = m->keep_damaged = m->exact_end = true;
	m->on_l2_table = report_counted_table;
	k->entries = (struct qc_entry_check){
		.md = k->c->md, .out = &k->out, .file_bytes = file_bytes, .all_end = m->n,
	};
	if (!r && k->c->md->refcounts)
		r = qc_refcount_scan_open(&k->scan, k->c->md->refcounts);
	if (!r)
		r = qc_reference_l2_tables(m, &k->expected);
	k->expected *= div_up(m->n, QC_REF_WINDOW);
	return r;
}

static void close_window_check(struct window_check *k)
{
	free(k->search.found);
	free(k->entries.is_one);
	qc_refcount_scan_close(&k->scan);
	qc_reference_count_close(&k->references);
}

qc_err qc_full_check(const struct qc_full_check *c)
{
	const struct qc_header *h = c->md->head;
	struct qc_check_result *result = c->out.result;
	struct window_check k = { .c = c, .out = c->out };
	struct qc_file_stat now;
	qc_err r = qc_file_stat(c->md->file, &now);
	uint64_t file_bytes = r ? 0 : round_up(now.size, SECTOR);

	*result = (struct qc_check_result){
		.version = h->version,
		.total_clusters = div_up(h->size, geom_cluster(&h->geom)),
		.dirty = h->incompatible & INCOMPAT_DIRTY,
		.corrupt = h->incompatible & INCOMPAT_CORRUPT,
	};
	if (r)
		return r;
	r = open_window_check(&k, file_bytes);
	for (uint64_t first = 0; !r && first < k.references.n; first += QC_REF_WINDOW)
		r = check_refcount_window(&k, first);
	if (!r)
		r = qc_entry_check_snapshots(&k.entries);
	result->image_end_offset = round_up(k.used_end << k.references.bits, geom_cluster(&h->geom));
	close_window_check(&k);
	report_check_progress(&k, 100);
	return r;
}
