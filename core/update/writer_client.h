/* SPDX-License-Identifier: MIT */
/*
 * writer_client.h - features that keep something in step with the guest data.
 *
 * A writer tells its clients about its life, like the callbacks of QEMU's dirty bitmaps:
 * before the first change, after each change of a guest range, at each checkpoint, and
 * when it closes.  A feature registers when the writer is opened, and needs no other hook.
 *
 * A writer without a client for ranges pays one load and one branch for each request.
 */
#ifndef QC_WRITER_CLIENT_H
#define QC_WRITER_CLIENT_H

#include "base/util.h"

struct qc_writer;

/* Any of these functions may be NULL.  @state is that of qc_writer_add_client(). */
struct qc_writer_client_ops {
	/* range_changed() is not wanted before the client sets clients.any_for_ranges, which
	 * it does before the first change, or in a drained section. */
	bool ranges_on_demand;

	/*
	 * Called before the first change of the image file.  An error refuses the change.  The
	 * next change calls all clients again, also those that succeeded.
	 * Context: table_lock.  May write and sync the header; must not run a checkpoint.
	 */
	qc_err (*first_change)(struct qc_writer *w, void *state);

	/*
	 * Called after the bytes of [off, off + len) have changed or may have changed: a write,
	 * write zeroes or discard also if it failed, and a resize for the bytes that
	 * appeared or went.  The size of the disk is the new one.
	 * Context: any number of threads at a time, in flight; or one, in a drained section,
	 * for a resize or a snapshot.  Must not do I/O.
	 */
	void (*range_changed)(struct qc_writer *w, void *state, uint64_t off, uint64_t len);

	/*
	 * Called before a change, after the client has set clients.urgent, which the caller
	 * clears: the client has used up its memory.
	 * Context: any number of threads at a time, in flight; no lock.  Must not run a
	 * checkpoint.
	 */
	void (*relieve)(struct qc_writer *w, void *state);

	/*
	 * Called before the size of the disk changes.  An error refuses that.
	 * Context: drained, resize_lock.  May write and sync; must not run a checkpoint.
	 */
	qc_err (*before_resize)(struct qc_writer *w, void *state);

	/* Called when the size of the disk has changed, before range_changed(). */
	void (*resized)(struct qc_writer *w, void *state);

	/*
	 * Called at the start of a checkpoint after the first change.  Metadata and data that
	 * the client writes here become durable with the checkpoint.  An error fails it.
	 * Context: any thread; resize_lock at most is held, in a drained section.  Must not
	 * run a checkpoint.
	 */
	qc_err (*flush)(struct qc_writer *w, void *state);

	/*
	 * Called once, when the writer closes.  If @write, the client may write to the image
	 * before the last checkpoint: there was a change, and the writer is not aborted.
	 * Frees @state.  Context: no request in flight, no lock.
	 */
	qc_err (*close)(struct qc_writer *w, void *state, bool write);
};

/* Registers a client, before the first request uses the writer. */
void qc_writer_add_client(struct qc_writer *w, const struct qc_writer_client_ops *ops,
			  void *state);

/* Calls first_change() of all clients.  The caller holds table_lock. */
qc_err qc_writer_client_first_change(struct qc_writer *w);

/* Calls range_changed() of all clients.  qc_writer_range_changed() is the cheap form. */
void qc_writer_client_range_changed(struct qc_writer *w, uint64_t off, uint64_t len);

/* Calls relieve(), before_resize() and resized() of all clients. */
void qc_writer_client_relieve(struct qc_writer *w);
qc_err qc_writer_client_before_resize(struct qc_writer *w);
void qc_writer_client_resized(struct qc_writer *w);

/* Calls flush() of all clients, up to the first that fails. */
qc_err qc_writer_client_flush(struct qc_writer *w);

/* Calls close() of all clients, and unregisters them.  Returns the first error. */
qc_err qc_writer_client_close(struct qc_writer *w, bool write);

#endif
