/* SPDX-License-Identifier: MIT */
/*
 * check.h - may an image be written with the refcounts that it has?
 */
#ifndef QC_CHECK_H
#define QC_CHECK_H

#include "update/writer.h"

/*
 * qc_check_before_write() - check the refcounts before the first write
 * @inconsistent:  out: a refcount is lower than the number of references, so that the cluster
 *	could be allocated twice; or a write through one reference would change what another
 *	one sees; or several active entries reference one cluster; or a reference is beyond all
 *	that the refcounts cover
 *
 * QC_VERIFY_AUTO gives up after one second, but always checks that no metadata has refcount 0.
 * QC_VERIFY_OFF checks nothing.  Where not everything was checked, prepares the overlap
 * check.  An entry that cannot be decoded is not reported here: the request that reads the
 * entry fails.
 * Context: no other thread uses the writer.
 * Return: 0; -ENOMEM; an errno of the file
 */
qc_err qc_check_before_write(struct qc_writer *w, bool *inconsistent);

#endif
