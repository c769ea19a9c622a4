/* SPDX-License-Identifier: MIT */
/*
 * flusher.h - a thread that runs a checkpoint of each dirty layer every few seconds.
 *
 * A daemon that is killed then loses at most the changes of the last seconds.
 */
#ifndef QC_FLUSHER_H
#define QC_FLUSHER_H

#include "qcow.h"

struct qc_flusher;

/* Starts the thread.  Return: 0; -ENOMEM; -EAGAIN no thread. */
qc_err qc_flusher_start(struct qc_context *ctx, struct qc_flusher **out);

/* Makes the thread begin its next round now.  NULL is allowed. */
void qc_flusher_wake(struct qc_flusher *f);

/* Stops and frees it, after the checkpoint that it is in.  NULL is allowed. */
void qc_flusher_stop(struct qc_flusher *f);

#endif
