/* SPDX-License-Identifier: MIT */
#include "evidence/cluster_use.h"

#include <errno.h>

#include "base/range.h"
#include "check/reference_count.h"

static void set_use(struct qc_cluster_use *u, uint64_t cluster, unsigned int use)
{
	u->state[cluster / 4] |= (uint8_t)(use << cluster % 4 * 2);
}

/* Marks the clusters of an extent, as far as the file has them. */
static void mark_referenced(struct qc_cluster_use *u, const struct qc_tables *t, uint64_t off,
			    uint64_t len)
{
	uint64_t end = min_u64(div_up(off + len, UINT64_C(1) << t->shift), u->n);

	for (uint64_t c = off >> t->shift; len && c < end; c++)
		set_use(u, c, QC_USE_REFERENCED);
}

static qc_err fill_window(struct qc_cluster_use *u, const struct qc_tables *t,
			  struct qc_reference_count *m)
{
	uint64_t end = min_u64(qc_reference_count_end(m), u->n);
	qc_err r = 0;

	for (uint64_t c = m->first; !r && c < end; c++) {
		uint64_t refcount = 0;

		if (t->md.refcounts)
			r = qc_refcounts_get(t->md.refcounts, c, &refcount);
		set_use(u, c, (qc_reference_count_of(m, c) ? QC_USE_REFERENCED : 0) |
			      (refcount ? QC_USE_COUNTED : 0));
	}
	return r;
}

static qc_err count_references(struct qc_cluster_use *u, struct qc_tables *t)
{
	struct qc_reference_count m;
	qc_err r = qc_reference_count_open(&m, &t->md);

	m.ignore_damage = true;
	for (uint64_t first = 0; !r && first < m.n; first += QC_REF_WINDOW) {
		r = qc_reference_count_run(&m, first);
		if (!r)
			r = fill_window(u, t, &m);
	}
	qc_reference_count_close(&m);
	return r;
}

qc_err qc_cluster_use_new(struct qc_tables *t, struct qc_cluster_use *out)
{
	const struct qc_header *h = t->md.head;
	qc_err r;

	*out = (struct qc_cluster_use){ .state = calloc(t->n / 4 + 1, 1), .n = t->n };
	if (!out->state)
		return -ENOMEM;
	r = count_references(out, t);
	mark_referenced(out, t, 0, HEAD1_BYTES); /* which version 1 does not count */
	mark_referenced(out, t, h->backing_offset, h->backing_len);
	if (r)
		qc_cluster_use_free(out);
	return r;
}

void qc_cluster_use_free(struct qc_cluster_use *u)
{
	free(u->state);
	u->state = NULL;
}

uint64_t qc_cluster_use_end(const struct qc_cluster_use *u, uint64_t cluster)
{
	uint64_t end = cluster + 1;

	while (end < u->n && qc_cluster_use_of(u, end) == qc_cluster_use_of(u, cluster))
		end++;
	return end;
}
