/* SPDX-License-Identifier: MIT */
/*
 * rebase.c - give an image another backing file.
 *
 * Called by the command `rebase`.  Invariant: until the header is written the image reads
 * through the old chain, and the clusters that are copied to it hide nothing else.  When the
 * header is written, each cluster that the image does not have reads the same from both.
 *
 * Only one request runs at a time: the differences between two versions of a base are few.
 */
#include <errno.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/outcome.h"
#include "base/range.h"
#include "base/zeros.h"
#include "copy/copy_disk.h"
#include "format/backing_change.h"
#include "image/image.h"
#include "update/checkpoint.h"
#include "update/writer.h"

enum { CHUNK_BYTES = 1 << 21 }; /* whole clusters of any size */

/* ---- the header ----------------------------------------------------------------- */

/* Writes a name that is not in the first sector, and syncs. */
static qc_err write_name(struct qc_writer *w, struct qc_backing_change *c, const char *name)
{
	struct hoff at = { c->name_offset };
	qc_err r = 0;

	if (c->append) /* version 1: clusters are never freed, so this one stays the name's */
		r = qc_alloc_contiguous(&w->alloc, div_up(strlen(name),
							  geom_cluster(&w->layer->head.geom)), &at);
	if (!r && c->append)
		qc_backing_change_set_name(c, at.v, strlen(name));
	if (!r)
		r = qc_file_write(w->file, at.v, name, strlen(name));
	return r ? r : qc_writer_sync(w);
}

static qc_err write_backing_name(struct qc_writer *w, const struct qc_backing_name *to,
				 struct qc_reason *why)
{
	const struct qc_header *h = &w->layer->head;
	size_t n = max_u64(geom_cluster(&h->geom), SECTOR), got;
	AUTO_FREE uint8_t *first = malloc(n);
	struct qc_backing_change c = { 0 };
	qc_err r = first ? qc_file_read(w->file, 0, first, n, &got) : -ENOMEM;

	if (r)
		return qc_fail_errno(why, r, "cannot read the header");
	if (*to->name && h->autoclear & AUTOCLEAR_RAW_DATA_FILE)
		return qc_fail(why, -EINVAL, "a raw external data file cannot have a backing file");
	r = qc_backing_change_plan(h, first, n, to->name, to->format, &c, why);
	if (r)
		return r;
	if (c.name_offset || c.append)
		r = write_name(w, &c, to->name);
	if (!r && FAIL_POINT("rebase.before-switch"))
		r = -EIO;
	if (!r)
		r = qc_writer_update_header(w, c.from, c.sector + c.from, c.end - c.from);
	return r ? qc_fail_errno(why, r, "cannot write the header") : 0;
}

/* ---- what differs --------------------------------------------------------------------- */

struct rebase {
	struct qc_image *img;
	struct qc_copy_disk old, new; /* zeros: there is none */
	uint8_t *was, *becomes; /* a chunk of both */
	bool zero_entries;	/* the image can say that a cluster is zeros */
};

/* Copies [off, off + len) from the old chain to the image, cluster by cluster, where the new
 * backing file has other bytes. */
static qc_err copy_differences(struct rebase *b, uint64_t off, uint64_t len)
{
	uint64_t cluster = qc_cluster_size(b->img);
	qc_err r = qc_copy_disk_read(&b->old, off, b->was, len);

	if (!r)
		r = qc_copy_disk_read(&b->new, off, b->becomes, len);
	for (uint64_t at = 0, n; !r && at < len; at += n) {
		n = min_u64(len - at, cluster - (off + at) % cluster);
		if (!memcmp(b->was + at, b->becomes + at, n))
			continue;
		if (b->zero_entries && qc_is_all_zeros(b->was + at, n))
			r = qc_write_zeroes(b->img, off + at, n);
		else
			r = qc_write(b->img, off + at, b->was + at, n);
	}
	return r;
}

/* Compares a range that the image takes from its backing file.  Only whole clusters are skipped: a
 * part of a cluster cannot become zeros, since the old chain shows through the rest. */
static qc_err rebase_unallocated(struct rebase *b, uint64_t off, uint64_t len)
{
	uint64_t end = off + len, common, n;
	qc_err r = 0;

	for (; !r && off < end; off += n) {
		r = qc_copy_disk_measure_equal(&b->old, &b->new, off, end, &common);
		n = off + common == end ? common :
		    common - min_u64(common, (off + common) % qc_cluster_size(b->img));
		if (r || n)
			continue;
		n = min_u64(end - off, CHUNK_BYTES - off % CHUNK_BYTES);
		r = copy_differences(b, off, n);
	}
	return r;
}

static qc_err copy_all_differences(struct rebase *b, qc_copy_progress_fn *progress, void *arg,
				   struct qc_reason *why)
{
	struct qc_layer *l = b->img->layer[0];
	uint64_t size = l->size;
	qc_err r = 0;

	for (uint64_t off = 0; !r && off < size;) {
		/* Bounded, so that the user sees progress. */
		uint64_t part = round_up(max_u64(64 * MIB, size / 1024), CHUNK_BYTES);
		uint64_t most = min_u64(size - off, part);
		struct qc_map_extent x;

		r = qc_map_lookup(l, (struct goff){ off }, most, &x);
		if (!r && x.kind == QC_DAMAGED)
			r = qc_map_report_damage(l, (struct goff){ off }, &x);
		if (!r && x.kind == QC_UNALLOCATED)
			r = rebase_unallocated(b, off, x.len);
		off += r ? 0 : x.len;
		if (!r && progress && !progress(arg, off, size))
			r = -ECANCELED;
	}
	return !r || r == -ECANCELED ? r : qc_fail_errno(why, r, "cannot copy from the backing file");
}

/* ---- public ------------------------------------------------------------------------------ */

static qc_err rebase_image(struct rebase *b, const struct qc_backing_name *to,
			   qc_copy_progress_fn *progress, void *arg, struct qc_reason *why)
{
	struct qc_writer *w = b->img->layer[0]->writer;
	qc_err r = copy_all_differences(b, progress, arg, why);

	if (r)
		return r;
	r = qc_writer_prepare(w);
	if (!r)
		r = qc_checkpoint(w, true);
	if (r)
		return qc_fail_errno(why, r, "cannot flush the image");
	return write_backing_name(w, to, why);
}

/* Refuses a new backing file that is the image, or is read from it. */
static qc_err check_new_base(const struct qc_image *img, const struct rebase *b,
			     struct qc_reason *why)
{
	const struct qc_file_stat *own = &img->layer[0]->stat_at_open;
	struct qc_file_stat st;
	bool found = false;
	qc_err r = 0;

	if (b->new.file)
		r = qc_file_stat(b->new.file, &st);
	if (r)
		return qc_fail_errno(why, r, "cannot read the new backing file");
	if (b->new.file)
		found = st.dev == own->dev && st.ino == own->ino;
	for (unsigned int i = 0; b->new.img && i < b->new.img->depth; i++)
		found = found || b->new.img->layer[i] == img->layer[0];
	return found ? qc_fail(why, -ELOOP, "the new backing file is, or is read from, this image") :
		       0;
}

qc_err qc_rebase(struct qc_image *img, const struct qc_disk *base,
		 const struct qc_backing_name *to, qc_copy_progress_fn *progress, void *arg,
		 struct qc_reason *why)
{
	AUTO_FREE uint8_t *was = malloc(CHUNK_BYTES), *becomes = malloc(CHUNK_BYTES);
	struct qc_image *below = NULL;
	struct rebase b = { .img = img, .was = was, .becomes = becomes };
	qc_err r = was && becomes ? 0 : qc_fail_errno(why, -ENOMEM, NULL);

	if (!r && !img->writable)
		r = qc_fail_errno(why, -EROFS, NULL);
	if (!r)
		r = qc_check_walk_ends(img, why);
	if (!r && img->depth > 1)
		r = qc_open_chain_from(img, 1, &below, why);
	b.zero_entries = img->depth > 1 && img->layer[0]->head.version == 3;
	if (below)
		b.old = (struct qc_copy_disk){ .img = below, .size = qc_size(below) };
	if (!r && base) {
		r = qc_copy_disk_open(base, QC_COPY_SOURCE, &b.new);
		if (r)
			qc_fail_errno(why, r, "cannot read the new backing file");
	}
	if (!r && base)
		r = check_new_base(img, &b, why);
	if (!r)
		r = rebase_image(&b, to, progress, arg, why);
	if (base)
		qc_copy_disk_close(&b.new);
	if (below)
		qc_close(below);
	return qc_no_outcome(r);
}

qc_err qc_set_backing_name(struct qc_context *ctx, const struct qc_image_location *src,
			   const struct qc_backing_name *to, struct qc_reason *why)
{
	struct qc_file_location at;
	struct qc_layer *l = NULL;
	struct qc_writer *w = NULL;
	qc_err r = qc_file_location_of(src, &at, why), closed;

	if (!r)
		r = qc_layer_open(ctx, &at, QC_FORMAT_QCOW, false, QC_OPEN_METADATA, &l, why);
	if (!r)
		r = qc_writer_open(l, &w, why);
	if (!r) {
		r = write_backing_name(w, to, why);
		closed = qc_writer_close(w);
		if (!r && closed)
			r = qc_fail_errno(why, closed, "cannot write the header");
	}
	if (l)
		qc_layer_close(l);
	qc_file_location_close(&at);
	return qc_no_outcome(r);
}
