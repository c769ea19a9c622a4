/* SPDX-License-Identifier: MIT */
/*
 * plan_apply.c - joins a plan with a header.
 *
 * The joined header is written as bytes and read back through qc_header_read(), so that a plan is
 * checked exactly as an image is.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/log.h"
#include "format/header.h"
#include "io/patched_file.h"
#include "rescue/plan.h"

enum { PLAN_HEADER_BYTES = 112, EXTENSION_HEAD = 8, PLAN_ROOM = 512 };

static void join_v1(const struct qc_plan *p, struct qc_header *h)
{
	h->geom.entry_bits = 3;
	if (p->has[QC_PLAN_L2_ENTRIES])
		h->geom.l2_bits = p->head.geom.l2_bits;
}

static void join_tables(const struct qc_plan *p, struct qc_header *h)
{
	if (p->has[QC_PLAN_REFCOUNT_TABLE]) {
		h->reftable_offset = p->head.reftable_offset;
		h->reftable_clusters = p->head.reftable_clusters;
	}
	if (p->has[QC_PLAN_REFCOUNT_BITS])
		h->refcount_order = p->head.refcount_order;
	else if (!h->refcount_order)
		h->refcount_order = REFCOUNT_ORDER_V2;
	if (p->has[QC_PLAN_SNAPSHOTS]) {
		h->snapshots = p->head.snapshots;
		h->snapshots_offset = p->head.snapshots_offset;
	}
	if (p->has[QC_PLAN_EXTENDED_L2])
		h->incompatible = (h->incompatible & ~(uint64_t)INCOMPAT_EXTENDED_L2) |
				  p->head.incompatible;
	if (p->has[QC_PLAN_COMPRESSION])
		h->compression = p->head.compression;
	h->incompatible &= ~(uint64_t)INCOMPAT_COMPRESSION;
	if (h->compression != COMPRESSION_DEFLATE)
		h->incompatible |= INCOMPAT_COMPRESSION;
}

static void join_header(const struct qc_plan *p, struct qc_header *h)
{
	if (p->has[QC_PLAN_VERSION])
		h->version = p->head.version;
	if (p->has[QC_PLAN_CLUSTER_SIZE])
		h->geom.cluster_bits = p->head.geom.cluster_bits;
	if (p->has[QC_PLAN_SIZE])
		h->size = p->head.size;
	if (p->has[QC_PLAN_L1]) {
		h->geom.l1_offset = p->head.geom.l1_offset;
		h->geom.l1_entries = p->head.geom.l1_entries;
	}
	if (p->has[QC_PLAN_ENCRYPTION])
		h->crypt = p->head.crypt;
	if (p->has[QC_PLAN_LUKS]) {
		h->luks_offset = p->head.luks_offset;
		h->luks_bytes = p->head.luks_bytes;
	}
	if (h->version == 1)
		join_v1(p, h);
	else
		join_tables(p, h);
}

static void put_v1(const struct qc_header *h, uint8_t *b)
{
	b[HEAD1_CLUSTER_BITS] = (uint8_t)h->geom.cluster_bits;
	b[HEAD1_L2_BITS] = (uint8_t)h->geom.l2_bits;
	be32_to(b + HEAD1_CRYPT, h->crypt);
}

static void put_luks_extension(const struct qc_header *h, uint8_t *b)
{
	if (h->crypt != CRYPT_LUKS)
		return;
	be32_to(b, EXT_LUKS);
	be32_to(b + 4, EXT_LUKS_BYTES);
	be64_to(b + EXTENSION_HEAD, h->luks_offset);
	be64_to(b + EXTENSION_HEAD + 8, h->luks_bytes);
}

static void put_v2(const struct qc_header *h, uint8_t *b)
{
	be32_to(b + HEAD_CLUSTER_BITS, h->geom.cluster_bits);
	be32_to(b + HEAD_CRYPT, h->crypt);
	be32_to(b + HEAD_L1_ENTRIES, h->geom.l1_entries);
	be64_to(b + HEAD_REFTABLE_OFFSET, h->reftable_offset);
	be32_to(b + HEAD_REFTABLE_CLUSTERS, h->reftable_clusters);
	be32_to(b + HEAD_SNAPSHOTS, h->snapshots);
	be64_to(b + HEAD_SNAPSHOTS_OFFSET, h->snapshots_offset);
	if (h->version < 3) {
		put_luks_extension(h, b + HEAD_V2_BYTES);
		return;
	}
	/* The name of a data file is kept beside, and its bit with it. */
	be64_to(b + HEAD_INCOMPATIBLE, h->incompatible & (INCOMPAT_EXTENDED_L2 | INCOMPAT_COMPRESSION));
	be32_to(b + HEAD_REFCOUNT_ORDER, h->refcount_order);
	be32_to(b + HEAD_LENGTH, PLAN_HEADER_BYTES);
	b[HEAD_COMPRESSION] = (uint8_t)h->compression;
	put_luks_extension(h, b + PLAN_HEADER_BYTES);
}

/* Keeps the fields of a header that a plan cannot set. */
static void keep_other_fields(struct qc_header *to, const struct qc_header *from)
{
	to->backing_offset = from->backing_offset;
	to->backing_len = from->backing_len;
	memcpy(to->backing, from->backing, sizeof(to->backing));
	memcpy(to->backing_format, from->backing_format, sizeof(to->backing_format));
	memcpy(to->data_file, from->data_file, sizeof(to->data_file));
	to->geom.external = from->geom.external && to->version == 3;
	if (to->geom.external)
		to->incompatible |= INCOMPAT_DATA_FILE;
}

qc_err qc_plan_apply(const struct qc_plan *p, struct qc_file *f, struct qc_header *h,
		     struct qc_reason *why)
{
	uint8_t bytes[PLAN_ROOM] = { 0 };
	struct qc_file_patch patch = { 0, sizeof(bytes), bytes };
	struct qc_patched_file *front;
	struct qc_header joined = *h, checked;
	struct qc_file_stat now;
	qc_err r = qc_file_stat(f, &now);

	if (r)
		return qc_fail_errno(why, r, NULL);
	if (p->has[QC_PLAN_FILE_SIZE] && p->file_size != now.size)
		return qc_fail(why, -EINVAL, "plan: it is for a file of %" PRIu64 " bytes, and this one "
			       "has %" PRIu64 " (remove file-size to use it)", p->file_size, now.size);
	join_header(p, &joined);
	be32_to(bytes + HEAD_MAGIC, QCOW_MAGIC);
	be32_to(bytes + HEAD_VERSION, joined.version);
	be64_to(bytes + HEAD_SIZE, joined.size);
	be64_to(bytes + HEAD_L1_OFFSET, joined.geom.l1_offset);
	if (joined.version == 1)
		put_v1(&joined, bytes);
	else
		put_v2(&joined, bytes);
	r = qc_patched_file_new(&f, &front);
	if (r)
		return qc_fail(why, r, "out of memory");
	qc_patched_file_set(front, &patch);
	r = qc_header_read(f, &checked, why);
	free(front);
	if (r) {
		qc_reason_prefix(why, "plan");
		return r;
	}
	if (checked.version == 1 && p->has[QC_PLAN_L1] &&
	    checked.geom.l1_entries != joined.geom.l1_entries)
		return qc_fail(why, -EINVAL, "plan: l1: a disk of this size has %" PRIu32 " entries",
			       checked.geom.l1_entries);
	keep_other_fields(&checked, h);
	*h = checked;
	return 0;
}
