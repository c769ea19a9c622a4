/* SPDX-License-Identifier: MIT */
/*
 * writer.h - what a layer has once somebody writes to it.
 *
 * The law of the order on disk, for all that change an image:
 *
 *	own (count up) -> data -> link          a crash leaks, and loses nothing
 *	unlink -> nobody on the way -> free     nothing is named that is not counted
 *
 * In memory that order is kept step by step.  The file follows in checkpoints:
 * a checkpoint takes what is in limbo, then copies the tables that were
 * changed, then the counts, so that each copy is covered by the later ones, and
 * writes them in the opposite order, with a barrier after each kind:
 *
 *	1  counts, and before that all data that a table in the copies names
 *	2  entries of the refcount table
 *	3  L2 tables
 *	4  L1 entries
 *	5  then what was in limbo is free
 *
 * Counts in the file are only ever too high, never too low.
 */
#ifndef QC_WRITER_H
#define QC_WRITER_H

#include "metadata/allocator.h"
#include "update/range_lock.h"
#include "layer/layer.h"

struct qc_overlap_map;

struct qc_writer {
	struct qc_layer *layer;
	struct qc_file *file; /* the image, open for writing */
	struct qc_file *data; /* where guest data goes: `file`, or the data file */
	bool unmap;	      /* give the space of what is freed back to the host */
	struct qc_range_locks claims;
	struct qc_mutex table_lock; /* making an L2 table; held across its I/O */
	struct qc_mutex resize_lock; /* one at a time; held across I/O */
	struct qc_mutex pending_free_lock; /* freeing what is in limbo; across all that takes */
	struct qc_mutex checkpoint_lock; /* one checkpoint at a time; across its I/O */
	struct qc_alloc alloc;
	struct qc_overlap_map *guard; /* NULL: its tables were compared, and all is well */
	atomic_bool autoclear_done; /* the header says that we write */
	atomic_bool broken;    /* what was written may be lost: nothing goes on */
};

/* Whether what the header says lets it be written: 0, or -EROFS. */
qc_err qc_writer_check_writable(const struct qc_layer *l, struct qc_reason *why);

/* What it takes to make the layer writable.  -EROFS if its state forbids that,
 * -EBUSY if it is locked, or the backing file of an open image. */
qc_err qc_writer_open(struct qc_layer *l, struct qc_writer **out, struct qc_reason *why);

/* Closes it as it is: nobody has used it yet. */
void qc_writer_free(struct qc_writer *w);

/* Writes all back.  The layer is about to be closed. */
qc_err qc_writer_close(struct qc_writer *w);

/* To be asked before each change: 0, or why there can be none.  Before the first
 * the header is told. */
qc_err qc_writer_prepare(struct qc_writer *w);

/* What was written to the files is on stable storage.  A failure breaks the
 * writer. */
qc_err qc_writer_sync(struct qc_writer *w);

/* Writes a field of the header, and a barrier. */
qc_err qc_writer_update_header(struct qc_writer *w, uint64_t at, const void *field, size_t len);

/* Clears autoclear features that we do not know, or do not keep true. */
qc_err qc_writer_clear_autoclear(struct qc_writer *w);

/* All that was written before the call is on stable storage when it returns.
 * `drain`: also free what is in limbo, which waits for requests: not to be
 * asked for from within one. */
qc_err qc_checkpoint(struct qc_writer *w, bool drain);

/* Forgets what is known of a stretch of the file that nothing names any more, and
 * gives its space back.  `w` is a struct qc_writer. */
void qc_writer_on_cluster_freed(void *w, uint64_t off, uint64_t len);

/* Whether there is anything for a checkpoint to do, but to sync data. */
bool qc_writer_is_dirty(struct qc_writer *w);

/* Checkpoints until nothing is left, not even counts of what became free, and not with
 * another thread either. */
qc_err qc_writer_flush_all(struct qc_writer *w);

/* The L2 table for `at`, made or copied so that it may be changed.  -ENOBUFS:
 * make a checkpoint, and come again. */
qc_err qc_writer_l2_table(struct qc_writer *w, struct goff at, struct hoff *table);

/* Writes the incompatible feature bits, and a barrier. */
qc_err qc_writer_set_incompatible(struct qc_writer *w, uint64_t bits);

/* What was written may be lost, for the reason r, which it returns. */
qc_err qc_writer_abort(struct qc_writer *w, qc_err r, const char *what);

/* -EIO, by way of qc_writer_mark_corrupt, if the stretch of the image file, which is
 * about to be written with guest data, is not for that. */
qc_err qc_overlap_check_write(struct qc_writer *w, struct hoff host, uint64_t len);

/* Damage that was found while writing: nothing more is written to this image,
 * and it says so in its header (version 3).  Returns -EIO. */
qc_err qc_writer_mark_corrupt(struct qc_writer *w, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
