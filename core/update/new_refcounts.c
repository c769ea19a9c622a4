/* SPDX-License-Identifier: MIT */
#include "update/new_refcounts.h"

#include <errno.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/range.h"
#include "layer/context_fields.h"
#include "qcow_array.h"
#include "update/checkpoint.h"

void qc_new_refcounts_init(struct qc_new_refcounts *n, struct qc_writer *w, unsigned int order)
{
	*n = (struct qc_new_refcounts){ .w = w, .order = order };
}

void qc_new_refcounts_free(struct qc_new_refcounts *n)
{
	free(n->block);
}

qc_err qc_new_refcounts_need(struct qc_new_refcounts *n, uint64_t cluster)
{
	uint64_t area = cluster >> qc_new_refcounts_area_bits(n);
	qc_err r = 0;

	if (area >= REFTABLE_BYTES_MAX / 8)
		return -EFBIG;
	if (area >= n->areas) {
		r = array_reserve(&n->block, &n->room, area + 1, sizeof(*n->block));
		if (r)
			return r;
		memset(n->block + n->areas, 0, (area + 1 - n->areas) * sizeof(*n->block));
		n->areas = area + 1;
	}
	if (!n->block[area])
		n->block[area] = QC_BLOCK_NEEDED;
	return 0;
}

uint64_t qc_new_refcounts_table_need(const struct qc_new_refcounts *n)
{
	return div_up(n->areas * 8, UINT64_C(1) << n->w->alloc.cluster_bits);
}

static qc_err write_new_table(const struct qc_new_refcounts *n)
{
	uint64_t bytes = n->table_clusters << n->w->alloc.cluster_bits;
	AUTO_FREE uint8_t *be = calloc(1, bytes);

	if (!be)
		return -ENOMEM;
	for (size_t i = 0; i < n->areas; i++)
		be64_to(be + 8 * i, n->block[i]);
	return qc_file_write(n->w->file, n->table.v, be, bytes);
}

/* Writes the header fields of the refcount table.  If the width changes, this field is written as
 * well, and those between. */
static qc_err write_new_location(const struct qc_new_refcounts *n)
{
	bool is_same_width = n->order == n->w->layer->head.refcount_order;
	uint8_t head[HEAD_LENGTH - HEAD_REFTABLE_OFFSET];
	size_t got;
	qc_err r = qc_file_read(n->w->file, HEAD_REFTABLE_OFFSET, head, sizeof(head), &got);

	if (r)
		return r;
	if (FAIL_POINT("refcounts.before-switch"))
		return -EIO;
	be64_to(head, n->table.v);
	be32_to(head + (HEAD_REFTABLE_CLUSTERS - HEAD_REFTABLE_OFFSET), (uint32_t)n->table_clusters);
	be32_to(head + (HEAD_REFCOUNT_ORDER - HEAD_REFTABLE_OFFSET), n->order);
	return qc_writer_update_header(n->w, HEAD_REFTABLE_OFFSET, head, is_same_width ?
				       HEAD_SNAPSHOTS - HEAD_REFTABLE_OFFSET : sizeof(head));
}

/* Gives the allocator the new refcounts. */
static void use_new_refcounts(struct qc_new_refcounts *n, const struct qc_refcounts *now,
			      const struct qc_header *head)
{
	struct qc_refcounts *rc = &n->w->alloc.refcounts, old = *rc;

	*rc = *now;
	rc->aborted = old.aborted;
	rc->report_damage = old.report_damage;
	rc->report_arg = old.report_arg;
	qc_refcounts_close(&old);
	n->w->layer->head = *head;
}

qc_err qc_new_refcounts_switch(struct qc_new_refcounts *n, struct qc_reason *why)
{
	struct qc_header head = n->w->layer->head;
	struct qc_refcounts now = { 0 };
	qc_err r = write_new_table(n);

	if (!r)
		r = qc_writer_sync(n->w);
	head.reftable_offset = n->table.v;
	head.reftable_clusters = (uint32_t)n->table_clusters;
	head.refcount_order = n->order;
	if (!r)
		r = qc_refcounts_open(&now, n->w->file, &head, &n->w->layer->ctx->budget, why);
	if (!r)
		r = write_new_location(n);
	if (r)
		qc_refcounts_close(&now);
	else
		use_new_refcounts(n, &now, &head);
	return r;
}
