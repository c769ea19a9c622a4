/* SPDX-License-Identifier: MIT */
/* findings_header.c - properties and faults of the header. */
#include "evidence/findings.h"

#include <inttypes.h>

#include "evidence/extension_walk.h"
#include "format/features.h"

static void find_properties(struct qc_finding_list *l)
{
	const struct qc_header *h = l->t->md.head;

	if (h->version == 1)
		qc_finding_list_add(l, QC_CODE_VERSION_1, 0, HEAD1_BYTES,
				    "version 1: no refcounts, so no table can be proved, and no snapshots, so of "
				    "deleted disks only L2 tables can be found");
	if (*h->backing)
		qc_finding_list_add(l, QC_CODE_BACKING_FILE, h->backing_offset, h->backing_len,
				    "an overlay of \"%s\"", h->backing);
	if (h->geom.external)
		qc_finding_list_add(l, QC_CODE_DATA_FILE, 0, 0, "guest data is in \"%s\", where a deleted disk has left nothing of its own",
				    h->data_file);
	if (h->crypt)
		qc_finding_list_add(l, QC_CODE_ENCRYPTED, h->luks_offset, min_u64(h->luks_bytes, 592),
				    "guest data is encrypted (%s)", h->crypt == CRYPT_LUKS ? "LUKS" : "AES");
	if (h->snapshots)
		qc_finding_list_add(l, QC_CODE_SNAPSHOTS, h->snapshots_offset, 0,
				    "%" PRIu32 " internal snapshots", h->snapshots);
}

static void find_bits(struct qc_finding_list *l)
{
	const struct qc_header *h = l->t->md.head;
	uint64_t unknown = (h->compatible & ~(uint64_t)COMPAT_LAZY_REFCOUNTS) |
			   (h->autoclear & ~(uint64_t)(AUTOCLEAR_BITMAPS | AUTOCLEAR_RAW_DATA_FILE));

	if (h->incompatible & INCOMPAT_CORRUPT)
		qc_finding_list_add(l, QC_CODE_CORRUPT_BIT, HEAD_INCOMPATIBLE, 8,
				    "the image is marked as corrupt");
	if (h->incompatible & INCOMPAT_DIRTY)
		qc_finding_list_add(l, QC_CODE_DIRTY_BIT, HEAD_INCOMPATIBLE, 8,
				    "the image was not closed: refcounts may be too low");
	if (unknown)
		qc_finding_list_add(l, QC_CODE_UNKNOWN_FEATURE, HEAD_COMPATIBLE, 16,
				    "unknown feature bits 0x%" PRIx64, unknown);
	if (h->autoclear & AUTOCLEAR_BITMAPS && !h->bitmaps)
		qc_finding_list_add(l, QC_CODE_AUTOCLEAR_WITHOUT_EXTENSION, HEAD_AUTOCLEAR, 8,
				    "bitmaps are called valid, and there are none");
	if (l->img->backing_missing)
		qc_finding_list_add(l, QC_CODE_BACKING_MISSING, h->backing_offset, h->backing_len,
				    "the backing file \"%s\" cannot be opened", h->backing);
}

static bool is_known_extension(uint32_t magic)
{
	return magic == EXT_BACKING_FORMAT || magic == EXT_FEATURE_NAMES || magic == EXT_BITMAPS ||
	       magic == EXT_LUKS || magic == EXT_DATA_FILE;
}

static qc_err find_unknown_extensions(struct qc_finding_list *l)
{
	struct qc_extension_walk w;

	if (l->t->md.head->version == 1)
		return 0;
	qc_extension_walk_begin(&w, l->t);
	while (qc_extension_walk_next(&w))
		if (!is_known_extension(w.magic))
			qc_finding_list_add(l, QC_CODE_UNKNOWN_EXTENSION, w.off,
					    8 + (uint64_t)w.len,
					    "header extension 0x%08" PRIx32 " of %" PRIu32 " bytes",
					    w.magic, w.len);
	return w.error;
}

qc_err qc_findings_header_find(struct qc_finding_list *l)
{
	find_properties(l);
	find_bits(l);
	return find_unknown_extensions(l);
}
