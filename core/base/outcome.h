/* SPDX-License-Identifier: MIT */
/*
 * outcome.h - results that are neither success nor a failure of the system.
 *
 * A qc_err inside core/ has three ranges:
 *
 *	negative  the system failed: an errno of a system call or of the allocator,
 *		  or -EIO, -EINVAL, ... for an image that is damaged
 *	0	  the function did its work
 *	positive  an outcome of the module, of the enum below
 *
 * An errno does not serve for an outcome: pread(2) or pwrite(2) may return the same
 * value.  A function states in its header which outcomes it returns.  No outcome leaves
 * core/: the functions of qcow.h return 0 or a negative errno.
 */
#ifndef QC_OUTCOME_H
#define QC_OUTCOME_H

#include <assert.h>

#include "qcow.h"

enum qc_outcome {
	QC_NEED_MORE_BYTES = 1, /* the buffer ends before the table does: read more of it */
	QC_FILL_FAILED,		/* another thread failed to fill the slot waited for */
	QC_RETRY_CHECKPOINT,	/* all slots of a cache set are dirty: run a checkpoint, retry */
	QC_MUST_WRITE_ZEROS,	/* no entry can say zero here: write zero bytes */
	QC_MUST_WRITE_PLAIN,	/* the cluster cannot be stored compressed: write it plain */
	QC_RETRY_GATHER,	/* another thread uses the gathered cluster: store it, retry */
	QC_REFCOUNT_UNDERFLOW,	/* a refcount would fall below 0: the refcounts are damaged */
	QC_TIME_OVER,		/* the check has used up its second */
};

/* Returns @r to a caller outside of core/, which must not see an outcome. */
static inline qc_err qc_no_outcome(qc_err r)
{
	assert(r <= 0);
	return r;
}

#endif
