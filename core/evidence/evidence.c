/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "base/outcome.h"
#include "evidence/slack.h"
#include "evidence/unallocated.h"
#include "evidence/zeroed.h"

qc_err qc_open_evidence(struct qc_image *img, enum qc_evidence which, struct qc_image **out,
			struct qc_reason *why)
{
	static qc_err (*const open[])(struct qc_image *, struct qc_image **) = {
		[QC_EVIDENCE_UNALLOCATED] = qc_unallocated_open,
		[QC_EVIDENCE_SLACK] = qc_slack_open,
		[QC_EVIDENCE_ZEROED] = qc_zeroed_open,
	};
	qc_err r = img->headers_only ? -EINVAL : open[which](img, out);

	return r ? qc_fail_errno(why, qc_no_outcome(r), "cannot read its tables") : 0;
}
