/* SPDX-License-Identifier: MIT */
#include "update/abort.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

qc_err qc_writer_set_incompatible(struct qc_writer *w, uint64_t bits)
{
	uint8_t be[8];
	qc_err r;

	be64_to(be, bits);
	r = qc_file_write(w->file, HEAD_INCOMPATIBLE, be, sizeof(be));
	if (!r)
		r = qc_file_sync(w->file);
	if (r)
		atomic_store(&w->aborted, true);
	if (!r)
		w->layer->head.incompatible = bits;
	return r;
}

qc_err qc_writer_mark_corrupt(struct qc_writer *w, const char *fmt, ...)
{
	char damage[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(damage, sizeof(damage), fmt, ap);
	va_end(ap);
	if (!atomic_exchange(&w->aborted, true) && w->layer->head.version == 3)
		qc_writer_set_incompatible(w, w->layer->head.incompatible | INCOMPAT_CORRUPT);
	return qc_layer_report_damage(w->layer, "cannot write: %s: all later writes fail "
				      "(qcowfs check -r all may repair it)", damage);
}

qc_err qc_writer_abort(struct qc_writer *w, qc_err r, const char *attempt)
{
	if (!atomic_exchange(&w->aborted, true))
		qc_layer_report_damage(w->layer, "%s: %s: all later writes fail (unmount it, and "
				       "check the image)", attempt, strerror(-r));
	return r;
}
