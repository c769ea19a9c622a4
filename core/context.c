/* SPDX-License-Identifier: MIT */
/*
 * context.c - the shelf is a table of open layers by device and inode.
 *
 * A layer is opened without the lock of the shelf, since that reads the file;
 * if two threads open the same one at once, the second to finish throws its
 * own away.
 */
#include "context.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CACHE_BYTES_DEFAULT (32 * MIB)

/* ---- context -------------------------------------------------------------- */

static char *without_slashes(const char *path)
{
	char *copy = strdup(path);

	for (size_t n = copy ? strlen(copy) : 0; n > 1 && copy[n - 1] == '/'; n--)
		copy[n - 1] = 0;
	return copy;
}

static qc_err copy_remaps(struct qc_policy *p, const struct qc_remap *from, size_t n)
{
	p->remaps = calloc(n + 1, sizeof(*p->remaps));
	if (!p->remaps)
		return -ENOMEM;
	for (; p->nremaps < n; p->nremaps++, from++) {
		struct qc_remap *to = &p->remaps[p->nremaps];

		to->old_prefix = without_slashes(from->old_prefix);
		to->new_prefix = without_slashes(from->new_prefix);
		if (!to->old_prefix || !to->new_prefix)
			return -ENOMEM;
	}
	return 0;
}

qc_err qc_context_new(const struct qc_config *config, struct qc_context **out)
{
	struct qc_context *ctx = calloc(1, sizeof(*ctx));
	qc_err r;

	if (!ctx)
		return -ENOMEM;
	ctx->log = (struct qc_log){ config->log, config->log_arg, config->log_max };
	ctx->policy.refs = config->refs;
	ctx->locking = config->locking;
	ctx->cache_bytes = config->cache_bytes ? config->cache_bytes : CACHE_BYTES_DEFAULT;
	ctx->budget.limit = ctx->cache_bytes;
	qc_mutex_init(&ctx->shelf_lock, QC_RANK_SHELF);
	r = copy_remaps(&ctx->policy, config->remaps, config->nremaps);
	if (!r)
		r = qc_codec_new(&ctx->codec);
	if (!r)
		r = qc_unpack_new(&ctx->unpack);
	if (r)
		qc_context_free(ctx);
	else
		*out = ctx;
	return r;
}

void qc_context_free(struct qc_context *ctx)
{
	assert(!ctx->layers);
	for (size_t i = 0; ctx->policy.remaps && i <= ctx->policy.nremaps; i++) {
		free((char *)ctx->policy.remaps[i].old_prefix);
		free((char *)ctx->policy.remaps[i].new_prefix);
	}
	free(ctx->policy.remaps);
	qc_unpack_free(ctx->unpack);
	qc_codec_free(ctx->codec);
	qc_mutex_destroy(&ctx->shelf_lock);
	free(ctx);
}

void qc_context_images(struct qc_context *ctx, int by)
{
	uint64_t n = atomic_fetch_add(&ctx->images, (uint64_t)by) + (uint64_t)by;

	atomic_store(&ctx->budget.limit, ctx->cache_bytes * max_u64(n, 1));
}

void qc_counters(struct qc_context *ctx, struct qc_counters *out)
{
	*out = (struct qc_counters){
		.layers_open = ctx->layers,
		.layers_opened = ctx->layers_opened,
		.table_loads = ctx->budget.loads,
		.table_bytes = ctx->budget.used,
		.unpacked = ctx->unpacked,
	};
}

/* ---- shelf ---------------------------------------------------------------- */

static struct qc_layer **bucket(struct qc_context *ctx, uint64_t dev, uint64_t ino)
{
	return &ctx->shelf[(ino ^ dev * 31) % SHELF_BUCKETS];
}

static void unshelve(struct qc_context *ctx, struct qc_layer *l) NEEDS(&ctx->shelf_lock);
static void unshelve(struct qc_context *ctx, struct qc_layer *l)
{
	struct qc_layer **p = bucket(ctx, l->facts.dev, l->facts.ino);

	while (*p != l)
		p = &(*p)->next;
	*p = l->next;
	l->shelved = false;
}

/* What a layer is found by. */
struct sought {
	uint64_t dev, ino;
	enum qc_format format;
	const char *dir, *name;
};

/* A data file is found from the folder of its image, so one image that is in two
 * folders may be two. */
static bool fits(const struct qc_layer *l, const struct sought *s)
{
	size_t n = strlen(s->dir);

	if (l->facts.dev != s->dev || l->facts.ino != s->ino || l->format != s->format)
		return false;
	return !l->head.geom.external ||
	       (!strncmp(l->path, s->dir, n) && l->path[n] == '/' &&
		!strcmp(l->path + n + 1, s->name));
}

/* The layer that is on the shelf, for one user more. */
static struct qc_layer *find(struct qc_context *ctx, const struct sought *s)
	NEEDS(&ctx->shelf_lock);
static struct qc_layer *find(struct qc_context *ctx, const struct sought *s)
{
	struct qc_layer *l = *bucket(ctx, s->dev, s->ino);

	while (l && !fits(l, s))
		l = l->next;
	if (l)
		l->users++;
	return l;
}

/* The file has changed under it.  Who still reads it would mix old tables with
 * new data, so it fails from now on, unless the user wants to read files that
 * change. */
static void retire(struct qc_context *ctx, struct qc_layer *l)
{
	bool first;

	qc_lock(&ctx->shelf_lock);
	first = l->shelved;
	if (first)
		unshelve(ctx, l);
	qc_unlock(&ctx->shelf_lock);
	if (!first || ctx->locking == QC_LOCKING_SHARE)
		return;
	atomic_store(&l->stale, true);
	qc_log(&ctx->log, QC_LOG_WARN, "%s: another program changed it while it was in use here",
	       l->path);
}

static void shelve(struct qc_context *ctx, struct qc_layer *l) NEEDS(&ctx->shelf_lock);
static void shelve(struct qc_context *ctx, struct qc_layer *l)
{
	struct qc_layer **head = bucket(ctx, l->facts.dev, l->facts.ino);

	l->users = 1;
	l->shelved = true;
	l->next = *head;
	*head = l;
	ctx->layers++;
	ctx->layers_opened++;
}

/* An open layer of this file, if it is still good; else `mine`, which is put on
 * the shelf, or NULL. */
static struct qc_layer *find_or_put(struct qc_context *ctx, const struct sought *s,
				    struct qc_layer *mine)
{
	for (;;) {
		struct qc_layer *l;

		qc_lock(&ctx->shelf_lock);
		l = find(ctx, s);
		if (!l && mine)
			shelve(ctx, mine);
		qc_unlock(&ctx->shelf_lock);
		if (!l)
			return mine;
		if (!qc_layer_changed(l))
			return l;
		retire(ctx, l);
		qc_shelf_give_back(l);
	}
}

static qc_err check_format(const struct qc_layer *l, enum qc_expect expect,
			   struct qc_reason *why)
{
	uint32_t version = l->head.version;

	if ((expect == QC_EXPECT_QCOW1 && version != 1) ||
	    (expect == QC_EXPECT_QCOW2 && version == 1))
		return qc_refuse(why, -EINVAL, "it is declared as %s, but is version %u",
				 expect == QC_EXPECT_QCOW1 ? "qcow" : "qcow2", version);
	return 0;
}

qc_err qc_shelf_take(struct qc_context *ctx, struct qc_place *place, enum qc_expect expect,
		     unsigned int flags, struct qc_layer **out, struct qc_reason *why)
{
	bool guess = expect == QC_EXPECT_NOTHING;
	bool qcow = guess ? qc_is_image(place->fd) : expect != QC_EXPECT_RAW;
	enum qc_format format = qcow ? QC_FORMAT_QCOW : QC_FORMAT_RAW;
	bool may_refer = !guess || ctx->policy.refs == QC_REFS_ANY;
	bool peek = flags & QC_OPEN_PEEK;
	struct qc_layer *l = NULL, *mine = NULL;
	struct sought sought;
	struct stat st;
	qc_err r;

	if (fstat(place->fd, &st))
		return qc_refuse(why, -errno, "%s", strerror(errno));
	sought = (struct sought){ st.st_dev, st.st_ino, format, place->dir, place->name };
	if (!peek)
		l = find_or_put(ctx, &sought, NULL);
	if (!l) {
		r = qc_layer_open(ctx, place, format, may_refer, flags, &mine, why);
		if (r)
			return r;
		l = peek ? mine : find_or_put(ctx, &sought, mine);
		if (l != mine) /* somebody else was faster */
			qc_layer_close(mine);
	}
	r = qc_layer_check_guessed(l, may_refer, why);
	if (!r)
		r = check_format(l, expect, why);
	if (r)
		qc_shelf_give_back(l);
	else
		*out = l;
	return r;
}

void qc_shelf_give_back(struct qc_layer *l)
{
	struct qc_context *ctx = l->ctx;
	bool last = true;

	if (!l->peeked) {
		qc_lock(&ctx->shelf_lock);
		last = --l->users == 0;
		if (last && l->shelved)
			unshelve(ctx, l);
		if (last)
			ctx->layers--;
		qc_unlock(&ctx->shelf_lock);
	}
	if (last)
		qc_layer_close(l);
}
