/* SPDX-License-Identifier: MIT */
/*
 * info.c - describe an image of which only headers were read.
 *
 * Called for listings and for `info`.  The image may have been refused: then its header is
 * filled only up to the field that is impossible, and is not checked.  So numbers from it are
 * checked here before anything is computed from them.
 */
#include <errno.h>
#include <string.h>

#include "format/features.h"
#include "image/image.h"
#include "format/luks_header.h"
#include "io/image_lock.h"
#include "base/range.h"

/* ---- features ------------------------------------------------------------- */

/* Reads the names of unknown features from the image. */
static void read_feature_names(const struct qc_layer *l, struct qc_layer_info *f)
{
	uint8_t table[QC_FEATURES_MAX * FEATURE_NAME_BYTES];
	size_t got, len = min_u64(l->head.feature_names_bytes, sizeof(table));

	if (len && !qc_file_read(l->file, l->head.feature_names_offset, table, len, &got))
		qc_features_read_names(table, got, f->feature, f->nfeatures);
}

static qc_err list_features(const struct qc_layer *l, struct qc_layer_info *f)
{
	const struct qc_header *h = &l->head;

	f->feature = calloc(QC_FEATURES_MAX, sizeof(*f->feature));
	if (!f->feature)
		return -ENOMEM;
	f->nfeatures = qc_features_list(QC_INCOMPATIBLE, h->incompatible, f->feature);
	f->nfeatures += qc_features_list(QC_COMPATIBLE, h->compatible, f->feature + f->nfeatures);
	f->nfeatures += qc_features_list(QC_AUTOCLEAR, h->autoclear, f->feature + f->nfeatures);
	read_feature_names(l, f);
	return 0;
}

/* ---- the header ------------------------------------------------------------- */

static void fill_from_head(const struct qc_header *h, struct qc_layer_info *f)
{
	const struct geom *g = &h->geom;

	f->version = h->version;
	f->size = h->size; /* see qc_get_layer_info() */
	if (g->cluster_bits >= CLUSTER_BITS_MIN && g->cluster_bits <= CLUSTER_BITS_MAX)
		f->cluster_size = UINT32_C(1) << g->cluster_bits;
	if (h->version > 1 && h->refcount_order <= REFCOUNT_ORDER_MAX)
		f->refcount_bits = UINT32_C(1) << h->refcount_order;
	f->dirty = h->incompatible & INCOMPAT_DIRTY;
	f->corrupt = h->incompatible & INCOMPAT_CORRUPT;
	f->extended_l2 = h->incompatible & INCOMPAT_EXTENDED_L2;
	f->has_data_file = h->incompatible & INCOMPAT_DATA_FILE;
	f->lazy_refcounts = h->compatible & COMPAT_LAZY_REFCOUNTS;
	f->data_file_raw = h->autoclear & AUTOCLEAR_RAW_DATA_FILE;
	f->bitmaps_valid = h->bitmaps && h->autoclear & AUTOCLEAR_BITMAPS;
	f->zstd = h->compression == COMPRESSION_ZSTD;
	f->encryption = h->crypt == CRYPT_LUKS ? QC_LUKS : h->crypt ? QC_AES : QC_PLAIN;
	f->l1_offset = g->l1_offset;
	f->l1_entries = g->l1_entries;
	f->reftable_offset = h->reftable_offset;
	f->reftable_clusters = h->reftable_clusters;
	f->snapshots = h->snapshots;
	f->bitmaps = h->bitmaps;
}

qc_err qc_get_layer_info(struct qc_image *img, unsigned int n, struct qc_layer_info *f)
{
	const struct qc_layer *l = img->layer[n];

	*f = (struct qc_layer_info){
		.path = l->path,
		.raw = l->format == QC_FORMAT_RAW,
		.refused = l->refused,
		.size = l->size,
		.file_bytes = l->stat_at_open.size,
		.allocated_bytes = l->stat_at_open.allocated,
		.data_allocated_bytes = l->data_stat_at_open.allocated,
		.backing = l->head.backing,
		.backing_format = l->head.backing_format,
		.data_file = l->head.data_file,
		.data_path = l->data_path ? l->data_path : "",
	};
	if (!f->raw)
		fill_from_head(&l->head, f);
	if (l->writer) /* the disk may have grown since its size was written */
		f->size = l->size;
	qc_image_lock_query(qc_file_fd(l->file), &f->locks);
	qc_layer_get_usage(l, &f->use);
	return list_features(l, f);
}

void qc_layer_info_free(struct qc_layer_info *f)
{
	free(f->feature);
	f->feature = NULL;
	f->nfeatures = 0;
}

void qc_get_layer_use(const struct qc_image *img, unsigned int n, struct qc_layer_use *out)
{
	qc_layer_get_usage(img->layer[n], out);
}

qc_err qc_get_luks_info(struct qc_image *img, struct qc_luks_info *out)
{
	const struct qc_layer *l = img->layer[0];
	uint8_t buf[LUKS_BYTES];
	struct qc_luks_header h;
	size_t got;
	qc_err r;

	if (l->head.crypt != CRYPT_LUKS || l->head.luks_bytes < sizeof(buf))
		return -ENOENT;
	r = qc_file_read(l->file, l->head.luks_offset, buf, sizeof(buf), &got);
	if (!r)
		r = qc_luks_header_parse(buf, got, &h);
	if (r || h.version != 1)
		return r ? r : -EINVAL;
	qc_luks_header_describe(&h, out);
	return 0;
}

/* ---- users of the image ------------------------------------------------------ */

static qc_err check_layer_in_use(struct qc_layer *l, bool backing, struct qc_reason *why)
{
	enum qc_locking how = l->ctx->locking;
	struct qc_layer_use use;
	qc_err r;

	qc_layer_get_usage(l, &use);
	if (backing && use.has_writer)
		return qc_fail_as(why, QC_CAUSE_LOCKED, -EBUSY, "open for writing here");
	if (use.open) /* by us, and so are the locks */
		return 0;
	r = qc_image_lock_test(qc_file_fd(l->file), how, why);
	if (r)
		qc_layer_explain_lock(l, l->file, why);
	if (r || l->data == l->file)
		return r;
	r = qc_image_lock_test(qc_file_fd(l->data), how, why);
	if (r)
		qc_layer_explain_lock(l, l->data, why);
	return r;
}

qc_err qc_image_in_use(struct qc_image *img, struct qc_reason *why)
{
	for (unsigned int i = 0; i < img->depth; i++) {
		qc_err r = check_layer_in_use(img->layer[i], i > 0, why);

		if (r && i > 0)
			qc_reason_prefix(why, "backing file %s", img->layer[i]->path);
		if (r)
			return r;
	}
	return 0;
}
