/* SPDX-License-Identifier: MIT */
#include "update/autoclear.h"

#include <stdlib.h>

#include "format/features.h"
#include "update/bitmaps.h"
#include "update/checkpoint.h"

qc_err qc_autoclear_clear(struct qc_writer *w, uint64_t valid)
{
	struct qc_header *h = &w->layer->head;
	uint64_t keep = h->autoclear & (qc_features_with(QC_AUTOCLEAR, QC_FEATURE_KEEP) | valid);
	bool drop_bitmaps = h->autoclear & ~keep & AUTOCLEAR_BITMAPS;
	struct qc_free_list bitmaps = { 0 };
	uint8_t be[8];
	qc_err r = 0;

	if (h->version != 3 || h->autoclear == keep)
		return 0;
	if (drop_bitmaps)
		r = qc_bitmaps_collect(w, &bitmaps);
	be64_to(be, keep);
	if (!r)
		r = qc_writer_update_header(w, HEAD_AUTOCLEAR, be, sizeof(be));
	if (!r)
		h->autoclear = keep;
	if (!r && drop_bitmaps)
		r = qc_bitmaps_remove(w, &bitmaps);
	qc_free_list_clear(&bitmaps);
	return r;
}

static qc_err clear_before_first_change(struct qc_writer *w, void *state)
{
	(void)state;
	return qc_autoclear_clear(w, 0);
}

const struct qc_writer_client_ops qc_autoclear_client = {
	.first_change = clear_before_first_change,
};
