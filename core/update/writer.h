/* SPDX-License-Identifier: MIT */
/*
 * writer.h - the state of a layer that is open for writing.
 *
 * image/ opens a writer when the first image is opened for writing, and closes it with the
 * layer.  The law of the order on disk, for all code that changes an image:
 *
 *	allocate (raise refcount) -> write data -> link      a crash only leaks
 *	unlink -> durable -> grace period -> free            no reference without a refcount
 *
 * In memory each change keeps that order.  In the file a checkpoint does (checkpoint.h).
 */
#ifndef QC_WRITER_H
#define QC_WRITER_H

#include "update/writer_client.h"
#include "update/writer_fields.h"

/* Checks if the header allows writing.  Return: 0; -EROFS. */
qc_err qc_writer_check_writable(const struct qc_layer *l, struct qc_reason *why);

/*
 * qc_writer_open() - open a layer for writing
 *
 * Opens its files for writing, takes the write locks, and reads the refcount table.
 * Return: 0; -EROFS the state of the image forbids it; -EBUSY another program has locked
 *         the image; -EINVAL its refcount table is damaged; -ENOMEM; an errno of the file.
 */
qc_err qc_writer_open(struct qc_layer *l, struct qc_writer **out, struct qc_reason *why);

/*
 * qc_writer_open_for_repair() - the same for an image that is marked corrupt, or whose snapshot
 *                               table is damaged
 * @damaged_refcounts:  also if the refcount table is damaged.  If alloc.refcounts.is_damaged is set
 *                      then, no cluster may be allocated before the table is rebuilt.
 *
 * Return: as qc_writer_open()
 */
qc_err qc_writer_open_for_repair(struct qc_layer *l, bool damaged_refcounts, struct qc_writer **out,
				 struct qc_reason *why);

/* Closes a writer without writing anything. */
void qc_writer_free(struct qc_writer *w);

/* Writes all dirty metadata, and closes the writer also if that fails. */
qc_err qc_writer_close(struct qc_writer *w);

/* Checks that the image may be changed, before each change.  Before the first one it
 * tells the clients.  Return: 0; -EIO the writer is aborted; an errno of a client. */
qc_err qc_writer_prepare(struct qc_writer *w);

/* Tells the clients that the guest range [off, off + len) has changed.  Every request that
 * changes guest data calls it once, after the change. */
static inline void qc_writer_range_changed(struct qc_writer *w, uint64_t off, uint64_t len)
{
	if (w->clients.any_for_ranges && w->clients.first_change)
		qc_writer_client_range_changed(w, off, len);
}

#endif
