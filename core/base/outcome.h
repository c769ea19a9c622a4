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

enum qc_outcome {
	QC_NEED_MORE_BYTES = 1, /* the buffer ends before the table does: read more of it */
	QC_FILL_FAILED,		/* another thread failed to fill the slot waited for */
};

#endif
