/* SPDX-License-Identifier: MIT */
#include "update/autoclear.h"

#include "format/features.h"
#include "update/checkpoint.h"

qc_err qc_autoclear_set(struct qc_writer *w, uint64_t bits)
{
	struct qc_header *h = &w->layer->head;
	uint8_t be[8];
	qc_err r;

	if (h->version != 3 || h->autoclear == bits)
		return 0;
	be64_to(be, bits);
	r = qc_writer_update_header(w, HEAD_AUTOCLEAR, be, sizeof(be));
	if (!r)
		h->autoclear = bits;
	return r;
}

qc_err qc_autoclear_clear(struct qc_writer *w)
{
	return qc_autoclear_set(w, w->layer->head.autoclear &
				   qc_features_with(QC_AUTOCLEAR, QC_FEATURE_KEEP));
}

static qc_err clear_before_first_change(struct qc_writer *w, void *state)
{
	(void)state;
	return qc_autoclear_clear(w);
}

const struct qc_writer_client_ops qc_autoclear_client = {
	.first_change = clear_before_first_change,
};
