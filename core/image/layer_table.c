/* SPDX-License-Identifier: MIT */
/*
 * layer_table.c - a hash table of open layers, by device and inode.
 *
 * A layer is opened and closed without the lock of the table, since that reads and writes its
 * file.  Other threads that want the same file wait until then.
 */
#include "image/layer_table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "rescue/grade.h"
#include "update/checkpoint.h"
#include "update/writer.h"

static struct qc_layer **bucket_of(struct qc_context *ctx, uint64_t dev, uint64_t ino)
{
	return &ctx->layer_table[(ino ^ dev * 31) % LAYER_TABLE_BUCKETS];
}

static void remove_from_table(struct qc_context *ctx, struct qc_layer *l) NEEDS(&ctx->layer_table_lock);
static void remove_from_table(struct qc_context *ctx, struct qc_layer *l)
{
	struct qc_layer **p = bucket_of(ctx, l->stat_at_open.dev, l->stat_at_open.ino);

	while (*p != l)
		p = &(*p)->table.next;
	*p = l->table.next;
	l->table.listed = false;
}

struct layer_key {
	uint64_t dev, ino;
	enum qc_format format;
	const char *path;
};

/* Returns true if the layer is of this file.  An external data file is found from the directory
 * of its image.  So an image with two names in two directories may be two layers. */
static bool matches_key(const struct qc_layer *l, const struct layer_key *s)
{
	return l->stat_at_open.dev == s->dev && l->stat_at_open.ino == s->ino && l->format == s->format &&
	       (!l->head.geom.external || !strcmp(l->path, s->path));
}

static struct qc_layer *find_layer(struct qc_context *ctx, const struct layer_key *s)
	NEEDS(&ctx->layer_table_lock);
static struct qc_layer *find_layer(struct qc_context *ctx, const struct layer_key *s)
{
	struct qc_layer *l = *bucket_of(ctx, s->dev, s->ino);

	while (l && !matches_key(l, s))
		l = l->table.next;
	return l;
}

/* Takes a layer out of the table because another program changed its file.  A reader of it
 * would mix old tables with new data: its reads fail from now on, unless locking=share. */
static void mark_layer_stale(struct qc_context *ctx, struct qc_layer *l)
{
	bool first;

	qc_lock(&ctx->layer_table_lock);
	first = l->table.listed;
	if (first)
		remove_from_table(ctx, l);
	qc_unlock(&ctx->layer_table_lock);
	if (!first || ctx->locking == QC_LOCKING_SHARE)
		return;
	atomic_store(&l->stale, true);
	qc_log(&ctx->log, QC_LOG_WARN, "%s: another program changed it while it was in use here",
	       l->path);
}

/* A file that is being opened or closed.  Other threads that open it wait, because its locks
 * are still held and its tables may still be written back. */
struct qc_busy_file {
	uint64_t dev, ino;
	struct qc_busy_file *next;
};

static bool is_file_busy(const struct qc_context *ctx, uint64_t dev, uint64_t ino)
{
	const struct qc_busy_file *i = ctx->busy;

	while (i && (i->dev != dev || i->ino != ino))
		i = i->next;
	return i;
}

static void begin_busy(struct qc_context *ctx, struct qc_busy_file *mine) NEEDS(&ctx->layer_table_lock);
static void begin_busy(struct qc_context *ctx, struct qc_busy_file *mine)
{
	mine->next = ctx->busy;
	ctx->busy = mine;
}

static void end_busy(struct qc_context *ctx, struct qc_busy_file *mine) NEEDS(&ctx->layer_table_lock);
static void end_busy(struct qc_context *ctx, struct qc_busy_file *mine)
{
	struct qc_busy_file **p = &ctx->busy;

	while (*p != mine)
		p = &(*p)->next;
	*p = mine->next;
	pthread_cond_broadcast(&ctx->idle);
}

static void close_last_user(struct qc_context *ctx, struct qc_layer *l, struct qc_busy_file *mine)
{
	if (l->writer && qc_writer_close(l->writer))
		qc_log(&ctx->log, QC_LOG_ERROR, "%s: cannot write the last changes: they may be lost", l->path);
	qc_grade_forget(l);
	qc_layer_close(l);
	qc_lock(&ctx->layer_table_lock);
	end_busy(ctx, mine);
	qc_unlock(&ctx->layer_table_lock);
}

/* Returns the open layer of a file that has not changed, with one user more.  Otherwise
 * returns NULL and marks the file as busy: the caller opens it. */
static struct qc_layer *find_or_begin(struct qc_context *ctx, const struct layer_key *s,
				      struct qc_busy_file *mine)
{
	for (;;) {
		struct qc_layer *l;

		qc_lock(&ctx->layer_table_lock);
		while (is_file_busy(ctx, s->dev, s->ino))
			qc_wait(&ctx->idle, &ctx->layer_table_lock);
		l = find_layer(ctx, s);
		if (l)
			l->table.users++;
		else
			begin_busy(ctx, mine);
		qc_unlock(&ctx->layer_table_lock);
		if (!l)
			return NULL;
		/* With a writer, all changes are our own: the locks keep other programs off. */
		if (l->writer || !qc_layer_file_changed(l))
			return l;
		mark_layer_stale(ctx, l);
		qc_layer_put(l, false);
	}
}

static void add_to_table(struct qc_context *ctx, struct qc_layer *l) NEEDS(&ctx->layer_table_lock);
static void add_to_table(struct qc_context *ctx, struct qc_layer *l)
{
	struct qc_layer **head = bucket_of(ctx, l->stat_at_open.dev, l->stat_at_open.ino);

	l->table.users = 1;
	l->table.listed = true;
	l->table.next = *head;
	*head = l;
	ctx->layers++;
	ctx->layers_opened++;
}

static qc_err check_declared_format(const struct qc_layer *l, enum qc_declared_format expect,
			   struct qc_reason *why)
{
	uint32_t version = l->head.version;

	if ((expect == QC_EXPECT_QCOW1 && version != 1) ||
	    (expect == QC_EXPECT_QCOW2 && version == 1))
		return qc_fail(why, -EINVAL, "declared as %s, but version %u (qcowfs rebase -u -F "
				 "declares another)", qc_format_name(expect == QC_EXPECT_QCOW1 ? 1 : 2), version);
	return 0;
}

/* Adds the layer, unless NULL, and lets other threads have the file. */
static void finish_opening(struct qc_context *ctx, struct qc_layer *l, struct qc_busy_file *mine)
{
	qc_lock(&ctx->layer_table_lock);
	if (l)
		add_to_table(ctx, l);
	end_busy(ctx, mine);
	qc_unlock(&ctx->layer_table_lock);
}

qc_err qc_layer_get(struct qc_context *ctx, struct qc_file_location *at, enum qc_declared_format expect,
		     unsigned int flags, struct qc_layer **out, struct qc_reason *why)
{
	bool probe = expect == QC_FORMAT_PROBE;
	bool qcow = probe ? qc_is_image(at->fd) : expect != QC_FORMAT_DECLARED_RAW;
	enum qc_format format = qcow ? QC_FORMAT_QCOW : QC_FORMAT_RAW;
	bool may_refer = !probe || ctx->policy.refs == QC_REFS_ANY;
	bool headers_only = flags & QC_OPEN_HEADERS_ONLY;
	AUTO_FREE char *path = NULL;
	struct qc_layer *l = NULL;
	struct layer_key key;
	struct qc_busy_file busy;
	struct stat st;
	qc_err r = 0;

	if (fstat(at->fd, &st))
		return qc_fail_errno(why, -errno, NULL);
	if (asprintf(&path, "%s/%s", at->dir, at->name) < 0)
		return qc_fail(why, -ENOMEM, "out of memory");
	key = (struct layer_key){ st.st_dev, st.st_ino, format, path };
	busy = (struct qc_busy_file){ st.st_dev, st.st_ino, NULL };
	if (!headers_only)
		l = find_or_begin(ctx, &key, &busy);
	if (!l) {
		r = qc_layer_open(ctx, at, format, may_refer, flags, &l, why);
		if (!headers_only)
			finish_opening(ctx, r ? NULL : l, &busy);
	}
	if (!r)
		r = qc_layer_check_probed(l, may_refer, why);
	if (!r)
		r = check_declared_format(l, expect, why);
	if (r && l && !(flags & QC_OPEN_INSPECT)) {
		qc_layer_put(l, false);
		l = NULL;
	}
	if (r && l)
		l->refused = true;
	*out = l;
	return r;
}

qc_err qc_layer_deny_write(struct qc_layer *l, struct qc_reason *why)
{
	bool busy;

	qc_lock(&l->ctx->layer_table_lock);
	busy = l->table.has_writer;
	if (!busy)
		l->table.backing_users++;
	qc_unlock(&l->ctx->layer_table_lock);
	if (!busy)
		return 0;
	qc_layer_put(l, false);
	return qc_fail_as(why, QC_CAUSE_LOCKED, -EBUSY,
			    "open for writing here (close that first)");
}

void qc_layer_ref(struct qc_layer *l, bool as_backing)
{
	qc_lock(&l->ctx->layer_table_lock);
	l->table.users++;
	l->table.backing_users += as_backing;
	qc_unlock(&l->ctx->layer_table_lock);
}

void qc_layer_adjust_backing(struct qc_layer *l, int by)
{
	qc_lock(&l->ctx->layer_table_lock);
	l->table.backing_users += (unsigned int)by;
	qc_unlock(&l->ctx->layer_table_lock);
}

void qc_layer_pin_snapshot(struct qc_layer *l, struct qc_pin *pin)
{
	qc_lock(&l->ctx->layer_table_lock);
	pin->next = l->table.pins;
	l->table.pins = pin;
	qc_unlock(&l->ctx->layer_table_lock);
}

void qc_layer_unpin_snapshot(struct qc_layer *l, struct qc_pin *pin)
{
	struct qc_pin **p = &l->table.pins;

	qc_lock(&l->ctx->layer_table_lock);
	while (*p != pin)
		p = &(*p)->next;
	*p = pin->next;
	qc_unlock(&l->ctx->layer_table_lock);
}

bool qc_layer_snapshot_is_pinned(struct qc_layer *l, uint64_t l1_offset)
{
	const struct qc_pin *p;

	qc_lock(&l->ctx->layer_table_lock);
	p = l->table.pins;
	while (p && p->l1_offset != l1_offset)
		p = p->next;
	qc_unlock(&l->ctx->layer_table_lock);
	return p;
}

static void fill_usage(struct qc_layer *l, struct qc_layer_use *out)
{
	*out = (struct qc_layer_use){ .open = true, .has_writer = l->table.has_writer, .users = l->table.users };
	qc_io_stats_sum(&l->io_stats, &out->io);
	if (l->tables)
		qc_cache_counters(l->tables, &out->table_loads, &out->table_bytes);
}

void qc_layer_get_usage(const struct qc_layer *l, struct qc_layer_use *out)
{
	const struct layer_key same = { l->stat_at_open.dev, l->stat_at_open.ino, l->format, l->path };
	struct qc_context *ctx = l->ctx;
	struct qc_layer *open;

	*out = (struct qc_layer_use){ 0 };
	qc_lock(&ctx->layer_table_lock);
	open = find_layer(ctx, &same);
	if (open)
		fill_usage(open, out);
	qc_unlock(&ctx->layer_table_lock);
}

struct qc_layer *qc_layer_next_dirty(struct qc_context *ctx, size_t bucket, unsigned int round)
{
	struct qc_layer *l;

	qc_lock(&ctx->layer_table_lock);
	l = ctx->layer_table[bucket];
	while (l && (l->table.flush_round == round || !l->writer || !qc_writer_is_dirty(l->writer)))
		l = l->table.next;
	if (l) {
		l->table.flush_round = round;
		l->table.flushing = true;
	}
	qc_unlock(&ctx->layer_table_lock);
	return l;
}

void qc_layer_flush_done(struct qc_layer *l)
{
	struct qc_context *ctx = l->ctx;

	qc_lock(&ctx->layer_table_lock);
	l->table.flushing = false;
	pthread_cond_broadcast(&ctx->idle);
	qc_unlock(&ctx->layer_table_lock);
}

void qc_layer_put(struct qc_layer *l, bool as_backing)
{
	struct qc_context *ctx = l->ctx;
	struct qc_busy_file closing = { l->stat_at_open.dev, l->stat_at_open.ino, NULL };
	bool last;

	if (l->headers_only) {
		qc_layer_close(l);
		return;
	}
	qc_lock(&ctx->layer_table_lock);
	while (l->table.flushing && l->table.users == 1)
		qc_wait(&ctx->idle, &ctx->layer_table_lock);
	l->table.backing_users -= as_backing;
	last = --l->table.users == 0;
	if (last && l->table.listed)
		remove_from_table(ctx, l);
	if (last) {
		ctx->layers--;
		begin_busy(ctx, &closing);
	}
	qc_unlock(&ctx->layer_table_lock);
	if (last)
		close_last_user(ctx, l, &closing);
}

void qc_context_adjust_budget(struct qc_context *ctx, int by)
{
	uint64_t n = atomic_fetch_add(&ctx->images, (uint64_t)by) + (uint64_t)by;

	atomic_store(&ctx->budget.limit, ctx->cache_bytes * max_u64(n, 1));
}
