/* SPDX-License-Identifier: MIT */
#include "layer/file_holes.h"

#include "base/range.h"
#include "layer/context_fields.h"
#include "metadata/refcount_scan.h"

enum { UNKNOWN, DENSE, PREALLOCATED };

/* A block that is not valid counts nothing. */
static void skip_invalid_block(void *arg, uint64_t index, uint64_t entry)
{
	(void)arg, (void)index, (void)entry;
}

/* Counts the clusters with a refcount, up to @enough. */
static qc_err count_clusters_in_use(const struct qc_refcounts *refcounts, uint64_t end,
				    uint64_t enough, uint64_t *n)
{
	uint64_t counts[QC_SCAN_MAX], part;
	struct qc_refcount_scan s;
	qc_err r = qc_refcount_scan_open(&s, refcounts);

	*n = 0;
	for (uint64_t c = 0; !r && c < end && *n < enough; c += part) {
		part = min_u64(end - c, QC_SCAN_MAX);
		r = qc_refcount_scan_read(&s, c, part, counts);
		for (uint64_t i = 0; !r && i < part; i++)
			*n += counts[i] != 0;
	}
	qc_refcount_scan_close(&s);
	return r;
}

static qc_err has_holes_in_use(struct qc_layer *l, bool *out)
{
	uint64_t cs = geom_cluster(&l->head.geom), space, enough, n;
	struct qc_refcounts refcounts = { 0 };
	struct qc_file_stat now;
	struct qc_reason why;
	qc_err r = qc_file_stat(l->file, &now);

	*out = false;
	if (r)
		return r;
	space = now.allocated / cs;
	enough = max_u64(space * 10 / 9, space + 2);
	if (div_up(now.size, cs) < enough)
		return 0;
	r = qc_refcounts_open_damaged(&refcounts, l->file, &l->head, &l->ctx->budget,
				      skip_invalid_block, NULL, &why);
	if (!r)
		r = count_clusters_in_use(&refcounts, div_up(now.size, cs), enough, &n);
	*out = !r && n >= enough;
	qc_refcounts_close(&refcounts);
	return r;
}

qc_err qc_file_holes_in_use(struct qc_layer *l, bool *out)
{
	int known = atomic_load(&l->preallocation);
	qc_err r = 0;

	if (known == UNKNOWN) {
		r = has_holes_in_use(l, out);
		if (!r)
			atomic_store(&l->preallocation, *out ? PREALLOCATED : DENSE);
		return r;
	}
	*out = known == PREALLOCATED;
	return 0;
}
