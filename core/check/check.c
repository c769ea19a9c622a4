/* SPDX-License-Identifier: MIT */
#include "check/check.h"

#include <errno.h>
#include <time.h>

#include "layer/context_fields.h"
#include "update/overlap_check.h"
#include "check/reference_count.h"
#include "base/outcome.h"
#include "base/range.h"

/* QC_VERIFY_AUTO does not begin with more tables than can be read in a second. */
#define TABLES_BYTES_MAX (512 * MIB) /* summed up over all windows */
enum { WINDOWS_MAX = 4 };

struct timed_check {
	struct qc_reference_count references; /* first: the callback gets a pointer to it */
	struct timespec deadline;
};

static bool is_short(struct qc_reference_count *m)
{
	uint64_t tables, windows = div_up(m->n, QC_REF_WINDOW);

	return windows <= WINDOWS_MAX && !qc_reference_l2_tables(m, &tables) &&
	       tables * windows <= TABLES_BYTES_MAX / geom_l2_bytes(m->g);
}

static qc_err check_deadline(struct qc_reference_count *m)
{
	const struct timed_check *t = (const struct timed_check *)m;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec < t->deadline.tv_sec ||
	       (now.tv_sec == t->deadline.tv_sec && now.tv_nsec < t->deadline.tv_nsec) ? 0 : QC_TIME_OVER;
}

/* Compares the references of the window with the refcounts.  The caller holds refcount_lock. */
static qc_err compare_window(struct qc_reference_count *m, bool *inconsistent)
{
	qc_err r = 0;

	for (uint64_t c = m->first; !r && !*inconsistent && c < qc_reference_count_end(m); c++) {
		uint64_t refcount, references = qc_reference_count_of(m, c);

		*inconsistent = qc_reference_conflict(m, c) || qc_reference_is_shared(m, c);
		if (!references || *inconsistent || !m->md->refcounts)
			continue;
		r = qc_refcounts_get(m->md->refcounts, c, &refcount);
		*inconsistent = !r && refcount < references;
	}
	return r;
}

/* ---- metadata alone --------------------------------------------------------- */

struct metadata_check {
	const struct qc_metadata *md;
	bool is_free; /* the refcount of a cluster of metadata is 0 */
};

static qc_err check_item_is_counted(void *arg, struct qc_metadata_item *item)
{
	struct metadata_check *k = arg;
	uint64_t cs = geom_cluster(&k->md->head->geom), refcount;
	qc_err r = 0;

	if (item->invalid)
		return 0;
	qc_metadata_lock(k->md);
	for (uint64_t off = item->off; !r && !k->is_free && off < item->off + item->len; off += cs) {
		r = qc_metadata_refcount(k->md, off, &refcount);
		k->is_free = !r && !refcount;
	}
	qc_metadata_unlock(k->md);
	return r;
}

/* Metadata with a refcount of 0 would be allocated for guest data, and overwritten. */
static qc_err check_metadata(const struct qc_metadata *md, bool *inconsistent)
{
	struct metadata_check k = { .md = md };
	qc_err r = qc_metadata_for_each(md, 0, check_item_is_counted, &k);

	*inconsistent = k.is_free;
	return r;
}

/* ---- all clusters ------------------------------------------------------------ */

/* Extends the count to the last cluster that a refcount block covers: clusters beyond the
 * end of the file may be allocated already.  A reference beyond that is an error, since the
 * allocator takes the cluster for free. */
static qc_err extend_to_refcounts(struct qc_reference_count *m)
{
	const struct qc_refcounts *c = m->md->refcounts;
	uint64_t n = 0;

	for (uint64_t i = 0; c && i < c->entries; i++)
		if (c->table[i])
			n = min_u64((i + 1) << qc_refcounts_block_bits(c), QC_REF_WINDOW);
	return qc_reference_count_extend(m, max_u64(n, m->n));
}

/* *complete: all clusters were checked. */
static qc_err check_all(struct timed_check *t, bool no_limit, bool *inconsistent, bool *complete)
{
	struct qc_reference_count *m = &t->references;
	qc_err r;

	m->ignore_damage = true;
	*complete = no_limit || is_short(m);
	if (!*complete)
		return 0;
	m->on_l2_table = no_limit ? NULL : check_deadline;
	clock_gettime(CLOCK_MONOTONIC, &t->deadline);
	t->deadline.tv_sec++;
	r = extend_to_refcounts(m);
	for (uint64_t first = 0; !r && !*inconsistent && first < m->n; first += QC_REF_WINDOW) {
		r = qc_reference_count_run(m, first);
		qc_metadata_lock(m->md);
		if (!r)
			r = compare_window(m, inconsistent);
		qc_metadata_unlock(m->md);
		*inconsistent = *inconsistent || m->out_of_range;
	}
	*complete = r != QC_TIME_OVER;
	return *complete ? r : 0;
}

qc_err qc_check_before_write(struct qc_writer *w, bool *inconsistent)
{
	enum qc_verifying verify = w->layer->ctx->verify;
	struct timed_check t;
	bool complete = false;
	qc_err r;

	*inconsistent = false;
	if (verify == QC_VERIFY_OFF)
		return qc_overlap_map_new(w, &w->overlap_map);
	r = qc_reference_count_open(&t.references, &w->metadata);
	if (!r && w->metadata.refcounts)
		r = check_metadata(&w->metadata, inconsistent);
	if (!r && !*inconsistent)
		r = check_all(&t, verify == QC_VERIFY_ON, inconsistent, &complete);
	qc_reference_count_close(&t.references);
	return r || complete || *inconsistent ? r : qc_overlap_map_new(w, &w->overlap_map);
}
