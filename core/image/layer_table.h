/* SPDX-License-Identifier: MIT */
/*
 * layer_table.h - the layers that are open: each file once, however many images it is
 * part of; and which of them are written.
 */
#ifndef QC_LAYER_TABLE_H
#define QC_LAYER_TABLE_H

#include "layer/context.h"
#include "layer/layer.h"

/* What the one who names a file says of its format. */
enum qc_declared_format {
	QC_FORMAT_DECLARED_QCOW, /* any version */
	QC_EXPECT_QCOW1,
	QC_EXPECT_QCOW2, /* version 2 or 3 */
	QC_FORMAT_DECLARED_RAW,
	QC_FORMAT_PROBE, /* look at the magic */
};

/* The layer of the file at `place`: the one that is open already, if the file
 * has not changed since, else a new one.  Takes place->fd.  With QC_OPEN_INSPECT *out
 * is, on failure, what could be read, or NULL. */
qc_err qc_layer_get(struct qc_context *ctx, struct qc_file_location *place, enum qc_declared_format expect,
		     unsigned int flags, struct qc_layer **out, struct qc_reason *why);
void qc_layer_put(struct qc_layer *l, bool as_overlay);

/* One user more for a layer that the caller is a user of. */
void qc_layer_ref(struct qc_layer *l, bool as_overlay);

/* Notes that a snapshot of the layer is open; and whether one with its L1 table there is. */
void qc_layer_pin_snapshot(struct qc_layer *l, struct qc_pin *pin);
void qc_layer_unpin_snapshot(struct qc_layer *l, struct qc_pin *pin);
bool qc_layer_snapshot_is_pinned(struct qc_layer *l, uint64_t l1_offset);

/* The layer is the backing file of one more image.  -EBUSY, and it is given
 * back, if somebody writes to it. */
qc_err qc_layer_deny_write(struct qc_layer *l, struct qc_reason *why);

/* A layer of the bucket that waits for a checkpoint, and has not been asked for in
 * this round.  Until qc_layer_flush_done() its last user waits to close it. */
struct qc_layer *qc_layer_next_dirty(struct qc_context *ctx, size_t bucket, unsigned int round);
void qc_layer_flush_done(struct qc_layer *l);

/* As qc_writer_open; one at a time. */
qc_err qc_layer_make_writable(struct qc_layer *l, struct qc_reason *why);

/* What the layer of the same file, if it is open, is used for.  l was headers_only at. */
void qc_layer_get_usage(const struct qc_layer *l, struct qc_layer_use *out);

/* An image was opened (+1) or closed (-1): adapts the budget. */
void qc_context_adjust_budget(struct qc_context *ctx, int by);

#endif
