/* SPDX-License-Identifier: MIT */
#include "copy/copy_chunk.h"

#include <errno.h>
#include <string.h>

#include "base/range.h"
#include "base/zeros.h"
#include "image/image.h"
#include "request/request.h"

static uint64_t units_of(const struct qc_copy_plan *p, uint64_t len)
{
	return div_up(len, p->unit);
}

qc_err qc_copy_chunk_new(const struct qc_copy_plan *p, struct qc_copy_chunk *out)
{
	bool other = p->flags & (QC_COPY_COMPRESS | QC_COPY_DIFFERENCES);
	size_t units = units_of(p, p->chunk);

	*out = (struct qc_copy_chunk){
		.buf = aligned_alloc(QC_DIRECT_ALIGN, round_up(p->chunk, QC_DIRECT_ALIGN)),
		.other = other ? malloc(p->chunk) : NULL,
		.state = calloc(units, sizeof(*out->state)),
		.compressed = calloc(units, sizeof(*out->compressed)),
	};
	if (out->buf && (out->other || !other) && out->state && out->compressed)
		return 0;
	qc_copy_chunk_free(out);
	return -ENOMEM;
}

void qc_copy_chunk_free(struct qc_copy_chunk *c)
{
	free(c->buf);
	free(c->other);
	free(c->state);
	free(c->compressed);
}

/* ---- load ----------------------------------------------------------------- */

static enum qc_unit_state classify_unit(const struct qc_copy_plan *p, const struct qc_copy_chunk *c,
				     uint64_t at, uint64_t len)
{
	const uint8_t *bytes = c->buf + at;

	if (p->flags & QC_COPY_DIFFERENCES && !memcmp(bytes, c->other + at, len))
		return QC_UNIT_SKIP;
	if (p->flags & QC_COPY_FULL || !qc_is_all_zeros(bytes, len))
		return QC_UNIT_DATA;
	return p->flags & QC_COPY_TO_ZEROS ? QC_UNIT_SKIP : QC_UNIT_ZERO;
}

/* Compresses a unit of data, a whole cluster.  What was compared there is not needed then. */
static qc_err compress_unit(struct qc_copy_plan *p, struct qc_copy_chunk *c, uint64_t i)
{
	uint64_t at = i * p->unit, len = min_u64(p->unit, c->len - at);
	qc_err r = qc_compress_cluster(p->to.img, c->buf + at, len, c->other + at,
				       &c->compressed[i]);

	if (c->compressed[i])
		c->state[i] = QC_UNIT_COMPRESSED;
	return r;
}

/* Reads sector by sector what cannot be read as a whole.  A sector that fails is zeros. */
static void salvage_chunk(struct qc_copy_plan *p, struct qc_copy_chunk *c)
{
	for (uint64_t at = 0; at < c->len; at += SECTOR) {
		size_t len = (size_t)min_u64(SECTOR, c->len - at);

		if (qc_copy_disk_read(&p->from, c->off + at, c->buf + at, len))
			memset(c->buf + at, 0, len);
	}
}

qc_err qc_copy_chunk_load(struct qc_copy_plan *p, struct qc_copy_chunk *c)
{
	qc_err r;

	if (c->hole)
		return 0;
	r = qc_copy_disk_read(&p->from, c->off, c->buf, c->len);
	if (r && p->flags & QC_COPY_SALVAGE) {
		salvage_chunk(p, c);
		r = 0;
	}
	if (!r && p->flags & QC_COPY_DIFFERENCES)
		r = qc_copy_disk_read(&p->to, c->off, c->other, c->len);
	for (uint64_t i = 0; !r && i < units_of(p, c->len); i++) {
		uint64_t at = i * p->unit;

		c->state[i] = classify_unit(p, c, at, min_u64(p->unit, c->len - at));
		if (p->flags & QC_COPY_COMPRESS && c->state[i] == QC_UNIT_DATA)
			r = compress_unit(p, c, i);
	}
	return r;
}

/* ---- store ---------------------------------------------------------------- */

static qc_err store_compressed(struct qc_copy_plan *p, const struct qc_copy_chunk *c, uint64_t i)
{
	struct qc_layer *l = p->to.img->layer[0];
	uint64_t at = i * p->unit, len = min_u64(p->unit, c->len - at);
	struct qc_inflight_token token = qc_inflight_begin(&l->inflight);
	qc_err r = qc_store_cluster_inflight(p->to.img, c->off + at, c->buf + at, len,
					     c->other + at, c->compressed[i]);

	qc_writer_range_changed(l->writer, c->off + at, len);
	qc_inflight_end(&l->inflight, token);
	return r;
}

/* Stores @n units of one state. */
static qc_err store_units(struct qc_copy_plan *p, const struct qc_copy_chunk *c, uint64_t i,
			  uint64_t n)
{
	uint64_t at = i * p->unit, len = min_u64(n * p->unit, c->len - at);
	qc_err r = 0;

	switch (c->state[i]) {
	case QC_UNIT_SKIP:
		break;
	case QC_UNIT_ZERO:
		return qc_copy_disk_zero(&p->to, c->off + at, len);
	case QC_UNIT_DATA:
		return qc_copy_disk_write(&p->to, c->off + at, c->buf + at, len);
	case QC_UNIT_COMPRESSED:
		for (uint64_t k = i; !r && k < i + n; k++)
			r = store_compressed(p, c, k);
		break;
	}
	return r;
}

qc_err qc_copy_chunk_store(struct qc_copy_plan *p, struct qc_copy_chunk *c)
{
	qc_err r = 0;

	if (p->flags & QC_COPY_STREAM)
		return qc_copy_disk_append(&p->to, c->hole ? NULL : c->buf, c->len);
	if (c->hole)
		return qc_copy_disk_zero(&p->to, c->off, c->len);
	for (uint64_t i = 0, n; !r && i < units_of(p, c->len); i += n) {
		for (n = 1; i + n < units_of(p, c->len) && c->state[i + n] == c->state[i]; n++)
			;
		r = store_units(p, c, i, n);
	}
	return r;
}
