/* SPDX-License-Identifier: MIT */
#include "request/cow_write.h"

#include <errno.h>
#include <inttypes.h>

#include "base/failpoint.h"
#include "base/range.h"
#include "request/unlink.h"
#include "update/abort.h"
#include "update/checkpoint.h"
#include "update/l2_table.h"
#include "update/overlap_check.h"

/* Returns true if the cluster needs more than a write of its data. */
static bool needs_allocation(const struct geom *g, const struct l2_entry *e)
{
	if (geom_is_extended(g))
		return !(e->copied && e->alloc == UINT32_MAX);
	return !(e->kind == QC_DATA && e->copied);
}

/* Reads the entries of the run, and ends it before the first cluster that needs no
 * allocation, and before the second one that has a host cluster already. */
static qc_err read_cow_entries(struct qc_cow_request *c)
{
	struct qc_layer *l = c->w->layer;
	const struct geom *g = &l->head.geom;
	qc_err r = qc_map_l2_get(l, c->l2_table, c->start, c->n, c->raw);

	for (uint64_t k = 0; !r && k < c->n; k++) {
		if (l2_entry_decode(g, c->raw[k].word, c->raw[k].bits, &c->old[k]))
			return qc_writer_mark_corrupt(
				c->w, "the L2 entry for guest offset 0x%" PRIx64 " is damaged",
				c->start.v + k * geom_cluster(g));
		if (!needs_allocation(g, &c->old[k]) ||
		    (k && l2_entry_has_host(g, &c->old[k]) && c->old[k].copied)) {
			c->n = k;
			break;
		}
	}
	return r;
}

/* Writes data to the new clusters, and links them. */
static qc_err fill_and_link(struct qc_cow_request *c)
{
	qc_err r = qc_overlap_check_write(c->w, c->host, c->host_bytes);

	if (!r)
		r = c->filler->fill(c);
	if (!r && FAIL_POINT("write.before-link"))
		r = -EIO;
	if (r)
		return r;
	c->filler->encode(c);
	return qc_map_l2_set(c->w->layer, c->l2_table, c->start, c->n, c->raw, QC_MAP_NEW_LINKS);
}

/* Runs the steps of the request in their order.  Nothing was linked if one fails. */
static qc_err allocate_fill_link(struct qc_cow_request *c, uint64_t *done)
{
	const struct geom *g = &c->w->layer->head.geom;
	qc_err r = c->filler->allocate(c);

	if (r)
		return r;
	c->end = min_u64(c->end, c->start.v + c->n * geom_cluster(g));
	r = fill_and_link(c);
	if (r) {
		c->filler->cancel(c);
		return r;
	}
	for (uint64_t k = 0; !c->keeps_host && k < c->n; k++)
		qc_unlink_defer_free(c->w, &c->old[k]);
	*done = c->end - c->off;
	return 0;
}

struct cow_attempt {
	struct qc_cow_request c;
	uint64_t n, end; /* as many as the range lock covers */
	uint64_t *done;
};

/* Repeats the lookup under the range lock, and makes an L2 table if there is none. */
static qc_err try_cow_write(void *arg)
{
	struct cow_attempt *a = arg;
	struct qc_cow_request *c = &a->c;
	struct qc_map_extent x;
	qc_err r;

	c->n = a->n;
	c->end = a->end;
	*a->done = 0;
	r = qc_map_lookup_writable(c->w->layer, (struct goff){ c->off }, c->end - c->off, &x);
	if (r || x.kind == QC_DAMAGED || c->filler->is_done(&x))
		return r; /* damage: the caller finds it, too */
	r = qc_writer_l2_table(c->w, c->start, &c->l2_table);
	if (!r)
		r = read_cow_entries(c);
	if (r || !c->n)
		return r;
	return allocate_fill_link(c, a->done);
}

/* Locks the a->n clusters of the attempt, and runs it. */
static qc_err run_cow_write(struct cow_attempt *a)
{
	uint64_t first = a->c.start.v, cluster = geom_cluster(&a->c.w->layer->head.geom);
	struct qc_locked_range range;
	qc_err r;

	qc_range_lock(&a->c.w->range_locks, &range, first, first + a->n * cluster);
	r = qc_with_checkpoints(a->c.w, try_cow_write, a);
	qc_range_unlock(&a->c.w->range_locks, &range);
	return r;
}

qc_err qc_cow_write(struct qc_image *img, const struct qc_cow_filler *filler, uint64_t off,
		    const uint8_t *buf, uint64_t len, uint64_t *done)
{
	struct qc_layer *l = img->layer[0];
	const struct geom *g = &l->head.geom;
	struct goff start = { off - geom_in_cluster(g, (struct goff){ off }) };
	struct cow_attempt a = {
		.c = { .img = img, .w = l->writer, .filler = filler, .buf = buf, .off = off,
		       .start = start },
		.end = off + len,
		.done = done,
	};

	a.n = geom_is_extended(g) ? 1 : COW_CLUSTERS_MAX;
	a.n = min_u64(a.n, qc_map_slice_clusters(l, start));
	a.n = min_u64(a.n, div_up(off + len - start.v, geom_cluster(g)));
	return run_cow_write(&a);
}

qc_err qc_cow_write_compressed(struct qc_image *img, uint64_t off, uint64_t len,
			       const uint8_t *buf, size_t n, bool if_empty, uint64_t *done)
{
	struct cow_attempt a = {
		.c = { .img = img, .w = img->layer[0]->writer, .filler = &qc_cow_fill_compressed,
		       .off = off, .start = { off }, .compressed = buf, .compressed_len = n,
		       .if_empty = if_empty },
		.n = 1,
		.end = off + len,
		.done = done,
	};

	return run_cow_write(&a);
}
