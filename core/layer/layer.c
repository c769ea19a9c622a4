/* SPDX-License-Identifier: MIT */
#include "layer/layer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "layer/context_fields.h"
#include "io/image_lock.h"
#include "base/range.h"

enum { ERRORS_LOGGED_MAX = 20 };

/* Logs one of the first errors of a layer. */
static void log_layer_error(struct qc_layer *l, const char *what)
{
	unsigned int n = atomic_fetch_add(&l->errors_logged, 1);

	if (n < ERRORS_LOGGED_MAX)
		qc_log(&l->ctx->log, QC_LOG_ERROR, "%s: %s%s", l->path, what,
		       n == ERRORS_LOGGED_MAX - 1 ? " (further errors of this file are not logged)" :
						    "");
}

qc_err qc_layer_report_damage(struct qc_layer *l, const char *fmt, ...)
{
	char what[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	log_layer_error(l, what);
	return -EIO;
}

void qc_layer_report_write_error(struct qc_layer *l, uint64_t off, uint64_t len, qc_err r)
{
	char what[400];

	snprintf(what, sizeof(what),
		 "cannot write %" PRIu64 " bytes at guest offset 0x%" PRIx64 ": %s%s", len, off,
		 strerror(-r), qc_errno_hint(r));
	log_layer_error(l, what);
}

/* ---- file times ------------------------------------------------------------- */

/* Clock ticks of file systems: the kernel's jiffy is at most 10 ms, FAT's mtime has 2 s. */
#define NS_PER_S INT64_C(1000000000)
#define TICK_OF_KERNEL (NS_PER_S / 20)
#define TICK_UNKNOWN (2 * NS_PER_S)
#define TICK_COARSE (NS_PER_S / 100)

/* Returns true if a write that comes after `now` changes the time stamp.  A stamp that is no
 * multiple of 10 ms shows that its file system stores the kernel's clock. */
static bool is_past_its_tick(int64_t stamp, int64_t now)
{
	int64_t tick = stamp % TICK_COARSE ? TICK_OF_KERNEL : TICK_UNKNOWN;

	return now - stamp > tick;
}

bool qc_times_are_reliable(int64_t mtime_ns, int64_t ctime_ns)
{
	struct timespec t;
	int64_t now;

	clock_gettime(CLOCK_REALTIME, &t);
	now = t.tv_sec * NS_PER_S + t.tv_nsec;
	return is_past_its_tick(mtime_ns, now) && is_past_its_tick(ctime_ns, now);
}

static bool differs_from(struct qc_file *f, const struct qc_file_stat *then)
{
	struct qc_file_stat now;

	return qc_file_stat(f, &now) || now.size != then->size || now.mtime_ns != then->mtime_ns;
}

bool qc_layer_file_changed(const struct qc_layer *l)
{
	return differs_from(l->file, &l->stat_at_open) ||
	       (l->data != l->file && differs_from(l->data, &l->data_stat_at_open));
}

/* A qc_watch_fn. */
static void report_lost_file(void *arg, const struct qc_watch *watch, const char *how)
{
	const struct qc_layer *l = arg;

	qc_log(&l->ctx->log, QC_LOG_ERROR, "%s: cannot %s: another program has %s",
	       watch == &l->watch ? l->path : l->data_path,
	       l->writer ? "write any more" : "read all of it", how);
}

/* ---- opening ---------------------------------------------------------------- */

static bool uses_file(const struct qc_layer *l, const struct qc_file_stat *st)
{
	return (l->stat_at_open.dev == st->dev && l->stat_at_open.ino == st->ino) ||
	       (l->data != l->file && l->data_stat_at_open.dev == st->dev &&
		l->data_stat_at_open.ino == st->ino);
}

/* The kernel does not tell the owner of a lock (fcntl(2), "Open file description locks"), and the
 * process of another program is found by looking for its descriptors.  Its own would always be
 * found, so a process has to look at its open images. */
void qc_layer_explain_lock(const struct qc_layer *l, struct qc_file *file, struct qc_reason *why)
{
	struct qc_context *ctx = l->ctx;
	const struct qc_layer *other = NULL;
	struct qc_file_stat st;

	if (why->cause != QC_CAUSE_LOCKED || qc_file_stat(file, &st))
		return;
	qc_lock(&ctx->layer_table_lock);
	for (unsigned int i = 0; !other && i < LAYER_TABLE_BUCKETS; i++)
		for (other = ctx->layer_table[i]; other; other = other->table.next)
			if (other != l && uses_file(other, &st))
				break;
	if (other)
		qc_fail_as(why, QC_CAUSE_LOCKED, -EBUSY, "locked: the image %s, which is open here, uses the "
			   "same %sfile (close that first)", other->path,
			   file == l->file ? "" : "data ");
	qc_unlock(&ctx->layer_table_lock);
}

/* Puts a masked file in front of *f if there is a mapfile of what could not be read of it. */
static qc_err mask_unread_areas(struct qc_layer *l, struct qc_file **f, const char *path,
				struct qc_reason *why)
{
	const struct qc_context *ctx = l->ctx;
	struct qc_unread_areas **areas = f == &l->file ? &l->unread : &l->data_unread;
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	qc_err r = ctx->unread ? ctx->unread(ctx->unread_arg, path, &text, &len) : -ENOENT;

	if (r == -ENOENT)
		return 0;
	if (r)
		return qc_fail(why, r, "cannot read the mapfile of its unread areas: %s", strerror(-r));
	r = qc_unread_areas_parse(text, len, areas, why);
	if (r) {
		qc_reason_prefix(why, "mapfile of its unread areas");
		return r;
	}
	r = qc_unread_areas_mask(f, *areas);
	return r ? qc_fail(why, r, "out of memory") : 0;
}

static qc_err lock_and_stat(struct qc_layer *l, struct qc_file **f, unsigned int flags,
			    struct qc_file_stat *st, struct qc_reason *why)
{
	bool has_writer = false;
	qc_err r = 0;

	if (!(flags & QC_OPEN_HEADERS_ONLY) && qc_file_fd(*f) >= 0)
		r = qc_image_lock_read(qc_file_fd(*f), l->ctx->locking, &has_writer, why);
	if (r) {
		qc_layer_explain_lock(l, *f, why);
		return r;
	}
	if (has_writer)
		qc_log(&l->ctx->log, QC_LOG_WARN,
		       "%s: another program is writing to it: reads may be inconsistent", l->path);
	r = qc_file_stat(*f, st);
	if (!r)
		r = qc_watched_file_new(f, f == &l->file ? &l->watch : &l->data_watch, st);
	if (r)
		return qc_fail_errno(why, r, NULL);
	/* A write to a block device through another node changes no time of this node. */
	if (st->is_block_device || !qc_times_are_reliable(st->mtime_ns, st->ctime_ns))
		l->times_reliable = false;
	return 0;
}

qc_err qc_layer_check_probed(const struct qc_layer *l, bool may_refer, struct qc_reason *why)
{
	if (may_refer || !l->head.geom.external)
		return 0;
	return qc_fail(why, -EACCES,
			 "its data file '%s' is not opened, as the format of this image "
			 "was not declared (backing=any allows it)", l->head.data_file);
}

bool qc_layer_may_write_data_file(const struct qc_context *ctx, const char *recorded,
				  const char **path)
{
	size_t n = strlen(recorded);

	*path = NULL;
	if (!ctx->data_file || strncmp(ctx->data_file, recorded, n) != 0)
		return false;
	if (ctx->data_file[n] == '=' && ctx->data_file[n + 1] == '/')
		*path = ctx->data_file + n + 1;
	return *path || !ctx->data_file[n];
}

static qc_err open_data_file(struct qc_layer *l, const struct qc_file_location *at,
			     bool may_refer, unsigned int flags, struct qc_reason *why)
{
	const struct qc_external_policy any = { .refs = QC_REFS_ANY }, *policy = &l->ctx->policy;
	const char *name = l->head.data_file, *path;
	struct qc_file_location data;
	qc_err r;

	r = qc_layer_check_probed(l, may_refer, why);
	if (r)
		return r;
	/* A path that the user has given is under no rule. */
	if (qc_layer_may_write_data_file(l->ctx, name, &path) && path) {
		name = path;
		policy = &any;
	}
	r = qc_open_external_file(policy, "data file", at, name, &data, why);
	if (r)
		return r;
	qc_set_noatime(l->ctx, data.fd);
	r = qc_file_of_fd(data.fd, &l->data);
	if (r) {
		qc_fail(why, r, "out of memory");
	} else {
		data.fd = -1;
		r = lock_and_stat(l, &l->data, flags, &l->data_stat_at_open, why);
		if (!r && asprintf(&l->data_path, "%s/%s", data.dir, data.name) < 0) {
			l->data_path = NULL;
			r = qc_fail(why, -ENOMEM, "out of memory");
		}
		if (!r)
			r = mask_unread_areas(l, &l->data, l->data_path, why);
	}
	qc_file_location_close(&data);
	return r;
}

/* Prepares the file for an L1 table that is mended, before anything reads a table. */
static qc_err prepare_patch(struct qc_layer *l)
{
	bool same = l->data == l->file;
	qc_err r = l->unread ? qc_unread_areas_fill(l->file, &l->filled) : 0;

	if (!r && l->filled)
		r = qc_patched_file_new(&l->filled, &l->patched_filled);
	if (!r)
		r = qc_patched_file_new(&l->file, &l->patched);
	if (same)
		l->data = l->file;
	return r;
}

void qc_layer_set_patch(struct qc_layer *l, const struct qc_file_patch *patch)
{
	qc_patched_file_set(l->patched, patch);
	if (l->patched_filled)
		qc_patched_file_set(l->patched_filled, patch);
}

static qc_err open_table_cache(struct qc_layer *l, unsigned int flags, struct qc_reason *why)
{
	const struct geom *g = &l->head.geom;
	uint64_t per_table, most;
	qc_err r;

	l->slice_bytes = (uint32_t)min_u64(geom_l2_bytes(g), QC_SLICE_MAX);
	if (flags & QC_OPEN_HEADERS_ONLY)
		return 0;
	per_table = geom_l2_bytes(g) / l->slice_bytes;
	most = geom_l1_need(g, l->size) * per_table + div_up(g->l1_entries * UINT64_C(8), l->slice_bytes);
	most *= 1 + l->head.snapshots; /* each may have L2 tables that no other has */
	r = l->ctx->rescue ? prepare_patch(l) : 0;
	if (!r)
		r = qc_cache_new(l->filled ? l->filled : l->file, l->slice_bytes, geom_cluster(g),
				 most, &l->ctx->budget, &l->tables);
	return r ? qc_fail(why, r, "out of memory") : 0;
}

/* Looks for the tables of an image whose header is lost, as @why tells.  @r: the error. */
static qc_err find_lost_header(struct qc_layer *l, qc_err r, struct qc_reason *why)
{
	struct qc_reason found = { 0 };

	if (l->ctx->find_header(l, &found)) {
		qc_reason_prefix(why, "%s", found.text);
		return r;
	}
	l->header_found = true;
	if (!l->headers_only)
		qc_log(&l->ctx->log, QC_LOG_WARN, "%s: %s: %s", l->path, why->text, found.text);
	return 0;
}

/* Reads the header.  If it is lost, and the image is to be rescued, looks for its tables, unless a
 * plan tells where all are.  An image with a feature that this program does not know is refused. */
static qc_err read_or_find_header(struct qc_layer *l, unsigned int flags, struct qc_reason *why)
{
	qc_err r = flags & QC_OPEN_METADATA ? qc_header_read_damaged(l->file, &l->head, why) :
					      qc_header_read(l->file, &l->head, why);

	if (r == -ENOMEM || !l->ctx->rescue || (r && *l->head.unknown_features && !l->planned))
		return r;
	if (r && l->planned && l->ctx->plan_is_complete) {
		l->head = (struct qc_header){ 0 };
		l->header_found = true;
	} else if (r) {
		r = find_lost_header(l, r, why);
		if (r)
			return r;
	}
	return l->planned ? l->ctx->apply_plan(l->ctx->plan, l->file, &l->head, why) : 0;
}

static qc_err open_qcow(struct qc_layer *l, const struct qc_file_location *at, bool may_refer,
			unsigned int flags, struct qc_reason *why)
{
	const unsigned int no_data = QC_OPEN_HEADERS_ONLY | QC_OPEN_METADATA;
	qc_err r = read_or_find_header(l, flags, why);

	if (r)
		return r;
	l->size = l->head.size;
#ifndef HAVE_ZSTD
	if (l->head.compression == COMPRESSION_ZSTD && !(flags & QC_OPEN_METADATA))
		return qc_fail(why, -ENOTSUP, "zstd compression was not built in (meson: -Dzstd=enabled)");
#endif
	if (l->head.geom.external)
		l->data_unread = NULL;
	if (l->head.geom.external && !(flags & QC_OPEN_METADATA))
		r = open_data_file(l, at, may_refer, flags, why);
	if (!r)
		r = open_table_cache(l, flags, why);
	if (!r && l->head.crypt && !(flags & no_data))
		r = qc_layer_key_find(l, why);
	return r;
}

static struct qc_layer *new_layer(struct qc_context *ctx, enum qc_format format,
				  unsigned int flags)
{
	struct qc_layer *l = aligned_alloc(_Alignof(struct qc_layer), sizeof(*l));

	if (!l)
		return NULL;
	memset(l, 0, sizeof(*l));
	qc_inflight_init(&l->inflight);
	qc_mutex_init(&l->open_lock, QC_RANK_OPEN);
	qc_watch_init(&l->watch, report_lost_file, l);
	qc_watch_init(&l->data_watch, report_lost_file, l);
	l->ctx = ctx;
	l->format = format;
	l->times_reliable = true;
	l->headers_only = flags & QC_OPEN_HEADERS_ONLY;
	l->planned = ctx->plan && flags & QC_OPEN_PLANNED;
	return l;
}

qc_err qc_layer_open(struct qc_context *ctx, struct qc_file_location *at, enum qc_format format,
		     bool may_refer, unsigned int flags, struct qc_layer **out,
		     struct qc_reason *why)
{
	struct qc_layer *l = new_layer(ctx, format, flags);
	qc_err r;

	if (!l)
		return qc_fail(why, -ENOMEM, "out of memory");
	if (asprintf(&l->path, "%s/%s", at->dir, at->name) < 0)
		l->path = NULL;
	r = l->path ? qc_file_of_fd(at->fd, &l->file) : -ENOMEM;
	if (r) {
		qc_fail_errno(why, r, NULL);
	} else {
		at->fd = -1;
		r = lock_and_stat(l, &l->file, flags, &l->stat_at_open, why);
		if (!r)
			r = mask_unread_areas(l, &l->file, l->path, why);
	}
	l->data = l->file;
	l->data_unread = l->unread;
	if (!r && format == QC_FORMAT_QCOW)
		r = open_qcow(l, at, may_refer, flags, why);
	else if (!r)
		l->size = l->stat_at_open.size;
	l->refused = r;
	if (r && !(l->file && flags & QC_OPEN_INSPECT))
		qc_layer_close(l);
	else
		*out = l;
	return r;
}

void qc_layer_close(struct qc_layer *l)
{
	qc_cluster_cache_invalidate(l->ctx->cluster_cache, l);
	qc_cache_free(l->tables);
	qc_file_close(l->filled);
	qc_crypt_state_free(l->crypt);
	if (l->data != l->file)
		qc_file_close(l->data);
	qc_file_close(l->file);
	if (l->data_unread != l->unread)
		qc_unread_areas_free(l->data_unread);
	qc_unread_areas_free(l->unread);
	qc_inflight_destroy(&l->inflight);
	qc_mutex_destroy(&l->open_lock);
	qc_watch_destroy(&l->watch);
	qc_watch_destroy(&l->data_watch);
	free(l->data_path);
	free(l->path);
	free(l);
}
