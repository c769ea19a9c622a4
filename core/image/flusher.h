/* SPDX-License-Identifier: MIT */
/*
 * flusher.h - a thread that makes a checkpoint of what has been dirty for some
 * seconds, so that a daemon that is killed loses little.
 */
#ifndef QC_FLUSHER_H
#define QC_FLUSHER_H

#include "qcow.h"

struct qc_flusher;

qc_err qc_flusher_start(struct qc_context *ctx, struct qc_flusher **out);
void qc_flusher_stop(struct qc_flusher *f);

#endif
