/* SPDX-License-Identifier: MIT */
#include "image/image.h"

#include <errno.h>
#include <string.h>

#include "base/hash.h"
#include "base/outcome.h"
#include "format/format_name.h"
#include "image/gather.h"
#include "io/backing_name.h"
#include "update/writer.h"

/* ---- opening the chain ------------------------------------------------------ */

static qc_err parse_backing_format(const char *name, enum qc_declared_format *out, struct qc_reason *why)
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
	return qc_fail(why, -ENOTSUP, "unknown backing format '%s' (raw, qcow and qcow2 are known; "
			 "qcowfs rebase -u -F declares another)", name);
}

static bool is_in_chain(const struct qc_image *img, const struct qc_layer *l)
{
	for (unsigned int i = 0; i < img->depth; i++)
		if (img->layer[i]->stat_at_open.dev == l->stat_at_open.dev &&
		    img->layer[i]->stat_at_open.ino == l->stat_at_open.ino)
			return true;
	return false;
}

/* Appends the layer of a file to the chain.  @is_named: the user has named it. */
static qc_err append_layer(struct qc_image *img, struct qc_file_location *at, bool is_named,
			   enum qc_declared_format expect, struct qc_reason *why)
{
	unsigned int flags = (img->headers_only ? QC_OPEN_HEADERS_ONLY : 0) |
			     (img->inspect ? QC_OPEN_INSPECT : 0) | (is_named ? QC_OPEN_PLANNED : 0);
	struct qc_layer *l = NULL;
	qc_err r;

	if (img->depth == CHAIN_MAX)
		return qc_fail(why, -ELOOP, "the chain is longer than %d files (qcowfs commit or "
				 "rebase makes it shorter)", CHAIN_MAX);
	r = qc_layer_get(img->ctx, at, expect, flags, &l, why);
	if (!r && img->depth && !img->headers_only)
		r = qc_layer_deny_write(l, why);
	if (r && img->inspect && l)
		img->layer[img->depth++] = l;
	if (r)
		return r;
	if (is_in_chain(img, l)) {
		qc_layer_put(l, img->depth > 0);
		return qc_fail(why, -ELOOP, "the chain is a loop: this file is in it already "
				 "(qcowfs rebase -u -b names another)");
	}
	img->layer[img->depth++] = l;
	img->bottom = img->depth;
	return 0;
}

/* Opens the file that the header names; the name may declare the format, too. */
static qc_err open_named_file(struct qc_image *img, const struct qc_header *h,
			      const struct qc_file_location *at, struct qc_file_location *next,
			      enum qc_declared_format *expect, struct qc_reason *why)
{
	char format[QC_BACKING_FORMAT_ROOM];
	AUTO_FREE char *path = NULL;
	qc_err r = qc_backing_name_parse(h->backing, &path, format, why);

	if (!r)
		r = parse_backing_format(*format ? format : h->backing_format, expect, why);
	return r ? r : qc_open_external_file(&img->ctx->policy, "backing file", at, path, next, why);
}

/* Replaces @at by the backing file of the lowest layer.  @probed: the format of that layer
 * was not declared. */
static qc_err open_backing_file(struct qc_image *img, struct qc_file_location *at, bool probed,
		     enum qc_declared_format *expect, struct qc_reason *why)
{
	const struct qc_header *h = &img->layer[img->depth - 1]->head;
	struct qc_file_location next;
	qc_err r;

	if (probed && img->ctx->policy.refs != QC_REFS_ANY)
		return qc_fail(why, -EACCES,
				 "cannot open backing file '%s': the format of this image was "
				 "not declared (backing=any allows it; qcowfs rebase -u -b NAME "
				 "-F qcow2 declares it)", h->backing);
	r = open_named_file(img, h, at, &next, expect, why);
	if (r)
		return r;
	qc_set_noatime(img->ctx, next.fd);
	qc_file_location_close(at);
	*at = next;
	return 0;
}

static void replace_location(struct qc_file_location *at, struct qc_file_location *below)
{
	qc_file_location_close(at);
	*at = *below;
	*below = QC_FILE_LOCATION_NONE;
}

/* Returns true if the image is served without the rest of its chain, to be rescued: the layers
 * that are there hold a part of the disk.  A file that another program has locked is there, and
 * so is one whose key the user can give. */
static bool may_miss_backing(struct qc_image *img, unsigned int first,
			     const struct qc_reason *why)
{
	if (!img->ctx->rescue || img->depth <= first || why->cause != QC_CAUSE_IMAGE)
		return false;
	img->backing_missing = true;
	if (!img->headers_only)
		qc_log(&img->ctx->log, QC_LOG_WARN, "%s: served without its backing file '%s': %s",
		       img->layer[img->depth - 1]->path, img->layer[img->depth - 1]->head.backing,
		       why->text);
	return true;
}

/* Finds out that the header has lost the name of a backing file, whose format it still declares.
 * QEMU removes both at once. */
static void note_lost_backing_name(struct qc_image *img)
{
	const struct qc_layer *l = img->layer[img->depth - 1];

	if (!img->ctx->rescue || *l->head.backing || !*l->head.backing_format)
		return;
	img->backing_missing = true;
	if (!img->headers_only)
		qc_log(&img->ctx->log, QC_LOG_WARN, "%s: served without its backing file, whose "
		       "name is lost: the header declares its format '%s'", l->path,
		       l->head.backing_format);
}

/* Opens the chain from @at down.  If @below is open, it is the next layer, and the name of the
 * backing file in the first one is ignored. */
static qc_err open_chain(struct qc_image *img, struct qc_file_location *at, struct qc_file_location *below,
			 struct qc_reason *why)
{
	enum qc_declared_format expect = QC_FORMAT_DECLARED_QCOW;
	unsigned int first = below->fd >= 0; /* the layer that is the user's image */

	for (unsigned int i = 0;; i++) {
		bool probed = expect == QC_FORMAT_PROBE;
		qc_err r = append_layer(img, at, i == first, expect, why);

		if (!r && i < first) {
			replace_location(at, below);
			continue;
		}
		if (!r && (img->no_backing || !*img->layer[i]->head.backing)) {
			note_lost_backing_name(img);
			qc_log(&img->ctx->log, QC_LOG_INFO, "%s: open, with %u files",
			       img->layer[0]->path, img->depth);
			return 0;
		}
		if (!r)
			r = open_backing_file(img, at, probed, &expect, why);
		if (r && may_miss_backing(img, first, why))
			return 0;
		if (r && i != first)
			qc_reason_prefix(why, "%s %s/%s", i < first ? "overlay" : "backing file",
					 at->dir, at->name);
		if (r)
			return r;
	}
}

/* Fails for an encrypted layer if the user gave no key.  With one, only opening tells. */
static qc_err require_key(const struct qc_image *img, struct qc_reason *why)
{
	for (unsigned int i = 0; i < img->depth && !img->ctx->key; i++) {
		const struct qc_layer *l = img->layer[i];

		if (!l->head.crypt)
			continue;
		qc_layer_key_missing(l, why);
		if (i)
			qc_reason_prefix(why, "backing file %s", l->path);
		return -EACCES;
	}
	return 0;
}

static qc_err open_layers(struct qc_image *img, const struct qc_image_location *top,
			   const struct qc_image_location *next, struct qc_reason *why)
{
	struct qc_file_location at, below = QC_FILE_LOCATION_NONE;
	qc_err r = qc_file_location_of(top, &at, why);

	if (!r && next)
		r = qc_file_location_of(next, &below, why);
	if (!r)
		qc_set_noatime(img->ctx, next ? below.fd : at.fd);
	if (!r)
		r = open_chain(img, &at, &below, why);
	qc_file_location_close(&at);
	qc_file_location_close(&below);
	return r;
}

/* Grades the disks of all layers, but for an overlay that is written. */
static qc_err grade_layers(struct qc_image *img, bool over, struct qc_reason *why)
{
	qc_err r = 0;

	for (unsigned int i = over; !r && i < img->depth; i++)
		r = qc_grade_active(img->layer[i], &img->grades[i]);
	return r ? qc_fail_errno(why, r, "cannot read its tables") : 0;
}

static qc_err make_top_writable(struct qc_image *img, bool over, struct qc_reason *why)
{
	struct qc_layer *l = img->layer[0];
	qc_err r = qc_layer_make_writable(l, why);

	img->writable = !r;
	if (r && over)
		qc_reason_prefix(why, "overlay %s", l->path);
	return r;
}

/* @next: the backing file; NULL: the one that @top names. */
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
	img->inspect = flags & QC_OPEN_INSPECT;
	img->no_backing = flags & QC_OPEN_NO_BACKING;
	if (img->inspect)
		*out = NULL;
	if (!img->headers_only)
		qc_context_adjust_budget(ctx, 1);
	r = open_layers(img, top, next, why);
	if (!r && img->headers_only)
		r = require_key(img, why);
	if (!r && img->inspect)
		r = qc_image_in_use(img, why);
	if (r && img->inspect && img->depth) {
		*out = img;
		return r;
	}
	if (!r && ctx->rescue && !img->headers_only)
		r = grade_layers(img, next, why);
	if (!r && flags & QC_OPEN_WRITE)
		r = make_top_writable(img, next, why);
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

struct qc_image *qc_open_share(struct qc_image *img)
{
	struct qc_image *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->ctx = img->ctx;
	v->headers_only = img->headers_only;
	v->depth = v->bottom = img->depth;
	v->backing_missing = img->backing_missing;
	memcpy(v->grades, img->grades, sizeof(v->grades));
	for (unsigned int i = 0; i < img->depth; i++) {
		v->layer[i] = img->layer[i];
		qc_layer_ref(img->layer[i], i > 0);
	}
	qc_context_adjust_budget(v->ctx, 1);
	return v;
}

qc_err qc_open_view(struct qc_image *img, qc_view_fn *begin, const void *arg, struct qc_image **out,
		    struct qc_reason *why)
{
	struct qc_inflight_token token;
	struct qc_image *v;
	qc_err r;

	if (img->headers_only)
		return qc_fail(why, -EINVAL, "the image was opened for its headers only");
	v = qc_open_share(img);
	if (!v)
		return qc_fail(why, -ENOMEM, "out of memory");
	token = qc_inflight_begin(&v->layer[0]->inflight);
	r = begin(v, arg, why);
	qc_inflight_end(&v->layer[0]->inflight, token);
	if (r)
		qc_close(v);
	else
		*out = v;
	return r;
}

void qc_close(struct qc_image *img)
{
	qc_gather_close(img);
	if (img->of_snapshot || img->pin.l1_offset)
		qc_layer_unpin_snapshot(img->layer[0], &img->pin);
	for (unsigned int i = 0; i < img->depth; i++)
		qc_layer_put(img->layer[i], i > 0);
	if (!img->headers_only)
		qc_context_adjust_budget(img->ctx, -1);
	qc_grade_map_free(img->own_grades);
	if (img->bytes_ops)
		img->bytes_ops->free(img->bytes_state);
	free(img);
}

/* ---- properties ------------------------------------------------------------ */

uint64_t qc_size(const struct qc_image *img)
{
	bool own_size = img->of_snapshot || (img->bytes_ops && !img->bytes_ops->size_of_disk);

	return own_size ? img->size : img->layer[img->top]->size;
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

static void add_to_fingerprint(struct qc_fingerprint *s, const struct qc_file_stat *f)
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

		add_to_fingerprint(out, &l->stat_at_open);
		add_to_fingerprint(out, &l->data_stat_at_open);
		out->times_reliable = out->times_reliable && l->times_reliable;
	}
}
