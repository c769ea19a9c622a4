/* SPDX-License-Identifier: MIT */
#include "check/full_check.h"

#include <errno.h>

#include "base/range.h"
#include "check/reference_count.h"

struct window_check {
	struct qc_reference_count references; /* first: the callback gets a pointer to it */
	const struct qc_full_check *c;
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
	return 0;
}

/* Returns true if guest data or other metadata may be overwritten by way of this cluster, though
 * its refcount is right. */
static bool is_overlap(const struct qc_reference_count *m, uint64_t cluster)
{
	uint32_t kinds = m->count[cluster - m->first];

	return qc_reference_conflict(m, cluster) &&
	       (m->g->layout == LAYOUT_V1 || kinds & QC_REF_METADATA);
}

static qc_err check_cluster(struct window_check *k, uint64_t cluster)
{
	struct qc_reference_count *m = &k->references;
	struct qc_findings out = k->c->out;
	struct qc_finding f = {
		.table = "",
		.table_offset = QC_NO_OFFSET,
		.guest_offset = QC_NO_OFFSET,
		.host_offset = cluster << m->bits,
		.references = qc_reference_count_of(m, cluster),
	};
	qc_err r = 0;

	if (m->md->refcounts)
		r = qc_refcounts_get(m->md->refcounts, cluster, &f.refcount);
	if (r || (cluster >= k->file_clusters && !f.references))
		return r; /* beyond the end of the file, as QEMU does */
	if (f.references || f.refcount)
		k->used_end = max_u64(k->used_end, cluster + 1);
	f.is_leak = f.refcount > f.references && m->md->refcounts;
	f.kind = f.is_leak ? QC_FINDING_LEAK : QC_FINDING_REFCOUNT_LOW;
	if (m->md->refcounts && f.refcount != f.references && f.references < QC_REF_COUNT_MAX) {
		qc_findings_add(&out, &f);
	} else if (is_overlap(m, cluster)) {
		f.kind = QC_FINDING_OVERLAP;
		qc_findings_add(&out, &f);
	}
	return r;
}

static qc_err check_windows(struct window_check *k)
{
	struct qc_reference_count *m = &k->references;
	qc_err r = 0;

	for (uint64_t first = 0; !r && first < m->n; first += QC_REF_WINDOW) {
		r = qc_reference_count_run(m, first);
		for (uint64_t c = first; !r && c < qc_reference_count_end(m); c++)
			r = check_cluster(k, c);
	}
	return r;
}

/* Prepares a count as QEMU counts: a reference may end less than a cluster beyond the end. */
static qc_err open_check_count(struct window_check *k, uint64_t file_bytes)
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
	if (!r)
		r = qc_reference_l2_tables(m, &k->expected);
	k->expected *= div_up(m->n, QC_REF_WINDOW);
	return r;
}

qc_err qc_full_check(const struct qc_full_check *c)
{
	const struct qc_header *h = c->md->head;
	struct qc_check_result *result = c->out.result;
	struct qc_findings out = c->out;
	struct window_check k = { .c = c };
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
	r = open_check_count(&k, file_bytes);
	if (!r)
		r = qc_entry_check(c->md, file_bytes, &out);
	if (!r)
		r = check_windows(&k);
	result->image_end_offset = round_up(k.used_end << k.references.bits, geom_cluster(&h->geom));
	qc_reference_count_close(&k.references);
	report_check_progress(&k, 100);
	return r;
}
