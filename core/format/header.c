/* SPDX-License-Identifier: MIT */
/*
 * header.c - checks the fixed header and its extensions, then names and tables in the file.
 *
 * Extensions may fill the whole first cluster, but usually end in its first kilobyte.  So
 * a few bytes are read first, and the rest only if the parser asks.
 */
#include "format/header.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/byteorder.h"
#include "base/log.h"
#include "base/range.h"
#include "format/features.h"
#include "format/header_extension.h"

enum { FIRST_READ = 4096 };

bool qc_is_image(int fd)
{
	uint8_t magic[4];

	return pread(fd, magic, sizeof(magic), 0) == sizeof(magic) &&
	       be32_at(magic) == QCOW_MAGIC;
}

/* ---- version 1 --------------------------------------------------------- */

static qc_err parse_v1(const uint8_t *buf, struct qc_header *h, struct qc_reason *why)
{
	struct geom *g = &h->geom;
	uint32_t crypt = be32_at(buf + HEAD1_CRYPT);
	uint64_t need;

	g->layout = LAYOUT_V1;
	g->entry_bits = 3;
	g->cluster_bits = buf[HEAD1_CLUSTER_BITS];
	g->l2_bits = buf[HEAD1_L2_BITS];
	g->l1_offset = be64_at(buf + HEAD_L1_OFFSET);
	if (g->cluster_bits < CLUSTER_BITS_MIN || g->cluster_bits > CLUSTER_BITS_MAX_V1)
		return qc_fail(why, -EINVAL, "cluster_bits %u is not in 9..16", g->cluster_bits);
	if (g->l2_bits < L2_BITS_MIN_V1 || g->l2_bits > L2_BITS_MAX_V1)
		return qc_fail(why, -EINVAL, "l2_bits %u is not in 6..13", g->l2_bits);
	if (crypt > CRYPT_AES)
		return qc_fail(why, -ENOTSUP, "unknown encryption method %u", crypt);
	h->crypt = crypt;
	if (h->size < 2)
		return qc_fail(why, -EINVAL, "the virtual size is %" PRIu64, h->size);
	need = geom_l1_need(g, h->size);
	if (h->size > INT64_MAX || need > L1_ENTRIES_MAX)
		return qc_fail(why, -EFBIG, "a virtual size of %" PRIu64 " is too large",
			       h->size);
	g->l1_entries = (uint32_t)need;
	return 0;
}

/* ---- versions 2 and 3 -------------------------------------------------- */

static qc_err parse_v3_fields(const uint8_t *buf, size_t n, struct qc_header *h,
			      uint32_t *length, struct qc_reason *why)
{
	struct geom *g = &h->geom;

	if (n < HEAD_V3_BYTES)
		return qc_fail(why, -EINVAL, "the file ends inside the header");
	h->incompatible = be64_at(buf + HEAD_INCOMPATIBLE);
	h->compatible = be64_at(buf + HEAD_COMPATIBLE);
	h->autoclear = be64_at(buf + HEAD_AUTOCLEAR);
	h->refcount_order = be32_at(buf + HEAD_REFCOUNT_ORDER);
	*length = be32_at(buf + HEAD_LENGTH);
	if (*length < HEAD_V3_BYTES || *length % 8 || *length > geom_cluster(g))
		return qc_fail(why, -EINVAL, "header_length %u is impossible", *length);
	if (*length > HEAD_COMPRESSION && n > HEAD_COMPRESSION)
		h->compression = buf[HEAD_COMPRESSION];
	g->layout = h->incompatible & INCOMPAT_EXTENDED_L2 ? LAYOUT_V3_EXTENDED : LAYOUT_V3;
	g->external = h->incompatible & INCOMPAT_DATA_FILE;
	return 0;
}

static uint64_t unknown_incompatible(const struct qc_header *h)
{
	return h->incompatible & ~qc_features_with(QC_INCOMPATIBLE, QC_FEATURE_READ);
}

static qc_err check_features(struct qc_header *h, struct qc_reason *why)
{
	struct geom *g = &h->geom;
	uint64_t unknown = unknown_incompatible(h);
	bool other_type = h->incompatible & INCOMPAT_COMPRESSION;

	if (unknown)
		return qc_fail(why, -ENOTSUP,
			       "unsupported incompatible feature%s%s (0x%" PRIx64 ")",
			       *h->unknown_features ? ": " : "", h->unknown_features, unknown);
	if (h->refcount_order > REFCOUNT_ORDER_MAX)
		return qc_fail(why, -EINVAL, "refcount_order %u is not in 0..6",
			       h->refcount_order);
	if (other_type != (h->compression != COMPRESSION_DEFLATE))
		return qc_fail(why, -EINVAL,
			       "compression type %u and its feature bit do not agree",
			       h->compression);
	if (h->compression > COMPRESSION_ZSTD)
		return qc_fail(why, -ENOTSUP, "unknown compression type %u", h->compression);
	if (h->autoclear & AUTOCLEAR_RAW_DATA_FILE && !g->external)
		return qc_fail(why, -EINVAL, "the feature raw external data needs a data file");
	if (geom_is_extended(g) && g->cluster_bits < CLUSTER_BITS_MIN_EXTENDED)
		return qc_fail(why, -EINVAL, "extended L2 entries need cluster_bits 14, not %u",
			       g->cluster_bits);
	/* Served as plain, its data would be garbage, and writes would go there unencrypted. */
	if (h->has_luks_extension && h->crypt != CRYPT_LUKS)
		return qc_fail(why, -EINVAL, "the header has a LUKS extension, but the encryption "
			       "method is %u, not %u", h->crypt, CRYPT_LUKS);
	return 0;
}

static qc_err check_fields(struct qc_header *h, struct qc_reason *why)
{
	struct geom *g = &h->geom;
	uint64_t cs = geom_cluster(g);

	if (h->size > INT64_MAX)
		return qc_fail(why, -EFBIG, "a virtual size of %" PRIu64 " is too large",
			       h->size);
	h->size -= h->size % SECTOR;
	if (g->l1_entries > L1_ENTRIES_MAX)
		return qc_fail(why, -EFBIG, "an L1 table of %u entries is too large",
			       g->l1_entries);
	if (geom_l1_need(g, h->size) > g->l1_entries)
		return qc_fail(why, -EINVAL, "an L1 table of %u entries is too small",
			       g->l1_entries);
	if (h->snapshots > SNAPSHOTS_MAX)
		return qc_fail(why, -EFBIG, "%u snapshots are too many", h->snapshots);
	if (h->backing_len > NAME_MAX_LEN)
		return qc_fail(why, -EINVAL, "the backing file name is too long: %u bytes, not %d",
			       h->backing_len, NAME_MAX_LEN);
	if (!range_inside(h->backing_offset, h->backing_len, cs))
		return qc_fail(why, -EINVAL, "the backing file name at 0x%" PRIx64 " is not inside "
			       "the first cluster", h->backing_offset);
	return 0;
}

/* Parses the fixed part.  *length is set to the header length if the header has one. */
static qc_err parse_v2_fields(const uint8_t *buf, size_t n, struct qc_header *h,
			      uint32_t *length, struct qc_reason *why)
{
	struct geom *g = &h->geom;
	uint32_t crypt = be32_at(buf + HEAD_CRYPT);
	qc_err r = 0;

	g->cluster_bits = be32_at(buf + HEAD_CLUSTER_BITS);
	if (g->cluster_bits < CLUSTER_BITS_MIN || g->cluster_bits > CLUSTER_BITS_MAX)
		return qc_fail(why, -EINVAL, "cluster_bits %u is not in 9..21",
			       g->cluster_bits);
	g->l1_entries = be32_at(buf + HEAD_L1_ENTRIES);
	g->l1_offset = be64_at(buf + HEAD_L1_OFFSET);
	h->reftable_offset = be64_at(buf + HEAD_REFTABLE_OFFSET);
	h->reftable_clusters = be32_at(buf + HEAD_REFTABLE_CLUSTERS);
	h->snapshots = be32_at(buf + HEAD_SNAPSHOTS);
	h->snapshots_offset = be64_at(buf + HEAD_SNAPSHOTS_OFFSET);
	h->refcount_order = REFCOUNT_ORDER_V2;
	g->layout = LAYOUT_V2;
	if (h->version == 3)
		r = parse_v3_fields(buf, n, h, length, why);
	if (r)
		return r;
	g->entry_bits = geom_is_extended(g) ? 4 : 3;
	g->l2_bits = g->cluster_bits - g->entry_bits;
	if (crypt > CRYPT_LUKS)
		return qc_fail(why, -ENOTSUP, "unknown encryption method %u", crypt);
	h->crypt = crypt;
	return 0;
}

static qc_err parse_v2(const uint8_t *buf, size_t n, struct qc_header *h, size_t *need,
		       struct qc_reason *why)
{
	uint32_t length = HEAD_V2_BYTES;
	qc_err r, ext;

	if (n < HEAD_V2_BYTES)
		return qc_fail(why, -EINVAL, "the file ends inside the header");
	r = parse_v2_fields(buf, n, h, &length, why);
	if (!r)
		r = check_fields(h, why);
	if (r)
		return r;
	if (h->backing_offset && h->backing_offset < length)
		return qc_fail(why, -EINVAL, "the backing file name is inside the header");
	/* Extensions first: they have the names of unknown features. */
	ext = qc_header_extension_parse_all(buf, n, length, h, need, why);
	if (*need > n)
		return 0;
	if (ext && !unknown_incompatible(h))
		return ext;
	return check_features(h, why);
}

qc_err qc_header_parse(const uint8_t *buf, size_t n, struct qc_header *h, size_t *need,
		       struct qc_reason *why)
{
	memset(h, 0, sizeof(*h));
	*need = 0;
	if (n < 4 || be32_at(buf + HEAD_MAGIC) != QCOW_MAGIC)
		return qc_fail(why, -EMEDIUMTYPE,
			       "not a QCOW image (qemu-img info says what it is)");
	if (n < HEAD1_BYTES)
		return qc_fail(why, -EINVAL, "the file ends inside the header");
	h->version = be32_at(buf + HEAD_VERSION);
	h->backing_offset = be64_at(buf + HEAD_BACKING_OFFSET);
	h->backing_len = be32_at(buf + HEAD_BACKING_LEN);
	h->size = be64_at(buf + HEAD_SIZE);
	if (!h->backing_offset || !h->backing_len)
		h->backing_len = 0;
	if (h->version == 1)
		return parse_v1(buf, h, why);
	if (h->version == 2 || h->version == 3)
		return parse_v2(buf, n, h, need, why);
	return qc_fail(why, -ENOTSUP, "unknown version %u", h->version);
}

/* ---- against the file -------------------------------------------------- */

static qc_err read_backing_name(struct qc_file *f, struct qc_header *h, struct qc_reason *why)
{
	uint8_t name[NAME_MAX_LEN];
	size_t got;
	qc_err r;

	if (!h->backing_len)
		return 0;
	if (h->backing_len > NAME_MAX_LEN)
		return qc_fail(why, -EINVAL, "the backing file name is too long: %u bytes, not %d",
			       h->backing_len, NAME_MAX_LEN);
	r = qc_file_read(f, h->backing_offset, name, h->backing_len, &got);
	if (r)
		return qc_fail_errno(why, r, "cannot read the backing file name");
	/* Without its name, the image would read as zeros where the backing file has data. */
	if (got < h->backing_len)
		return qc_fail(why, -EINVAL, "the backing file name at 0x%" PRIx64 " is beyond the "
			       "end of the file", h->backing_offset);
	return qc_header_extension_name("backing file", name, h->backing_len, h->backing,
					NAME_MAX_LEN, why);
}

/* Checks that a table is behind the header, and ends at most with the last cluster of the
 * file, which may be partial. */
static qc_err check_table(const char *object, uint64_t off, uint64_t len, const struct geom *g,
			  uint64_t file_size, struct qc_reason *why)
{
	uint64_t cs = geom_cluster(g);
	uint64_t first = g->layout == LAYOUT_V1 ? HEAD1_BYTES : cs;

	if (g->layout != LAYOUT_V1 && off & (cs - 1))
		return qc_fail(why, -EINVAL, "the %s at 0x%" PRIx64 " is not cluster aligned",
			       object, off);
	if (off < first)
		return qc_fail(why, -EINVAL, "the %s at 0x%" PRIx64 " is inside the header",
			       object, off);
	if (!range_inside(off, len, round_up(file_size, cs)))
		return qc_fail(why, -EINVAL,
			       "the %s at 0x%" PRIx64 " is beyond the end of the file", object,
			       off);
	return 0;
}

static qc_err check_tables(const struct qc_header *h, uint64_t file_size,
			   struct qc_reason *why)
{
	const struct geom *g = &h->geom;
	uint64_t l1_bytes = (uint64_t)g->l1_entries * 8;
	qc_err r = 0;

	if (l1_bytes)
		r = check_table("L1 table", g->l1_offset, l1_bytes, g, file_size, why);
	if (r || !h->snapshots)
		return r;
	r = check_table("snapshot table", h->snapshots_offset, 1, g, file_size, why);
	if (!r && range_overlap(h->snapshots_offset, 1, g->l1_offset, l1_bytes))
		return qc_fail(why, -EINVAL, "the snapshot table and another table overlap");
	return r;
}

static qc_err check_refcount_table(const struct qc_header *h, uint64_t file_size,
				   struct qc_reason *why)
{
	const struct geom *g = &h->geom;
	uint64_t bytes = h->reftable_clusters * geom_cluster(g);
	qc_err r;

	if (h->version == 1)
		return 0;
	if (!bytes || bytes > REFTABLE_BYTES_MAX)
		return qc_fail(why, -EINVAL, "a refcount table of %u clusters is impossible",
			       h->reftable_clusters);
	r = check_table("refcount table", h->reftable_offset, bytes, g, file_size, why);
	if (r)
		return r;
	if (range_overlap(g->l1_offset, g->l1_entries * UINT64_C(8), h->reftable_offset, bytes))
		return qc_fail(why, -EINVAL, "the L1 table and the refcount table overlap");
	if (h->snapshots && range_overlap(h->snapshots_offset, 1, h->reftable_offset, bytes))
		return qc_fail(why, -EINVAL, "the snapshot table and another table overlap");
	if (range_overlap(h->luks_offset, h->luks_bytes, h->reftable_offset, bytes))
		return qc_fail(why, -EINVAL, "the LUKS header and a table overlap");
	return 0;
}

/* Checks the range of the LUKS header.  Its bytes are checked when the image is unlocked. */
static qc_err check_luks_range(const struct qc_header *h, uint64_t file_size, struct qc_reason *why)
{
	const struct geom *g = &h->geom;
	qc_err r;

	if (h->crypt != CRYPT_LUKS)
		return 0;
	if (!h->luks_bytes)
		return qc_fail(why, -EINVAL, "encrypted with LUKS, but without a LUKS header");
	r = check_table("LUKS header", h->luks_offset, h->luks_bytes, g, file_size, why);
	if (r)
		return r;
	if (range_overlap(h->luks_offset, h->luks_bytes, g->l1_offset, g->l1_entries * UINT64_C(8)))
		return qc_fail(why, -EINVAL, "the LUKS header and a table overlap");
	return 0;
}

static qc_err check_file_names(const struct qc_header *h, struct qc_reason *why)
{
	if (h->geom.external && !*h->data_file)
		return qc_fail(why, -EINVAL, "the external data file has no name");
	if (h->autoclear & AUTOCLEAR_RAW_DATA_FILE && *h->backing)
		return qc_fail(why, -EINVAL, "a raw external data file cannot have a backing file");
	return 0;
}

static qc_err read_and_parse(struct qc_file *f, struct qc_header *h, size_t want,
			     size_t *need, struct qc_reason *why)
{
	AUTO_FREE uint8_t *buf = calloc(1, want);
	size_t got;
	qc_err r;

	if (!buf)
		return qc_fail(why, -ENOMEM, "out of memory");
	r = qc_file_read(f, 0, buf, want, &got);
	if (r)
		return qc_fail_errno(why, r, "cannot read the header");
	/* The zeros behind the end of a small file end the extensions. */
	return qc_header_parse(buf, got < HEAD_V3_BYTES ? got : want, h, need, why);
}

/* Checks all but the location of the refcount table. */
static qc_err read_other_fields(struct qc_file *f, struct qc_header *h, uint64_t *file_size,
				struct qc_reason *why)
{
	struct qc_file_stat stat;
	size_t need = 0;
	qc_err r = qc_file_stat(f, &stat);

	if (r)
		return qc_fail_errno(why, r, "cannot read the header");
	*file_size = stat.size;
	r = read_and_parse(f, h, FIRST_READ, &need, why);
	if (!r && need > FIRST_READ)
		r = read_and_parse(f, h, need, &need, why);
	if (!r)
		r = read_backing_name(f, h, why);
	if (!r)
		r = check_tables(h, stat.size, why);
	if (!r)
		r = check_luks_range(h, stat.size, why);
	return r ? r : check_file_names(h, why);
}

qc_err qc_header_read(struct qc_file *f, struct qc_header *h, struct qc_reason *why)
{
	uint64_t file_size = 0;
	qc_err r = read_other_fields(f, h, &file_size, why);

	if (r)
		return qc_reason_add_hint(why, r);
	r = check_refcount_table(h, file_size, why);
	if (r)
		qc_reason_append(why, " (damaged: qcowfs check -r all may rebuild it)");
	return r;
}

qc_err qc_header_read_damaged(struct qc_file *f, struct qc_header *h, struct qc_reason *why)
{
	uint64_t file_size = 0;
	struct qc_reason ignored;
	qc_err r = read_other_fields(f, h, &file_size, why);

	if (!r && check_refcount_table(h, file_size, &ignored))
		h->reftable_clusters = 0;
	return qc_reason_add_hint(why, r);
}
