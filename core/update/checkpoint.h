/* SPDX-License-Identifier: MIT */
/*
 * checkpoint.h - writes changed metadata from memory to the image file.
 *
 * A checkpoint takes the pending frees, then copies dirty L1 and L2 slices, then dirty
 * refcount blocks.  So each copy is covered by the later ones.  It writes them in the
 * opposite order, with a sync after each kind.  Where no new link is among them, one sync at the
 * end is enough.
 *
 *	1  refcount blocks; the sync also covers all guest data written before
 *	2  entries of the refcount table
 *	3  L2 tables
 *	4  the L1 table
 *	5  then the pending frees that were taken are punched, and their refcounts are lowered in
 *	   memory; ranges of the data file that nothing references are punched
 *
 * The next checkpoint writes the lowered refcounts.
 *
 * Invariant: refcounts in the file are only ever too high, never too low.  The steps keep it:
 *
 *	- Without the first sync a power cut could leave a link whose refcount or data is lost.
 *	- A link that was copied was made after its cluster was allocated and its data written.
 *	  Refcounts are copied later than tables, and the first sync covers all earlier data.  So
 *	  a cluster that a table in the file references has a refcount there, and its data.
 *	- An L1 entry that was copied references an L2 table that was written whole when it was
 *	  made, before the first sync.  Later changes of that table are dirty in the same copies,
 *	  or in later ones.
 *	- A pending free was unlinked before the copies were made, so after the last sync no table
 *	  in the file references it.  Only then its refcount is lowered.
 *	- Between checkpoints a full refcount cache may write a block early.  It has raised
 *	  refcounts early, and lowers only those of clusters that the file does not reference.
 *	- After a failed write all slices are dirty as before, and the frees are pending again.
 *	  After a failed sync the writer is aborted.
 */
#ifndef QC_CHECKPOINT_H
#define QC_CHECKPOINT_H

#include "update/writer_fields.h"

/*
 * qc_checkpoint() - make all changes before the call durable
 * @free_pending:  also free pending extents.  That waits for a grace period, so a request
 *                 in flight must not ask for it.
 *
 * Context: takes checkpoint_lock, and pending_free_lock if @free_pending.
 * Return: 0; -EIO the writer is aborted, or the refcounts are damaged; an errno of the
 *         file, after which the changes are dirty as before.
 */
qc_err qc_checkpoint(struct qc_writer *w, bool free_pending);

/*
 * qc_checkpoint_free_few() - make all changes before the call durable, while a program waits
 * @left:  out: extents are still pending.  Another checkpoint should free them soon.
 *
 * Frees pending extents as well, but only as many as keep the program waiting for a few
 * milliseconds, and does not wait for another thread that frees more.
 * Return: as qc_checkpoint()
 */
qc_err qc_checkpoint_free_few(struct qc_writer *w, bool *left);

/*
 * qc_with_checkpoints() - call @fn, with a checkpoint and another try while it returns
 *                         QC_RETRY_CHECKPOINT
 *
 * Return: the last result of @fn, or of the checkpoint if that failed.
 */
typedef qc_err qc_checkpoint_fn(void *arg);
qc_err qc_with_checkpoints(struct qc_writer *w, qc_checkpoint_fn *fn, void *arg);

/* Runs checkpoints until no metadata is dirty.  That includes refcounts lowered by the
 * first checkpoint, and slices that another thread's checkpoint is writing. */
qc_err qc_writer_flush_all(struct qc_writer *w);

/* Returns true if metadata is dirty, unless the writer is aborted. */
bool qc_writer_is_dirty(struct qc_writer *w);

/* Syncs the image file and its data file.  A failure aborts the writer: the kernel may have
 * dropped dirty pages, and a later sync would not report that. */
qc_err qc_writer_sync(struct qc_writer *w);

/* Writes @len bytes of the header at offset @at, and syncs. */
qc_err qc_writer_update_header(struct qc_writer *w, uint64_t at, const void *field, size_t len);

/* Grows the disk in memory.  The next checkpoint writes the size to the file.  Needs a request in
 * flight, or a drained section. */
void qc_writer_grow_size(struct qc_writer *w, uint64_t size);

/* Drops cached slices of an extent that becomes free, and the layer's decompressed clusters, and
 * punches the extent if discard=unmap.  A qc_freed_fn; @w is a struct qc_writer. */
void qc_writer_on_cluster_freed(void *w, uint64_t off, uint64_t len);

#endif
