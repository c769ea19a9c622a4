/* SPDX-License-Identifier: MIT */
#include "layer/layer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "layer/context.h"
#include "io/image_lock.h"
#include "base/range.h"

enum { COMPLAINTS_MAX = 20 };

/* A file whose clock is coarser than this is changed twice in one tick. */
#define SETTLING_NS INT64_C(2000000000)

qc_err qc_layer_report_damage(struct qc_layer *l, const char *fmt, ...)
{
	unsigned int n = atomic_fetch_add(&l->errors_logged, 1);
	char what[400];
	va_list ap;

	if (n >= COMPLAINTS_MAX)
		return -EIO;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	qc_log(&l->ctx->log, QC_LOG_ERROR, "%s: %s%s", l->path, what,
	       n == COMPLAINTS_MAX - 1 ? " (further errors of this file are not logged)" : "");
	return -EIO;
}

static bool is_settled(const struct qc_file_stat *f)
{
	struct timespec t;
	int64_t now;

	clock_gettime(CLOCK_REALTIME, &t);
	now = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
	return now - f->mtime_ns > SETTLING_NS && now - f->ctime_ns > SETTLING_NS;
}

static qc_err lock_and_note(struct qc_layer *l, struct qc_file *f, unsigned int flags,
			    struct qc_file_stat *facts, struct qc_reason *why)
{
	bool live = false;
	qc_err r = 0;

	if (!(flags & QC_OPEN_HEADERS_ONLY) && qc_file_fd(f) >= 0)
		r = qc_image_lock_read(qc_file_fd(f), l->ctx->locking, &live, why);
	if (r)
		return r;
	if (live)
		qc_log(&l->ctx->log, QC_LOG_WARN,
		       "%s: another program writes to it: what is read may be half old, half new",
		       l->path);
	r = qc_file_stat(f, facts);
	if (r)
		return qc_fail_errno(why, r, NULL);
	l->settled = l->settled && is_settled(facts);
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

static qc_err open_data_file(struct qc_layer *l, const struct qc_file_location *place,
			     bool may_refer, unsigned int flags, struct qc_reason *why)
{
	struct qc_file_location data;
	qc_err r;

	r = qc_layer_check_probed(l, may_refer, why);
	if (r)
		return r;
	r = qc_open_external_file(&l->ctx->policy, "data file", place, l->head.data_file, &data, why);
	if (r)
		return r;
	qc_set_noatime(l->ctx, data.fd);
	r = qc_file_of_fd(data.fd, &l->data);
	if (r) {
		qc_fail(why, r, "out of memory");
	} else {
		data.fd = -1;
		r = lock_and_note(l, l->data, flags, &l->data_facts, why);
		if (!r && asprintf(&l->data_path, "%s/%s", data.dir, data.name) < 0) {
			l->data_path = NULL;
			r = qc_fail(why, -ENOMEM, "out of memory");
		}
	}
	qc_file_location_close(&data);
	return r;
}

static qc_err open_tables(struct qc_layer *l, unsigned int flags, struct qc_reason *why)
{
	const struct geom *g = &l->head.geom;
	uint64_t per_table, most;
	qc_err r;

	l->slice_bytes = (uint32_t)min_u64(geom_l2_bytes(g), QC_SLICE_MAX);
	if (flags & QC_OPEN_HEADERS_ONLY)
		return 0;
	per_table = geom_l2_bytes(g) / l->slice_bytes;
	most = geom_l1_need(g, l->size) * per_table + div_up(g->l1_entries * UINT64_C(8), l->slice_bytes);
	most *= 1 + l->head.snapshots; /* each may have tables of its own */
	r = qc_cache_new(l->file, l->slice_bytes, geom_cluster(g), most, &l->ctx->budget,
			 &l->tables);
	return r ? qc_fail(why, r, "out of memory") : 0;
}

static qc_err open_qcow(struct qc_layer *l, const struct qc_file_location *place, bool may_refer,
			unsigned int flags, struct qc_reason *why)
{
	qc_err r = qc_header_read(l->file, &l->head, why);

	if (r)
		return r;
	l->size = l->head.size;
#ifndef HAVE_ZSTD
	if (l->head.compression == COMPRESSION_ZSTD)
		return qc_fail(why, -ENOTSUP, "zstd compression was not built in (meson: -Dzstd=enabled)");
#endif
	if (l->head.geom.external)
		r = open_data_file(l, place, may_refer, flags, why);
	if (!r)
		r = open_tables(l, flags, why);
	if (!r && l->head.crypt && !(flags & QC_OPEN_HEADERS_ONLY))
		r = qc_unlock_layer(l, why);
	return r;
}

qc_err qc_layer_open(struct qc_context *ctx, struct qc_file_location *place, enum qc_format format,
		     bool may_refer, unsigned int flags, struct qc_layer **out,
		     struct qc_reason *why)
{
	struct qc_layer *l = aligned_alloc(_Alignof(struct qc_layer), sizeof(*l));
	qc_err r;

	if (!l)
		return qc_fail(why, -ENOMEM, "out of memory");
	memset(l, 0, sizeof(*l));
	qc_inflight_init(&l->gate);
	qc_mutex_init(&l->open_lock, QC_RANK_OPEN);
	l->ctx = ctx;
	l->format = format;
	l->settled = true;
	l->headers_only = flags & QC_OPEN_HEADERS_ONLY;
	if (asprintf(&l->path, "%s/%s", place->dir, place->name) < 0)
		l->path = NULL;
	r = l->path ? qc_file_of_fd(place->fd, &l->file) : -ENOMEM;
	if (r) {
		qc_fail_errno(why, r, NULL);
	} else {
		place->fd = -1;
		r = lock_and_note(l, l->file, flags, &l->facts, why);
	}
	l->data = l->file;
	if (!r && format == QC_FORMAT_QCOW)
		r = open_qcow(l, place, may_refer, flags, why);
	else if (!r)
		l->size = l->facts.size;
	l->refused = r;
	if (r && !(l->file && flags & QC_OPEN_INSPECT))
		qc_layer_close(l);
	else
		*out = l;
	return r;
}

void qc_layer_close(struct qc_layer *l)
{
	qc_cluster_cache_invalidate(l->ctx->unpack, l);
	qc_cache_free(l->tables);
	qc_crypt_state_free(l->crypt);
	if (l->data != l->file)
		qc_file_close(l->data);
	qc_file_close(l->file);
	qc_inflight_destroy(&l->gate);
	qc_mutex_destroy(&l->open_lock);
	free(l->data_path);
	free(l->path);
	free(l);
}

static bool changed(struct qc_file *f, const struct qc_file_stat *then)
{
	struct qc_file_stat now;

	return qc_file_stat(f, &now) || now.size != then->size ||
	       now.mtime_ns != then->mtime_ns;
}

bool qc_layer_file_changed(const struct qc_layer *l)
{
	return changed(l->file, &l->facts) ||
	       (l->data != l->file && changed(l->data, &l->data_facts));
}
