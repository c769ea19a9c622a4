/* SPDX-License-Identifier: MIT */
#include "image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/outcome.h"
#include "format/format_name.h"
#include "base/range.h"
#include "io/backing_name.h"
#include "update/writer.h"

/* ---- the chain ------------------------------------------------------------ */

static qc_err start_place(const struct qc_image_location *src, struct qc_file_location *p,
			  struct qc_reason *why)
{
	struct stat st;

	*p = QC_FILE_LOCATION_NONE;
	if (fstat(src->fd, &st) || !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)))
		return qc_fail(why, -EMEDIUMTYPE, "not a regular file");
	/* An open file of its own, since its locks belong to that. */
	p->fd = qc_reopen(src->fd, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	p->dirfd = p->fd < 0 ? -1 : fcntl(src->dirfd, F_DUPFD_CLOEXEC, 0);
	if (p->dirfd < 0)
		return qc_fail_errno(why, -errno, NULL);
	p->dir = strdup(src->dir);
	p->name = strdup(src->name);
	return p->dir && p->name ? 0 : qc_fail(why, -ENOMEM, "out of memory");
}

static qc_err declared_format(const char *name, enum qc_declared_format *out, struct qc_reason *why)
{
	static const struct {
		const char *name;
		enum qc_declared_format expect;
	} known[] = {
		{ "", QC_FORMAT_PROBE },
		{ QC_NAME_QCOW1, QC_EXPECT_QCOW1 },
		{ QC_NAME_QCOW2, QC_EXPECT_QCOW2 },
		{ QC_NAME_RAW, QC_FORMAT_DECLARED_RAW },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!strcmp(name, known[i].name)) {
			*out = known[i].expect;
			return 0;
		}
	}
	return qc_fail(why, -ENOTSUP, "its backing file has the unknown format '%s' (raw, qcow and "
			 "qcow2 are known; qemu-img rebase -u -F declares another)", name);
}

static bool is_in_chain(const struct qc_image *img, const struct qc_layer *l)
{
	for (unsigned int i = 0; i < img->depth; i++)
		if (img->layer[i]->stat_at_open.dev == l->stat_at_open.dev &&
		    img->layer[i]->stat_at_open.ino == l->stat_at_open.ino)
			return true;
	return false;
}

/* Takes the layer of the file at `place` into the chain. */
static qc_err push(struct qc_image *img, struct qc_file_location *place, enum qc_declared_format expect,
		   struct qc_reason *why)
{
	unsigned int flags = (img->headers_only ? QC_OPEN_HEADERS_ONLY : 0) | (img->partial ? QC_OPEN_INSPECT : 0);
	struct qc_layer *l = NULL;
	qc_err r;

	if (img->depth == CHAIN_MAX)
		return qc_fail(why, -ELOOP, "the chain is longer than %d files (qemu-img commit or "
				 "rebase makes it shorter)", CHAIN_MAX);
	r = qc_layer_get(img->ctx, place, expect, flags, &l, why);
	if (!r && img->depth && !img->headers_only)
		r = qc_layer_deny_write(l, why);
	if (r && img->partial && l)
		img->layer[img->depth++] = l;
	if (r)
		return r;
	if (is_in_chain(img, l)) {
		qc_layer_put(l, img->depth > 0);
		return qc_fail(why, -ELOOP, "the chain is a loop: this file is in it already "
				 "(qemu-img rebase -u -b names another)");
	}
	img->layer[img->depth++] = l;
	img->bottom = img->depth;
	return 0;
}

/* Opens the file that the header names; the name may declare the format, too. */
static qc_err open_backing_file(struct qc_image *img, const struct qc_header *h,
				const struct qc_file_location *place, struct qc_file_location *next,
				enum qc_declared_format *expect, struct qc_reason *why)
{
	char format[QC_BACKING_FORMAT_ROOM];
	AUTO_FREE char *path = NULL;
	qc_err r = qc_backing_name_parse(h->backing, &path, format, why);

	if (!r)
		r = declared_format(*format ? format : h->backing_format, expect, why);
	return r ? r : qc_open_external_file(&img->ctx->policy, "backing file", place, path, next, why);
}

/* Replaces place by that of the backing file of the lowest layer. */
static qc_err follow(struct qc_image *img, struct qc_file_location *place, bool guessed,
		     enum qc_declared_format *expect, struct qc_reason *why)
{
	const struct qc_header *h = &img->layer[img->depth - 1]->head;
	struct qc_file_location next;
	qc_err r;

	if (guessed && img->ctx->policy.refs != QC_REFS_ANY)
		return qc_fail(why, -EACCES,
				 "its backing file '%s' is not opened, as the format of this image "
				 "was not declared (backing=any allows it)", h->backing);
	r = open_backing_file(img, h, place, &next, expect, why);
	if (r)
		return r;
	qc_set_noatime(img->ctx, next.fd);
	qc_file_location_close(place);
	*place = next;
	return 0;
}

static void descend(struct qc_file_location *place, struct qc_file_location *below)
{
	qc_file_location_close(place);
	*place = *below;
	*below = QC_FILE_LOCATION_NONE;
}

/* Down from `place`; where `below` is a place, that is what comes next, by the will of
 * who opens both. */
static qc_err open_chain(struct qc_image *img, struct qc_file_location *place, struct qc_file_location *below,
			 struct qc_reason *why)
{
	enum qc_declared_format expect = QC_FORMAT_DECLARED_QCOW;
	unsigned int first = below->fd >= 0; /* the layer that is the user's image */

	for (unsigned int i = 0;; i++) {
		bool guessed = expect == QC_FORMAT_PROBE;
		qc_err r = push(img, place, expect, why);

		if (!r && i < first) {
			descend(place, below);
			continue;
		}
		if (!r && !*img->layer[i]->head.backing) {
			qc_log(&img->ctx->log, QC_LOG_INFO, "%s: open, with %u files",
			       img->layer[0]->path, img->depth);
			return 0;
		}
		if (!r)
			r = follow(img, place, guessed, &expect, why);
		if (r && i != first)
			qc_reason_prefix(why, "%s %s/%s", i < first ? "overlay" : "backing file",
					 place->dir, place->name);
		if (r)
			return r;
	}
}

/* Of an image that is only looked at, without unlocking any of its layers. */
static qc_err refuse_encrypted(const struct qc_image *img, struct qc_reason *why)
{
	for (unsigned int i = 0; i < img->depth && !img->ctx->key; i++) {
		const struct qc_layer *l = img->layer[i];

		if (!l->head.crypt)
			continue;
		qc_unlock_no_key(l, why);
		if (i)
			qc_reason_prefix(why, "backing file %s", l->path);
		return -EACCES;
	}
	return 0;
}

static qc_err open_sources(struct qc_image *img, const struct qc_image_location *top,
			   const struct qc_image_location *next, struct qc_reason *why)
{
	struct qc_file_location place, below = QC_FILE_LOCATION_NONE;
	qc_err r = start_place(top, &place, why);

	if (!r && next)
		r = start_place(next, &below, why);
	if (!r)
		qc_set_noatime(img->ctx, next ? below.fd : place.fd);
	if (!r)
		r = open_chain(img, &place, &below, why);
	qc_file_location_close(&place);
	qc_file_location_close(&below);
	return r;
}

static qc_err make_writable(struct qc_image *img, bool over, struct qc_reason *why)
{
	struct qc_layer *l = img->layer[0];
	qc_err r = qc_layer_make_writable(l, why);

	img->writable = !r;
	if (r && over)
		qc_reason_prefix(why, "overlay %s", l->path);
	return r;
}

/* `next` is what lies below `top`; NULL: what `top` says. */
static qc_err open_image(struct qc_context *ctx, const struct qc_image_location *top,
			 const struct qc_image_location *next, unsigned int flags,
			 struct qc_image **out, struct qc_reason *why)
{
	struct qc_image *img = calloc(1, sizeof(*img));
	qc_err r;

	if (!img)
		return qc_fail(why, -ENOMEM, "out of memory");
	img->ctx = ctx;
	img->headers_only = flags & QC_OPEN_HEADERS_ONLY;
	img->partial = flags & QC_OPEN_INSPECT;
	if (img->partial)
		*out = NULL;
	if (!img->headers_only)
		qc_context_adjust_budget(ctx, 1);
	r = open_sources(img, top, next, why);
	if (!r && img->headers_only)
		r = refuse_encrypted(img, why);
	if (!r && img->partial)
		r = qc_image_in_use(img, why);
	if (r && img->partial && img->depth) {
		*out = img;
		return r;
	}
	if (!r && flags & QC_OPEN_WRITE)
		r = make_writable(img, next, why);
	if (r)
		qc_close(img);
	else
		*out = img;
	return r;
}

qc_err qc_open(struct qc_context *ctx, const struct qc_image_location *src, unsigned int flags,
	       struct qc_image **out, struct qc_reason *why)
{
	return qc_no_outcome(open_image(ctx, src, NULL, flags, out, why));
}

qc_err qc_open_over(struct qc_context *ctx, const struct qc_image_location *over,
		    const struct qc_image_location *src, unsigned int flags, struct qc_image **out,
		    struct qc_reason *why)
{
	return qc_no_outcome(open_image(ctx, over, src, flags, out, why));
}

void qc_close(struct qc_image *img)
{
	if (img->of_snapshot)
		qc_layer_unpin_snapshot(img->layer[0], &img->pin);
	for (unsigned int i = 0; i < img->depth; i++)
		qc_layer_put(img->layer[i], i > 0);
	if (!img->headers_only)
		qc_context_adjust_budget(img->ctx, -1);
	free(img);
}

/* ---- facts ---------------------------------------------------------------- */

uint64_t qc_size(const struct qc_image *img)
{
	return img->of_snapshot ? img->size : img->layer[img->top]->size;
}

qc_err qc_writable(const struct qc_image *img, struct qc_reason *why)
{
	return qc_writer_check_writable(img->layer[0], why);
}

unsigned int qc_depth(const struct qc_image *img)
{
	return img->depth;
}

uint32_t qc_cluster_size(const struct qc_image *img)
{
	return (uint32_t)geom_cluster(&img->layer[0]->head.geom);
}

static void stamp_file(struct qc_fingerprint *s, const struct qc_file_stat *f)
{
	uint64_t v[] = { f->dev, f->ino, f->size, (uint64_t)f->mtime_ns };

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		s->content = hash_fnv_u64(s->content, v[i]);
	s->exact = hash_fnv_u64(hash_fnv_u64(s->exact, s->content), (uint64_t)f->ctime_ns);
}

void qc_get_fingerprint(const struct qc_image *img, struct qc_fingerprint *out)
{
	*out = (struct qc_fingerprint){ HASH_FNV_BASIS, 0, true };
	for (unsigned int i = img->top; i < img->depth; i++) {
		const struct qc_layer *l = img->layer[i];

		stamp_file(out, &l->stat_at_open);
		stamp_file(out, &l->data_stat_at_open);
		out->times_reliable = out->times_reliable && l->times_reliable;
	}
}

/* ---- the way down --------------------------------------------------------- */

/* What the layer at w->depth says; where it ends, zeros, whatever is below. */
static qc_err look(struct qc_walk *w, struct qc_step *out)
{
	struct qc_image *img = w->img;
	struct qc_layer *l = img->layer[w->depth];
	bool of_snapshot = img->of_snapshot && !w->depth;
	uint64_t left = w->end[w->depth] - w->at;
	uint64_t max = range_clamp(w->at, left, of_snapshot ? img->size : l->size);

	out->layer = l;
	out->at.v = w->at;
	out->x = (struct qc_map_extent){ .kind = QC_ZERO, .len = left };
	if (!max)
		return 0;
	if (atomic_load_explicit(&l->stale, memory_order_relaxed))
		return -ESTALE;
	if (!of_snapshot)
		return qc_map_lookup(l, out->at, max, &out->x);
	out->at.v += img->base;
	return qc_map_lookup_snapshot(l, &img->root, out->at, max, &out->x);
}

qc_err qc_walk_step(struct qc_walk *w, struct qc_step *out)
{
	while (w->depth > w->img->top && w->end[w->depth] <= w->at)
		w->depth--;
	for (;;) {
		qc_err r = look(w, out);

		if (r)
			return r;
		if (out->x.kind != QC_UNALLOCATED)
			break;
		out->x.kind = QC_ZERO;
		if (w->depth + 1 == w->img->bottom)
			break;
		w->depth++;
		w->end[w->depth] = w->at + out->x.len;
	}
	w->at += out->x.len;
	return 0;
}
