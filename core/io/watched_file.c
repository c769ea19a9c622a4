/* SPDX-License-Identifier: MIT */
#include "io/watched_file.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/range.h"
#include "io/front_file.h"

struct watched_file {
	struct qc_front_file front;
	struct qc_watch *watch;
};

static struct watched_file *watched_of(struct qc_file *f)
{
	return (struct watched_file *)f;
}

/* ---- the watch ------------------------------------------------------------ */

void qc_watch_init(struct qc_watch *watch, qc_watch_fn *fn, void *arg)
{
	*watch = (struct qc_watch){ .cut_at = UINT64_MAX, .fn = fn, .arg = arg };
	pthread_mutex_init(&watch->lock, NULL);
}

void qc_watch_destroy(struct qc_watch *watch)
{
	pthread_mutex_destroy(&watch->lock);
}

static void raise_end(struct qc_watch *watch, uint64_t end)
{
	uint64_t now = atomic_load_explicit(&watch->end, memory_order_relaxed);

	while (now < end && !atomic_compare_exchange_weak(&watch->end, &now, end))
		;
}

static qc_err note_lost(struct qc_watch *watch, const char *how)
{
	if (!atomic_exchange(&watch->lost, true))
		watch->fn(watch->arg, watch, how);
	return -EIO;
}

static void lower_cut(struct qc_watch *watch, uint64_t to)
{
	uint64_t now = atomic_load(&watch->cut_at);

	while (now > to && !atomic_compare_exchange_weak(&watch->cut_at, &now, to))
		;
}

static qc_err note_cut(struct qc_watch *watch, uint64_t end, uint64_t size)
{
	char how[100];

	lower_cut(watch, size);
	snprintf(how, sizeof(how), "shortened the file from %" PRIu64 " to %" PRIu64 " bytes", end,
		 size);
	return note_lost(watch, how);
}

/* Compares the length.  `end` is read first: other threads may append meanwhile. */
static qc_err compare_length(struct qc_watch *watch, struct qc_file *real)
{
	uint64_t end = atomic_load(&watch->end), size;
	qc_err r = qc_file_size(real, &size);

	return !r && size < end ? note_cut(watch, end, size) : r;
}

static qc_err compare_names(struct qc_watch *watch, struct qc_file *real)
{
	struct qc_file_stat st;
	qc_err r = watch->has_name ? qc_file_stat(real, &st) : 0;

	return !r && watch->has_name && !st.names ?
		note_lost(watch, "deleted the file, or put another one in its place") : r;
}

static qc_err compare_header(struct qc_watch *watch, struct qc_file *real)
{
	uint8_t now[QC_WATCH_HEADER_MAX];
	size_t got;
	qc_err r;

	if (!watch->header_known)
		return 0;
	r = qc_file_read(real, 0, now, watch->header_bytes, &got);
	if (r || !memcmp(now, watch->header, watch->header_bytes))
		return r;
	lower_cut(watch, 0); /* the tables in memory are those of another image */
	return note_lost(watch, "overwritten the header");
}

static qc_err compare_all(struct qc_watch *watch, struct qc_file *real)
{
	qc_err r;

	if (watch->lost)
		return -EIO;
	pthread_mutex_lock(&watch->lock);
	r = compare_length(watch, real);
	if (!r)
		r = compare_names(watch, real);
	if (!r)
		r = compare_header(watch, real);
	pthread_mutex_unlock(&watch->lock);
	return r;
}

/* ---- the file ------------------------------------------------------------- */

static qc_err read_watched(struct qc_file *f, uint64_t off, void *buf, size_t len, size_t *got)
{
	struct watched_file *w = watched_of(f);
	struct qc_watch *watch = w->watch;
	uint64_t end = atomic_load_explicit(&watch->end, memory_order_acquire);
	qc_err r;

	if (off + len > atomic_load_explicit(&watch->cut_at, memory_order_relaxed))
		return -EIO;
	r = w->front.real->ops->read(w->front.real, off, buf, len, got);
	/* The file ends at off + *got or before. */
	if (r || *got == len || off + *got >= end)
		return r;
	r = compare_length(watch, w->front.real);
	return r ? r : -EIO; /* shortened and made longer again */
}

/* Writes bytes of which some are in the header. */
static qc_err write_header_bytes(struct watched_file *w, uint64_t off, const void *buf, size_t len)
{
	struct qc_watch *watch = w->watch;
	qc_err r;

	pthread_mutex_lock(&watch->lock);
	r = qc_file_write(w->front.real, off, buf, len);
	if (!r)
		memcpy(watch->header + off, buf, min_u64(len, watch->header_bytes - off));
	else /* half of the write may be in the file */
		watch->header_known = false;
	pthread_mutex_unlock(&watch->lock);
	return r;
}

static qc_err write_watched(struct qc_file *f, uint64_t off, const void *buf, size_t len)
{
	struct watched_file *w = watched_of(f);
	qc_err r = w->watch->lost ? -EIO : compare_length(w->watch, w->front.real);

	if (r)
		return r;
	if (off < w->watch->header_bytes)
		r = write_header_bytes(w, off, buf, len);
	else
		r = qc_file_write(w->front.real, off, buf, len);
	if (!r && len)
		raise_end(w->watch, off + len);
	return r;
}

/* Compares after the sync: what was lost before its end is not on stable storage. */
static qc_err sync_watched(struct qc_file *f)
{
	struct watched_file *w = watched_of(f);
	qc_err r = qc_file_sync(w->front.real);

	return r ? r : compare_all(w->watch, w->front.real);
}

static qc_err resize_watched(struct qc_file *f, uint64_t size)
{
	struct watched_file *w = watched_of(f);
	qc_err r;

	pthread_mutex_lock(&w->watch->lock);
	r = w->watch->lost ? -EIO : compare_length(w->watch, w->front.real);
	if (!r)
		r = qc_file_resize(w->front.real, size);
	if (!r)
		atomic_store(&w->watch->end, size);
	pthread_mutex_unlock(&w->watch->lock);
	return r;
}

static qc_err punch_watched(struct qc_file *f, uint64_t off, uint64_t len)
{
	struct watched_file *w = watched_of(f);

	return w->watch->lost ? -EIO : qc_file_punch(w->front.real, off, len);
}

static const struct qc_file_ops watched_ops = {
	.read = read_watched,
	.stat = qc_front_file_stat,
	.size = qc_front_file_size,
	.extent = qc_front_file_extent,
	.write = write_watched,
	.sync = sync_watched,
	.resize = resize_watched,
	.punch = punch_watched,
	.fd = qc_front_file_fd,
	.close = qc_front_file_close,
};

qc_err qc_watched_file_new(struct qc_file **f, struct qc_watch *watch,
			   const struct qc_file_stat *st)
{
	struct watched_file *w = malloc(sizeof(*w));

	if (!w)
		return -ENOMEM;
	*w = (struct watched_file){ { { &watched_ops }, *f }, watch };
	*f = &w->front.file;
	if (st) {
		atomic_store(&watch->end, st->size);
		watch->has_name = st->names > 0;
	}
	return 0;
}

qc_err qc_watch_header(struct qc_watch *watch, struct qc_file *f, size_t bytes)
{
	size_t got;
	qc_err r;

	assert(bytes <= QC_WATCH_HEADER_MAX);
	pthread_mutex_lock(&watch->lock);
	r = qc_file_read(f, 0, watch->header, bytes, &got);
	watch->header_known = !r;
	watch->header_bytes = bytes;
	pthread_mutex_unlock(&watch->lock);
	return r;
}

qc_err qc_watch_compare(struct qc_watch *watch, struct qc_file *f)
{
	return compare_all(watch, f);
}
