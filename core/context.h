/* SPDX-License-Identifier: MIT */
/*
 * context.h - what all images of a program share: the user's choices, decoders,
 * unpacked clusters, the budget of the table caches, and the shelf of open
 * layers.
 */
#ifndef QC_CONTEXT_H
#define QC_CONTEXT_H

#include "cache.h"
#include "codec.h"
#include "layer.h"
#include "lock.h"
#include "log.h"
#include "refer.h"
#include "unpack.h"

enum { SHELF_BUCKETS = 256 };

struct qc_context {
	struct qc_log log;
	struct qc_policy policy;
	enum qc_locking locking;
	size_t cache_bytes;
	struct qc_budget budget;
	struct qc_codec *codec;
	struct qc_unpack *unpack;
	_Atomic uint64_t images, layers, layers_opened, unpacked;

	struct qc_mutex shelf_lock;
	struct qc_layer *shelf[SHELF_BUCKETS]; /* shelf_lock; by device and inode */
};

/* What the one who names a file says of its format. */
enum qc_expect {
	QC_EXPECT_QCOW, /* any version */
	QC_EXPECT_QCOW1,
	QC_EXPECT_QCOW2, /* version 2 or 3 */
	QC_EXPECT_RAW,
	QC_EXPECT_NOTHING, /* look at the magic */
};

/* The layer of the file at `place`: the one that is open already, if the file
 * has not changed since, else a new one.  Takes place->fd. */
qc_err qc_shelf_take(struct qc_context *ctx, struct qc_place *place, enum qc_expect expect,
		     unsigned int flags, struct qc_layer **out, struct qc_reason *why);
void qc_shelf_give_back(struct qc_layer *l);

/* An image was opened (+1) or closed (-1): adapts the budget. */
void qc_context_images(struct qc_context *ctx, int by);

#endif
