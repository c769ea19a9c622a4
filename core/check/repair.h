/* SPDX-License-Identifier: MIT */
/*
 * repair.h - make the refcounts and COPIED agree with the references.
 *
 * Called when a writer is opened for an image that is dirty or inconsistent.  Nothing is
 * written before it is known that the repair is possible:
 * no metadata shares a cluster with guest data or with other metadata, and the refcounts are
 * wide enough.  A crash in between leaves an image with the dirty bit (version 3), in which
 * refcounts are too high at most:
 *
 *	1  set the dirty bit, clear autoclear bits that are not known
 *	2  raise refcounts that are too low
 *	3  copy clusters that several active entries reference; correct COPIED
 *	4  lower refcounts that are too high
 *	5  correct COPIED again: the refcount may be 1 now
 *	6  clear the dirty bit, unless only leaks were repaired in an image that had it
 *
 * If the refcount table cannot be used, a new one is made before step 1 (refcount_rebuild.h), but
 * only with QC_REPAIR_KEEP_DAMAGE.
 */
#ifndef QC_REPAIR_H
#define QC_REPAIR_H

#include "update/writer.h"

enum qc_repair_flags {
	QC_REPAIR_LEAKS = 1 << 0,	  /* only steps 1, 4, 5 and 6 */
	QC_REPAIR_KEEP_DAMAGE = 1 << 1, /* entries that are invalid keep their clusters, and are
					 * no failure */
};

struct qc_repair_done {
	bool has_written;	    /* the repair was possible, and has begun */
	uint64_t refcounts, copies; /* refcounts changed, clusters copied */
};

/*
 * qc_repair_run() - make the refcounts and COPIED agree with the references
 * @flags:  enum qc_repair_flags
 * @done:   out, also on failure
 *
 * Reports its progress as QC_WORK_REPAIR.
 * Context: no other thread uses the writer.
 * Return: 0, or before the first write:
 *	-EIO        metadata shares a cluster, or a table is damaged
 *	-EOVERFLOW  more references than a refcount can count
 *	-EFBIG      the refcount table cannot grow as far
 *	or at any time -ENOMEM; -ECANCELED; an errno of the file
 */
qc_err qc_repair_run(struct qc_writer *w, unsigned int flags, struct qc_repair_done *done);

/* Repairs all, and logs that and why.  @problem is the
 * reason, such as "not closed in order".  Return: as qc_repair_run(), with the reason in @why. */
qc_err qc_repair_refcounts(struct qc_writer *w, const char *problem, struct qc_reason *why);

#endif
