/* SPDX-License-Identifier: MIT */
#include "evidence/tables.h"

#include <errno.h>

#include "base/range.h"
#include "layer/context_fields.h"

/* A qc_reftable_invalid_fn: an invalid entry counts nothing. */
static void ignore_invalid_block(void *arg, uint64_t index, uint64_t entry)
{
	(void)arg, (void)index, (void)entry;
}

qc_err qc_tables_open(struct qc_tables *t, struct qc_layer *l)
{
	struct qc_file_stat now;
	struct qc_reason ignored;
	qc_err r = l->format == QC_FORMAT_QCOW ? qc_file_stat(l->file, &now) : -EINVAL;

	if (r)
		return r;
	*t = (struct qc_tables){ .md = { .head = &l->head }, .file_bytes = now.size };
	qc_salvage_init(&t->file, l->file);
	t->md.file = &t->file.front.file;
	t->shift = l->head.version == 1 ? 9 : l->head.geom.cluster_bits;
	t->n = div_up(now.size, UINT64_C(1) << t->shift);
	if (l->head.version == 1)
		return 0;
	r = qc_refcounts_open_damaged(&t->refcounts, t->md.file, &l->head, &l->ctx->budget,
				      ignore_invalid_block, NULL, &ignored);
	t->md.refcounts = r ? NULL : &t->refcounts;
	if (r)
		qc_refcounts_close(&t->refcounts);
	return r == -ENOMEM ? r : 0;
}

void qc_tables_close(struct qc_tables *t)
{
	if (t->md.refcounts)
		qc_refcounts_close(t->md.refcounts);
}

uint64_t qc_tables_cluster_bytes(const struct qc_tables *t, uint64_t cluster)
{
	return range_clamp(cluster << t->shift, UINT64_C(1) << t->shift, t->file_bytes);
}
