/* SPDX-License-Identifier: MIT */
#include "update/autoclear.h"

#include "format/features.h"
#include "update/checkpoint.h"

qc_err qc_autoclear_clear(struct qc_writer *w)
{
	struct qc_header *h = &w->layer->head;
	uint64_t keep = h->autoclear &
			(qc_features_with(QC_AUTOCLEAR, QC_FEATURE_KEEP) | AUTOCLEAR_BITMAPS);
	uint8_t be[8];
	qc_err r;

	if (h->version != 3 || h->autoclear == keep)
		return 0;
	be64_to(be, keep);
	r = qc_writer_update_header(w, HEAD_AUTOCLEAR, be, sizeof(be));
	if (!r)
		h->autoclear = keep;
	return r;
}

static qc_err clear_before_first_change(struct qc_writer *w, void *state)
{
	(void)state;
	return qc_autoclear_clear(w);
}

const struct qc_writer_client_ops qc_autoclear_client = {
	.first_change = clear_before_first_change,
};
