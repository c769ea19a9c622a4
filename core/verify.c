/* SPDX-License-Identifier: MIT */
#include "verify.h"

#include <errno.h>

#include "context.h"
#include "names.h"
#include "range.h"

/* A second is enough to read this much. */
#define TABLES_BYTES_MAX (64 * MIB)

static bool is_worth_it(struct qc_names *m)
{
	uint64_t tables;

	switch (m->w->layer->ctx->verify) {
	case QC_VERIFY_ON:
		return true;
	case QC_VERIFY_OFF:
		return false;
	case QC_VERIFY_AUTO:
		break;
	}
	return m->n <= QC_NAMES_WINDOW && !qc_names_cost(m, &tables) &&
	       tables <= TABLES_BYTES_MAX / geom_l2_bytes(m->g);
}

static qc_err compare(struct qc_names *m, bool *lie) NEEDS(&m->w->alloc.lock);
static qc_err compare(struct qc_names *m, bool *lie)
{
	qc_err r = 0;

	for (uint64_t c = m->first; !r && !*lie && c < qc_names_end(m); c++) {
		uint64_t count, names = m->of[c - m->first];

		if (!names)
			continue;
		r = qc_counts_get(&m->w->alloc.counts, c, &count);
		*lie = !r && count < names;
	}
	return r;
}

static qc_err look(struct qc_names *m, bool *lie)
{
	qc_err r = 0;

	m->tolerant = true;
	if (!is_worth_it(m))
		return 0;
	for (uint64_t first = 0; !r && !*lie && first < m->n; first += QC_NAMES_WINDOW) {
		r = qc_names_count(m, first);
		qc_lock(&m->w->alloc.lock);
		if (!r)
			r = compare(m, lie);
		qc_unlock(&m->w->alloc.lock);
	}
	return r;
}

qc_err qc_verify(struct qc_writer *w, bool *lie)
{
	struct qc_names m;
	qc_err r;

	*lie = false;
	if (!w->alloc.counted)
		return 0;
	r = qc_names_open(&m, w);
	if (!r)
		r = look(&m, lie);
	qc_names_close(&m);
	return r;
}
