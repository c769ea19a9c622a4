/* SPDX-License-Identifier: MIT */
/*
 * mapping.c - find out in which layer, and where in its file, bytes of a disk are.
 *
 * Like QEMU's bdrv_block_status(), asked layer by layer.  The chain walk does not serve here: it
 * turns unallocated clusters into zeros, and knows no host cluster of a cluster of zeros.
 */
#include <errno.h>

#include "base/range.h"
#include "layer/file_holes.h"
#include "request/request.h"

/* Maps a range of a raw file, which may have holes.  QEMU counts whole sectors. */
static qc_err map_raw_file(struct qc_layer *l, uint64_t off, struct qc_mapping *m)
{
	struct qc_extent e = { m->len, false };
	uint64_t size;
	qc_err r = qc_file_size(l->file, &size);

	if (!r && off < size)
		r = qc_file_extent(l->file, off, &e);
	m->len = min_u64(m->len, e.len);
	m->data = e.data;
	m->zero = !e.data;
	m->present = m->has_offset = true;
	m->offset = off;
	return r;
}

/* Finds out if the file has a hole where the clusters are allocated. */
static qc_err look_for_hole(struct qc_layer *l, struct qc_mapping *m)
{
	bool preallocated;
	struct qc_extent e;
	uint64_t size;
	qc_err r = qc_file_holes_in_use(l, &preallocated);

	if (r || !preallocated)
		return r;
	r = qc_file_size(l->data, &size);
	if (r || m->offset >= size) {
		m->zero = !r;
		return r;
	}
	r = qc_file_extent(l->data, m->offset, &e);
	if (!r) {
		m->zero = !e.data;
		m->len = min_u64(m->len, e.len);
	}
	return r;
}

static qc_err map_image_file(struct qc_image *img, struct qc_layer *l, uint64_t off,
			     struct qc_mapping *m)
{
	struct goff at = { off };
	struct qc_map_extent x;
	qc_err r = qc_map_lookup_exact(l, img->of_snapshot && l == img->layer[0] ? &img->root : NULL,
				       at, m->len, &x);

	if (r)
		return r;
	if (x.kind == QC_DAMAGED)
		return qc_map_report_damage(l, at, &x);
	m->len = x.len;
	m->zero = x.kind == QC_ZERO;
	m->data = x.kind == QC_DATA || x.kind == QC_COMPRESSED;
	m->compressed = x.kind == QC_COMPRESSED;
	m->present = m->zero || m->data;
	m->has_offset = x.has_host && !l->head.crypt;
	m->offset = m->has_offset ? x.host.v : 0;
	return m->data && m->has_offset && l->head.version > 1 ? look_for_hole(l, m) : 0;
}

static uint64_t size_in_layer(const struct qc_image *img, const struct qc_layer *l)
{
	if (img->of_snapshot && l == img->layer[0])
		return img->size;
	return l->format == QC_FORMAT_RAW ? round_up(l->size, SECTOR) : (uint64_t)l->size;
}

static qc_err map_in_layer(struct qc_image *img, struct qc_layer *l, struct qc_mapping *m)
{
	uint64_t off = m->start + (img->of_snapshot && l == img->layer[0] ? img->base : 0);
	uint64_t len = m->len;

	*m = (struct qc_mapping){ .start = m->start, .len = len, .depth = m->depth };
	m->file = l->data_path ? l->data_path : l->path;
	if (atomic_load_explicit(&l->stale, memory_order_relaxed))
		return -ESTALE;
	return l->format == QC_FORMAT_RAW ? map_raw_file(l, off, m) : map_image_file(img, l, off, m);
}

qc_err qc_mapping_get_inflight(struct qc_image *img, uint64_t off, struct qc_mapping *m)
{
	*m = (struct qc_mapping){ .start = off, .len = qc_size(img) - off };
	for (unsigned int i = img->top;; i++) {
		struct qc_layer *l = img->layer[i];
		qc_err r;

		m->depth = i - img->top;
		r = map_in_layer(img, l, m);
		if (r || m->present)
			return r;
		m->zero = true; /* unless a layer below has the bytes */
		if (i + 1 == img->bottom)
			return 0;
		l = img->layer[i + 1];
		if (off >= size_in_layer(img, l))
			return 0;
		m->len = min_u64(m->len, size_in_layer(img, l) - off);
	}
}
