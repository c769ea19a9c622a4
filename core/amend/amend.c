/* SPDX-License-Identifier: MIT */
/*
 * amend.c - check all wanted options, and then change one after the other.
 *
 * An upgrade comes first and a downgrade last, so that all other changes are made in version 3.
 * Each change leaves a sound image with the same disk.
 */
#include "qcow_amend.h"

#include <errno.h>
#include <string.h>

#include "amend/exclusive.h"
#include "amend/expand_zeros.h"
#include "amend/header_rewrite.h"
#include "amend/refcount_width.h"
#include "format/snapshot_table.h"

struct amend {
	const struct qc_amend_options *o;
	uint32_t version; /* wanted */
	unsigned int order;
	bool check_only;
};

/* ---- checks --------------------------------------------------------------------- */

static qc_err parse_width(unsigned int bits, unsigned int *order, struct qc_reason *why)
{
	for (*order = 0; *order <= REFCOUNT_ORDER_MAX; ++*order)
		if (bits == 1u << *order)
			return 0;
	return qc_fail(why, -EINVAL, "refcount_bits %u is not 1, 2, 4, 8, 16, 32 or 64", bits);
}

/* Version 2 has one disk size for the image and all snapshots, and 32 bits for a VM state. */
static qc_err check_snapshots_for_v2(struct qc_writer *w, struct qc_reason *why)
{
	const struct qc_header *h = &w->layer->head;
	struct qc_snapshot_table t;
	bool fit = true;
	qc_err r = qc_snapshot_table_read(w->file, h->snapshots_offset, h->snapshots, h->size, &t);

	if (r)
		return qc_fail_errno(why, r, "cannot read the snapshot table");
	for (uint32_t i = 0; i < t.n; i++)
		fit = fit && t.entry[i].s.size == h->size &&
		      t.entry[i].s.vmstate_bytes <= UINT32_MAX;
	qc_snapshot_table_free(&t);
	return fit ? 0 : qc_fail(why, -EOPNOTSUPP, "version 2 has no snapshots of another disk "
				 "size, or with more than 4 GiB of VM state");
}

static qc_err check_downgrade(struct qc_writer *w, struct qc_reason *why)
{
	const struct qc_header *h = &w->layer->head;
	const char *what = NULL;

	if (h->geom.external)
		what = "external data files";
	else if (geom_is_extended(&h->geom))
		what = "extended L2 entries";
	else if (h->compression != COMPRESSION_DEFLATE)
		what = "compression type but zlib";
	else if (h->bitmaps)
		what = "persistent bitmaps (qcowfs bitmap --remove removes one)";
	return what ? qc_fail(why, -EOPNOTSUPP, "version 2 has no %s", what) :
		      check_snapshots_for_v2(w, why);
}

static qc_err check_data_file(const struct qc_header *h, const struct qc_amend_options *o,
			      struct qc_reason *why)
{
	if (o->data_file && !h->geom.external)
		return qc_fail(why, -EOPNOTSUPP, "the image has no external data file");
	if (o->data_file && (!*o->data_file || strlen(o->data_file) > NAME_MAX_LEN))
		return qc_fail(why, -EINVAL, "the name of a data file has 1 to %d bytes", NAME_MAX_LEN);
	if (o->data_file_raw == QC_ON && !(h->autoclear & AUTOCLEAR_RAW_DATA_FILE))
		return qc_fail(why, -EOPNOTSUPP, "data_file_raw can only be set for a new image");
	return 0;
}

static qc_err check_options(struct amend *a, struct qc_writer *w, struct qc_reason *why)
{
	const struct qc_header *h = &w->layer->head;
	const struct qc_amend_options *o = a->o;
	qc_err r = 0;

	if (h->version == 1)
		return qc_fail(why, -EOPNOTSUPP, "version 1 has no options to change");
	a->version = o->version ? o->version : h->version;
	a->order = h->refcount_order;
	if (a->version < 2 || a->version > 3)
		return qc_fail(why, -EINVAL, "there is no version %u to change to", a->version);
	if (o->refcount_bits)
		r = parse_width(o->refcount_bits, &a->order, why);
	if (!r && a->version == 2 && a->order != REFCOUNT_ORDER_V2)
		r = qc_fail(why, -EOPNOTSUPP, "version 2 has refcounts of 16 bits only");
	if (!r && a->version == 2 && o->lazy_refcounts == QC_ON)
		r = qc_fail(why, -EOPNOTSUPP, "version 2 has no lazy refcounts");
	if (!r && h->version == 3 && a->version == 2)
		r = check_downgrade(w, why);
	if (!r)
		r = check_data_file(h, o, why);
	if (!r && a->order != h->refcount_order)
		r = qc_refcount_width_check(w, a->order, why);
	return r;
}

/* ---- changes --------------------------------------------------------------------- */

static uint64_t switch_bit(uint64_t bits, uint64_t bit, enum qc_switch to)
{
	return to == QC_KEEP ? bits : to == QC_ON ? bits | bit : bits & ~bit;
}

/* Returns the edit to version 3 with the wanted feature bits. */
static struct qc_header_edit edit_of_options(const struct amend *a, const struct qc_header *h)
{
	return (struct qc_header_edit){
		.version = 3,
		.compatible = switch_bit(h->compatible, COMPAT_LAZY_REFCOUNTS, a->o->lazy_refcounts),
		.autoclear = switch_bit(h->autoclear, AUTOCLEAR_RAW_DATA_FILE, a->o->data_file_raw),
		.data_file = a->o->data_file,
	};
}

static bool is_header_different(const struct qc_header_edit *edit, const struct qc_header *h)
{
	return h->version != edit->version || h->compatible != edit->compatible ||
	       h->autoclear != edit->autoclear ||
	       (edit->data_file && strcmp(edit->data_file, h->data_file) != 0);
}

/* An image that stays in version 2 has nothing else to change. */
static qc_err change_options(struct amend *a, struct qc_writer *w, struct qc_reason *why)
{
	const struct qc_header *h = &w->layer->head;
	struct qc_header_edit v3 = edit_of_options(a, h), v2 = { .version = 2 };
	bool downgrade = h->version == 3 && a->version == 2;
	qc_err r = 0;

	if (h->version == 2 && a->version == 2)
		return 0;
	if (!downgrade && is_header_different(&v3, h))
		r = qc_header_rewrite(w, &v3, why);
	if (!r && a->order != h->refcount_order)
		r = qc_refcount_width_change(w, a->order, why);
	if (!r && downgrade)
		r = qc_expand_zeros(w, why);
	return r || !downgrade ? r : qc_header_rewrite(w, &v2, why);
}

/* Checks that the header fits, in the version that the image will have. */
static qc_err check_header_fits(struct amend *a, struct qc_writer *w, struct qc_reason *why)
{
	struct qc_header_edit edit = edit_of_options(a, &w->layer->head);

	edit.version = a->version;
	if (!is_header_different(&edit, &w->layer->head))
		return 0;
	return qc_header_rewrite_check(w, &edit, why);
}

static qc_err amend_exclusively(struct qc_writer *w, void *arg, struct qc_reason *why)
{
	struct amend *a = arg;
	qc_err r = check_options(a, w, why);

	if (!r)
		r = check_header_fits(a, w, why);
	return r || a->check_only ? r : change_options(a, w, why);
}

qc_err qc_amend_check(struct qc_image *img, const struct qc_amend_options *o,
		      struct qc_reason *why)
{
	struct amend a = { .o = o, .check_only = true };

	return qc_exclusive_run(img, amend_exclusively, &a, why);
}

qc_err qc_amend(struct qc_image *img, const struct qc_amend_options *o, struct qc_reason *why)
{
	struct amend a = { .o = o };

	return qc_exclusive_run(img, amend_exclusively, &a, why);
}
