/* SPDX-License-Identifier: MIT */
/*
 * layer_table.h - the table of open layers: each file is open once, however many images it is
 * part of.
 *
 * A layer is either written, by the images of which it is the top, or it is the backing file
 * of images; never both.  Like the inode cache of the kernel, with qc_layer_get() as iget().
 *
 * close(2) calls qc_writeback(), which writes all dirty metadata and returns the error if that fails.
 * qc_close() comes later, when the kernel releases the open file.  qc_layer_put() does nothing more
 * until the last image gives a layer back.  Then this thread closes it, without a lock held:
 *
 *	1  The layer leaves the table, once the flusher is done with it.  Its file is busy: a thread
 *	   that opens the file waits for step 4, since the image locks are still held.
 *	2  qc_writer_close() calls the clients of the writer.  That of bitmaps stores them, and
 *	   declares them consistent with one more checkpoint.  Then checkpoints run until no
 *	   metadata is dirty.
 *	3  The files are closed, first those open for writing.  That drops the image locks, so
 *	   another program can take them only when all is in the file.  An error is only logged.
 *	4  The file is no longer busy.
 */
#ifndef QC_LAYER_TABLE_H
#define QC_LAYER_TABLE_H

#include "layer/context_fields.h"
#include "layer/layer.h"

/* The format that an image declares for its backing file. */
enum qc_declared_format {
	QC_FORMAT_DECLARED_QCOW, /* any version */
	QC_EXPECT_QCOW1,
	QC_EXPECT_QCOW2, /* version 2 or 3 */
	QC_FORMAT_DECLARED_RAW,
	QC_FORMAT_PROBE, /* none: probe by the magic */
};

/*
 * qc_layer_get() - find or open the layer of a file, for one user more
 * @at:      the file; its descriptor is consumed
 * @expect:  the declared format
 * @flags:   as for qc_layer_open().  QC_OPEN_HEADERS_ONLY: opens a layer outside the table
 * @out:     with QC_OPEN_INSPECT, on failure, what could be read, or NULL
 *
 * A layer whose file was changed by another program is not found: it becomes stale.
 * Return: 0; as qc_open()
 */
qc_err qc_layer_get(struct qc_context *ctx, struct qc_file_location *at,
		    enum qc_declared_format expect, unsigned int flags, struct qc_layer **out,
		    struct qc_reason *why);

/* Ends one use.  The last user writes back, and closes the file.  @as_backing: the layer was
 * a backing file for this user. */
void qc_layer_put(struct qc_layer *l, bool as_backing);

/* Adds a user to a layer that the caller uses already. */
void qc_layer_ref(struct qc_layer *l, bool as_backing);

/* Counts one backing user more (+1) or fewer (-1), for a user that begins or ends to write. */
void qc_layer_adjust_backing(struct qc_layer *l, int by);

/* Keeps the snapshot with this L1 table from being deleted or renamed. */
void qc_layer_pin_snapshot(struct qc_layer *l, struct qc_pin *pin);
void qc_layer_unpin_snapshot(struct qc_layer *l, struct qc_pin *pin);
bool qc_layer_snapshot_is_pinned(struct qc_layer *l, uint64_t l1_offset);

/* Makes the layer a backing file of its user.  Return: 0; -EBUSY it has a writer, and the
 * layer was put. */
qc_err qc_layer_deny_write(struct qc_layer *l, struct qc_reason *why);

/* Returns a dirty layer of the bucket that was not returned in this round, or NULL.  It stays
 * open until qc_layer_flush_done(). */
struct qc_layer *qc_layer_next_dirty(struct qc_context *ctx, size_t bucket, unsigned int round);
void qc_layer_flush_done(struct qc_layer *l);

/* Gives the layer a writer, unless it has one, and checks or repairs its refcounts.
 * Return: 0; -EBUSY it is a backing file of an open image; as qc_writer_open() and
 *	qc_repair_refcounts() */
qc_err qc_layer_make_writable(struct qc_layer *l, struct qc_reason *why);

/* Describes the use of the open layer of the same file.  @l: opened for headers only. */
void qc_layer_get_usage(const struct qc_layer *l, struct qc_layer_use *out);

/* Adapts the budget of the table caches to one image more (+1) or fewer (-1). */
void qc_context_adjust_budget(struct qc_context *ctx, int by);

#endif
