/* SPDX-License-Identifier: MIT */
/*
 * zeroed.c - the bytes that are still under clusters that read as zeros, or that an extended entry
 * has a host cluster for without using it.
 *
 * Everything else is a hole.  Needs no walk: an offset is looked up in the active tables.
 */
#include "evidence/zeroed.h"

#include <errno.h>
#include <string.h>

#include "base/range.h"
#include "layer/guest_data.h"

/* A run of guest bytes with bytes under it, or none. */
struct under_run {
	bool has_bytes;
	struct hoff host;
	uint64_t len;
};

/* Fills the run from one entry, up to the end of its cluster or of its subcluster. */
static void find_under_entry(const struct geom *g, const struct l2_entry *e, struct goff at,
			     struct under_run *out)
{
	uint64_t inside = geom_in_cluster(g, at), unit = geom_cluster(g);
	bool reads_as_zeros = e->kind == QC_ZERO;

	if (geom_is_extended(g) && e->kind != QC_COMPRESSED) {
		unit = geom_subcluster(g);
		reads_as_zeros = subcluster_kind(e, (unsigned int)(inside / unit)) != QC_DATA;
	}
	*out = (struct under_run){
		.has_bytes = reads_as_zeros && l2_entry_has_host(g, e),
		.host = { e->host.v + inside },
		.len = unit - inside % unit,
	};
}

static qc_err find_under(struct qc_layer *l, struct goff at, struct under_run *out)
{
	const struct geom *g = &l->head.geom;
	struct qc_l2_raw raw;
	struct l2_entry e;
	struct hoff table;
	uint64_t l1 = 0;
	qc_err r = 0;

	*out = (struct under_run){ .len = geom_l1_span(g) - (at.v & (geom_l1_span(g) - 1)) };
	if (geom_l1_index(g, at) >= g->l1_entries)
		return 0;
	r = qc_map_l1_get(l, at, &l1);
	if (r)
		return r == -ENOMEM ? r : 0;
	if (l1_decode(g, l1, &table) || !table.v || qc_map_overlaps_metadata(l, table.v))
		return 0;
	out->len = geom_cluster(g) - geom_in_cluster(g, at);
	r = qc_map_l2_get(l, table, at, 1, &raw);
	if (r)
		return r == -ENOMEM ? r : 0;
	if (!l2_entry_decode(g, raw.word, raw.bits, &e) &&
	    (!g->external || e.host.v == at.v - geom_in_cluster(g, at)))
		find_under_entry(g, &e, at, out);
	return 0;
}

static qc_err read_under(struct qc_image *img, uint64_t off, uint8_t *buf, size_t len)
{
	struct qc_layer *l = img->layer[0];
	qc_err r = 0;

	while (!r && len) {
		struct goff at = { off };
		struct under_run run;
		size_t n, got;

		r = find_under(l, at, &run);
		n = (size_t)min_u64(len, run.len);
		if (!r && run.has_bytes)
			r = qc_guest_data_read(l, at, run.host, buf, n, &got);
		else
			memset(buf, 0, n);
		off += n;
		buf += n;
		len -= n;
	}
	return r;
}

/* Shortens a run to the hole or the data of the file at its beginning. */
static void cut_at_file_extent(struct qc_layer *l, struct under_run *run)
{
	struct qc_extent e;

	if (!run->has_bytes)
		return;
	if (qc_file_extent(l->data, run->host.v, &e) || !e.len)
		return;
	run->has_bytes = e.data;
	run->len = min_u64(run->len, e.len);
}

static qc_err status_under(struct qc_image *img, uint64_t off, struct qc_extent *out)
{
	enum { RUNS_MAX = 1 << 14 }; /* of one call */
	qc_err r = 0;

	*out = (struct qc_extent){ 0, false };
	for (unsigned int i = 0; !r && i < RUNS_MAX && off + out->len < img->size; i++) {
		struct goff at = { off + out->len };
		struct under_run run;

		r = find_under(img->layer[0], at, &run);
		cut_at_file_extent(img->layer[0], &run);
		if (r || (out->len && run.has_bytes != out->data))
			break;
		out->data = run.has_bytes;
		out->len += min_u64(run.len, img->size - at.v);
	}
	return out->len ? 0 : r;
}

static void free_nothing(void *state)
{
	(void)state;
}

static const struct qc_image_bytes_ops zeroed_ops = {
	.read = read_under,
	.block_status = status_under,
	.free = free_nothing,
};

qc_err qc_zeroed_open(struct qc_image *img, struct qc_image **out)
{
	struct qc_image *v;

	if (img->layer[0]->format != QC_FORMAT_QCOW)
		return -EINVAL;
	v = qc_open_share(img);
	if (!v)
		return -ENOMEM;
	v->bytes_ops = &zeroed_ops;
	v->size = img->layer[0]->size;
	*out = v;
	return 0;
}
