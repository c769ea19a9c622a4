/* SPDX-License-Identifier: MIT */
/*
 * data_punch.h - give the space of guest data in an external data file back.
 *
 * A request that makes clusters read as zeros queues their range here.  A checkpoint punches it.
 * The law is that of clusters in the image file: unlink -> durable -> grace period -> free.  A
 * request must not punch by itself: after a crash the old entries would be in the file, and
 * encrypted data would read as garbage there.
 *
 * The host offset of a cluster is its guest offset, so a cluster can be linked again while its range
 * is queued.  The request that links it first removes it from the queue, under the range lock.
 */
#ifndef QC_DATA_PUNCH_H
#define QC_DATA_PUNCH_H

#include "update/data_punch_fields.h"

struct qc_writer;

void qc_data_punch_init(struct qc_data_punch *p);
void qc_data_punch_destroy(struct qc_data_punch *p);

/* Queues the range [off, off + len), which no entry in memory references any more.  The caller
 * holds its range lock.  Without memory for the queue the space stays in use. */
void qc_data_punch_later(struct qc_writer *w, uint64_t off, uint64_t len);

/* Removes the range from the queue.  The caller holds its range lock, and will write data there. */
void qc_data_punch_cancel(struct qc_writer *w, uint64_t off, uint64_t len);

bool qc_data_punch_is_pending(struct qc_writer *w);

/* Takes all that is queued.  The caller will make the entries durable that are in memory. */
void qc_data_punch_take(struct qc_writer *w);

/* Queues the taken ranges again: the entries did not become durable. */
void qc_data_punch_requeue(struct qc_writer *w);

/* Returns true if ranges are taken. */
bool qc_data_punch_is_taken(struct qc_writer *w);

/* Punches the taken ranges, each under its range lock.  A failure only costs space.  The
 * caller has waited for a grace period, and is no request in flight. */
void qc_data_punch_run(struct qc_writer *w);

#endif
