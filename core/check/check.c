/* SPDX-License-Identifier: MIT */
#include "check/check.h"

#include <errno.h>
#include <time.h>

#include "layer/context.h"
#include "format/l2_entry.h"
#include "update/overlap_check.h"
#include "check/reference_count.h"
#include "base/outcome.h"
#include "base/range.h"
#include "format/snapshot_table.h"

/* A second may be enough to read this much; if it is not, that was that. */
#define TABLES_BYTES_MAX (512 * MIB) /* each window reads them again */
enum { WINDOWS_MAX = 4 };

struct look {
	struct qc_reference_count names; /* first: the callback gets it */
	struct timespec until;
};

static bool is_worth_it(struct qc_reference_count *m)
{
	uint64_t tables, windows = div_up(m->n, QC_REF_WINDOW);

	if (m->w->layer->ctx->verify == QC_VERIFY_ON)
		return true;
	return windows <= WINDOWS_MAX && !qc_reference_l2_tables(m, &tables) &&
	       tables * windows <= TABLES_BYTES_MAX / geom_l2_bytes(m->g);
}

static qc_err in_time(struct qc_reference_count *m)
{
	const struct look *l = (const struct look *)m;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec < l->until.tv_sec ||
	       (now.tv_sec == l->until.tv_sec && now.tv_nsec < l->until.tv_nsec) ? 0 : QC_TIME_OVER;
}

static qc_err compare(struct qc_reference_count *m, bool *lie) NEEDS(&m->w->alloc.lock);
static qc_err compare(struct qc_reference_count *m, bool *lie)
{
	qc_err r = 0;

	for (uint64_t c = m->first; !r && !*lie && c < qc_reference_count_end(m); c++) {
		uint64_t count, names = qc_reference_count_of(m, c);

		*lie = qc_reference_conflict(m, c);
		if (!names || *lie || !m->w->alloc.has_refcounts)
			continue;
		r = qc_refcounts_get(&m->w->alloc.refcounts, c, &count);
		*lie = !r && count < names;
	}
	return r;
}

/* ---- what is looked at in any case ------------------------------------------ */

struct counting {
	struct qc_writer *w;
	bool free; /* some is counted so */
};

static qc_err must_count(void *arg, uint64_t off, uint64_t len)
{
	struct counting *n = arg;
	struct qc_alloc *a = &n->w->alloc;
	uint64_t end = div_up(off + len, UINT64_C(1) << a->cluster_bits), count;
	qc_err r = 0;

	for (uint64_t c = off >> a->cluster_bits; !r && !n->free && c < end; c++) {
		r = qc_alloc_refcount(a, c, &count);
		n->free = !r && !count;
	}
	return r;
}

/* Tables that are counted free would be written over with whatever comes. */
static qc_err look_at_tables(struct qc_writer *w, bool *lie)
{
	struct counting n = { .w = w };
	qc_err r = qc_metadata_for_each(w, must_count, &n);

	*lie = n.free;
	return r;
}

/* ---- all ---------------------------------------------------------------------- */

/* A cluster may be taken before the file reaches it.  What is named behind all that
 * counts cover is free to them, and would be handed out when the file gets there. */
static qc_err extend_to_counts(struct qc_reference_count *m)
{
	const struct qc_refcounts *c = &m->w->alloc.refcounts;
	uint64_t n = 0;

	for (uint64_t i = 0; i < c->entries; i++)
		if (c->table[i])
			n = min_u64((i + 1) << qc_refcounts_block_bits(c), QC_REF_WINDOW);
	return qc_reference_count_extend(m, max_u64(n, m->n));
}

/* *all: they were compared to the end. */
static qc_err look(struct look *l, bool *lie, bool *all)
{
	struct qc_reference_count *m = &l->names;
	qc_err r;

	m->tolerant = true;
	*all = is_worth_it(m);
	if (!*all)
		return 0;
	if (m->w->layer->ctx->verify != QC_VERIFY_ON)
		m->read_one = in_time;
	clock_gettime(CLOCK_MONOTONIC, &l->until);
	l->until.tv_sec++;
	r = extend_to_counts(m);
	for (uint64_t first = 0; !r && !*lie && first < m->n; first += QC_REF_WINDOW) {
		r = qc_reference_count_run(m, first);
		qc_lock(&m->w->alloc.lock);
		if (!r)
			r = compare(m, lie);
		qc_unlock(&m->w->alloc.lock);
		*lie = *lie || m->impossible;
	}
	*all = r != QC_TIME_OVER;
	return *all ? r : 0;
}

qc_err qc_check_before_write(struct qc_writer *w, bool *lie)
{
	bool all = false;
	struct look l;
	qc_err r;

	*lie = false;
	if (w->layer->ctx->verify == QC_VERIFY_OFF)
		return qc_overlap_map_new(w, &w->overlap_map);
	r = qc_reference_count_open(&l.names, w);
	if (!r && w->alloc.has_refcounts)
		r = look_at_tables(w, lie);
	if (!r && !*lie)
		r = look(&l, lie, &all);
	qc_reference_count_close(&l.names);
	return r || all || *lie ? r : qc_overlap_map_new(w, &w->overlap_map);
}
