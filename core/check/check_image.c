/* SPDX-License-Identifier: MIT */
/*
 * check_image.c - qc_check(): open one image file, check it, repair it, check it again.
 *
 * The file is opened anew, and not by way of the table of open layers: only the locks of QEMU
 * keep it from an image that is open here.
 */
#include <errno.h>
#include <string.h>

#include "base/outcome.h"
#include "check/full_check.h"
#include "check/repair.h"
#include "io/external_file.h"
#include "layer/context_fields.h"
#include "update/abort.h"
#include "update/checkpoint.h"

struct image_check {
	struct qc_layer *layer;
	unsigned int flags;
	struct qc_full_check check;
	struct qc_reason *why;
};

/* ---- checking ------------------------------------------------------------------- */

/* Counts as one corruption that the header has no possible location of the refcount table. */
static void report_lost_table(struct image_check *k)
{
	const struct qc_header *h = &k->layer->head;
	struct qc_finding f = {
		.kind = QC_FINDING_INVALID_TABLE,
		.table = qc_finding_table(QC_METADATA_REFCOUNT_TABLE),
		.table_offset = h->reftable_offset,
		.guest_offset = QC_NO_OFFSET,
		.host_offset = h->reftable_offset,
	};

	if (!h->reftable_clusters)
		qc_findings_add(&k->check.out, &f);
}

static void add_invalid_block(void *arg, uint64_t index, uint64_t entry)
{
	struct image_check *k = arg;
	const struct qc_header *h = &k->layer->head;
	struct qc_finding f = {
		.kind = entry & (geom_cluster(&h->geom) - 1) ? QC_FINDING_INVALID_ENTRY :
							       QC_FINDING_BEYOND_END,
		.table = qc_finding_table(QC_METADATA_REFCOUNT_TABLE),
		.table_offset = h->reftable_offset,
		.index = index,
		.entry = entry,
		.guest_offset = QC_NO_OFFSET,
		.host_offset = entry,
	};

	qc_findings_add(&k->check.out, &f);
}

/* Checks the file as it is, with refcounts that are read anew.  @is_left: a repair has ended. */
static qc_err check_once(struct image_check *k, bool is_left, struct qc_check_result *result)
{
	struct qc_layer *l = k->layer;
	struct qc_check_result table = { 0 };
	struct qc_refcounts refcounts = { 0 };
	struct qc_metadata md = { .file = l->file, .head = &l->head };
	qc_err r = 0;

	k->check.md = &md;
	k->check.out.is_left = is_left;
	k->check.out.result = &table;
	if (l->head.version > 1) {
		report_lost_table(k);
		r = qc_refcounts_open_damaged(&refcounts, l->file, &l->head, &l->ctx->budget,
					      add_invalid_block, k, k->why);
		md.refcounts = &refcounts;
	}
	k->check.out.result = result;
	if (!r) {
		r = qc_full_check(&k->check);
		if (r)
			qc_fail_errno(k->why, r, "cannot check");
		result->corruptions += table.corruptions;
	}
	if (md.refcounts)
		qc_refcounts_close(&refcounts);
	return r;
}

/* ---- repairing ------------------------------------------------------------------ */

static bool is_repair_wanted(const struct image_check *k, const struct qc_check_result *found)
{
	bool all = k->flags & QC_CHECK_FIX_ALL;

	if (k->layer->head.version < 2 || !k->flags)
		return false;
	return found->leaks || (all && found->corruptions) ||
	       (!found->corruptions && (found->dirty || found->corrupt));
}

/* Clears the bits that say that the image may have corruptions. */
static qc_err clear_state_bits(struct qc_writer *w)
{
	const uint64_t state = INCOMPAT_DIRTY | INCOMPAT_CORRUPT;
	uint64_t bits = w->layer->head.incompatible;

	return bits & state ? qc_writer_set_incompatible(w, bits & ~state) : 0;
}

/* Repairs as wanted.  Where that is not possible, nothing was written, and the result has the
 * reason. */
static qc_err repair_with_writer(struct image_check *k, struct qc_writer *w,
				 const struct qc_check_result *found, qc_err *impossible)
{
	bool all = k->flags & QC_CHECK_FIX_ALL;
	struct qc_repair_done done;
	qc_err r;

	if (!found->leaks && !(all && found->corruptions))
		return 0;
	r = qc_repair_run(w, QC_REPAIR_KEEP_DAMAGE | (all ? 0 : QC_REPAIR_LEAKS), &done);
	if (!done.has_written && (r == -EIO || r == -EOVERFLOW || r == -EFBIG)) {
		*impossible = r;
		return 0;
	}
	return r ? qc_fail_errno(k->why, r, "cannot repair") : 0;
}

static qc_err repair_and_check(struct image_check *k, struct qc_writer *w,
			       const struct qc_check_result *found, struct qc_check_result *out)
{
	qc_err impossible = 0, r = repair_with_writer(k, w, found, &impossible);

	if (!r) /* the refcount table may have moved */
		r = qc_header_read_damaged(k->layer->file, &k->layer->head, k->why);
	if (!r)
		r = check_once(k, true, out);
	if (!r && !out->corruptions) {
		r = clear_state_bits(w);
		out->dirty = out->corrupt = false;
		if (r)
			qc_fail_errno(k->why, r, "cannot write the header");
	}
	out->repair_error = impossible;
	out->corruptions_fixed = found->corruptions - min_u64(out->corruptions, found->corruptions);
	out->leaks_fixed = found->leaks - min_u64(out->leaks, found->leaks);
	return r;
}

static qc_err repair_image(struct image_check *k, const struct qc_check_result *found,
			   struct qc_check_result *out)
{
	struct qc_writer *w;
	qc_err r = qc_writer_open_for_repair(k->layer, k->flags & QC_CHECK_FIX_ALL, &w, k->why), closed;

	if (r == -EINVAL) { /* the refcount table is damaged, and leaks alone are to be repaired */
		out->repair_error = r;
		return 0;
	}
	if (r)
		return r;
	r = repair_and_check(k, w, found, out);
	closed = qc_writer_close(w);
	if (!r && closed)
		r = qc_fail_errno(k->why, closed, "cannot repair");
	return r;
}

/* ----------------------------------------------------------------------------------- */

static qc_err check_layer(struct image_check *k, struct qc_check_result *out)
{
	struct qc_check_result found;
	qc_err r = check_once(k, false, out);

	if (r || !is_repair_wanted(k, out))
		return r;
	found = *out;
	return repair_image(k, &found, out);
}

qc_err qc_check(struct qc_context *ctx, const struct qc_image_location *src, unsigned int flags,
		qc_finding_fn *fn, void *arg, struct qc_check_result *out, struct qc_reason *why)
{
	struct image_check k = { .flags = flags, .why = why };
	struct qc_file_location at;
	qc_err r = qc_file_location_of(src, &at, why);

	*out = (struct qc_check_result){ 0 };
	if (!r) {
		qc_set_noatime(ctx, at.fd);
		r = qc_layer_open(ctx, &at, QC_FORMAT_QCOW, false, QC_OPEN_METADATA, &k.layer, why);
	}
	if (!r) {
		k.check.progress = ctx->progress;
		k.check.interrupted = ctx->interrupted;
		k.check.progress_arg = ctx->log.arg;
		k.check.path = k.layer->path;
		k.check.out.fn = fn;
		k.check.out.arg = arg;
		r = check_layer(&k, out);
		qc_layer_close(k.layer);
	}
	qc_file_location_close(&at);
	return qc_no_outcome(r);
}
