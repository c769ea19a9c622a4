/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "base/outcome.h"
#include "evidence/slack.h"
#include "evidence/unallocated.h"
#include "evidence/zeroed.h"

static qc_err open_bytes_of_kind(struct qc_image *img, enum qc_evidence which, struct qc_image **out)
{
	switch (which) {
	case QC_EVIDENCE_UNALLOCATED:
		return qc_piece_search_open(img, qc_unallocated_pieces, out);
	case QC_EVIDENCE_SLACK:
		return qc_piece_search_open(img, qc_slack_pieces, out);
	case QC_EVIDENCE_ZEROED:
		break;
	}
	return qc_zeroed_open(img, out);
}

qc_err qc_open_evidence(struct qc_image *img, enum qc_evidence which, struct qc_image **out,
			struct qc_reason *why)
{
	qc_err r = img->headers_only ? -EINVAL : open_bytes_of_kind(img, which, out);

	return r ? qc_fail_errno(why, qc_no_outcome(r), "cannot read its tables") : 0;
}
