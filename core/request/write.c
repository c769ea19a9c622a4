/* SPDX-License-Identifier: MIT */
/*
 * write.c - write a range of a disk, or allocate it.
 *
 *	qc_write_inflight -> qc_map_lookup_writable -> the file      in place
 *	qc_write_inflight -> qc_cow_write                            all other clusters
 *
 * Data goes to the file in place if the L1 entry and the L2 entry have COPIED set: then no
 * snapshot references the cluster.
 */
#include <errno.h>
#include <inttypes.h>

#include "image/image.h"
#include "layer/guest_data.h"
#include "request/cow_write.h"
#include "request/request.h"
#include "update/abort.h"
#include "update/overlap_check.h"

/* Handles a damaged extent where data is to be written.  An invalid entry makes the image
 * corrupt.  If the file could not be read, the image stays writable. */
static qc_err fail_on_damage(struct qc_writer *w, struct goff at, const struct qc_map_extent *x)
{
	if (qc_map_is_corrupt(x))
		return qc_writer_mark_corrupt(w, "the %s entry for guest offset 0x%" PRIx64
					      " is damaged",
					      x->damage == QC_DAMAGE_L1_ENTRY ? "L1" : "L2", at.v);
	return qc_map_report_damage(w->layer, at, x);
}

static qc_err overwrite_data(struct qc_writer *w, const struct qc_map_extent *x, struct goff at,
			     const uint8_t *buf)
{
	qc_err r = qc_overlap_check_write(w, x->host, x->len);

	return r ? r : qc_guest_data_write(w->layer, w->data, at, x->host, buf, x->len);
}

qc_err qc_write_inflight(struct qc_image *img, uint64_t off, const uint8_t *buf, uint64_t len)
{
	struct qc_layer *l = img->layer[0];
	struct qc_writer *w = l->writer;
	qc_err r = qc_writer_prepare(w);

	while (!r && len) {
		struct goff at = { off };
		struct qc_map_extent x;
		uint64_t done = 0;

		r = qc_map_lookup_writable(l, at, len, &x);
		if (!r && x.kind == QC_DAMAGED)
			r = fail_on_damage(w, at, &x);
		if (r)
			return r;
		if (x.kind == QC_DATA && x.writable_in_place) {
			r = overwrite_data(w, &x, at, buf);
			done = x.len;
		} else {
			r = qc_cow_write(img, &qc_cow_fill_data, off, buf, len, &done);
		}
		off += done;
		buf += done;
		len -= done;
	}
	return r;
}

qc_err qc_allocate_inflight(struct qc_image *img, uint64_t off, uint64_t len, bool sparse)
{
	const struct qc_cow_filler *filler = sparse ? &qc_cow_preallocate_sparse : &qc_cow_preallocate;
	struct qc_layer *l = img->layer[0];
	qc_err r = qc_writer_prepare(l->writer);

	while (!r && len) {
		struct goff at = { off };
		struct qc_map_extent x;
		uint64_t done = 0;

		r = qc_map_lookup(l, at, len, &x);
		if (!r && x.kind == QC_DAMAGED)
			r = fail_on_damage(l->writer, at, &x);
		if (r)
			return r;
		if (x.kind == QC_DATA)
			done = x.len;
		else
			r = qc_cow_write(img, filler, off, NULL, x.len, &done);
		off += done;
		len -= done;
	}
	return r;
}
