/* SPDX-License-Identifier: MIT */
/*
 * header.c - fixed header, extensions, names; then the places of the tables.
 *
 * The extensions of versions 2 and 3 may fill the whole first cluster, but in
 * practice end in its first kilobyte; so a little is read first, and all of it
 * only where the parser asks.
 */
#include "format/header.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/byteorder.h"
#include "base/log.h"
#include "base/range.h"

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
		return qc_fail(why, -EINVAL, "cluster_bits %u is not in 9..16",
				 g->cluster_bits);
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

static qc_err check_features(struct qc_header *h, struct qc_reason *why)
{
	struct geom *g = &h->geom;
	uint64_t unknown = h->incompatible & ~(uint64_t)INCOMPAT_KNOWN;
	bool compressed = h->incompatible & INCOMPAT_COMPRESSION;

	if (unknown)
		return qc_fail(why, -ENOTSUP, "unsupported incompatible feature%s%s (0x%" PRIx64 ")",
				 *h->unknown ? ": " : "", h->unknown, unknown);
	if (h->refcount_order > REFCOUNT_ORDER_MAX)
		return qc_fail(why, -EINVAL, "refcount_order %u is not in 0..6",
				 h->refcount_order);
	if (compressed != (h->compression != COMPRESSION_DEFLATE))
		return qc_fail(why, -EINVAL,
				 "compression type %u and its feature bit do not agree",
				 h->compression);
	if (h->compression > COMPRESSION_ZSTD)
		return qc_fail(why, -ENOTSUP, "unknown compression type %u", h->compression);
	if (h->autoclear & AUTOCLEAR_RAW_DATA_FILE && !g->external)
		return qc_fail(why, -EINVAL, "a raw external data file without a data file");
	if (geom_is_extended(g) && g->cluster_bits < CLUSTER_BITS_MIN_EXTENDED)
		return qc_fail(why, -EINVAL, "extended L2 entries need cluster_bits 14, not %u",
				 g->cluster_bits);
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
	if (!h->reftable_clusters || h->reftable_clusters > REFTABLE_BYTES_MAX / cs)
		return qc_fail(why, -EINVAL, "a refcount table of %u clusters is impossible",
				 h->reftable_clusters);
	if (h->snapshots > SNAPSHOTS_MAX)
		return qc_fail(why, -EFBIG, "%u snapshots are too many", h->snapshots);
	if (h->backing_offset > cs || h->backing_len > min_u64(NAME_MAX_LEN, cs - h->backing_offset))
		return qc_fail(why, -EINVAL, "the backing file name is too long");
	return 0;
}

/* Appends the names of unknown feature bits, as far as they fit. */
static void name_unknown(const uint8_t *data, uint32_t len, struct qc_header *h)
{
	uint64_t unknown = h->incompatible & ~(uint64_t)INCOMPAT_KNOWN;

	for (; len >= FEATURE_NAME_BYTES; len -= FEATURE_NAME_BYTES, data += FEATURE_NAME_BYTES) {
		size_t have = strlen(h->unknown);

		if (data[0] != 0 || data[1] > 63 || !(unknown >> data[1] & 1))
			continue;
		if (have + 2 + FEATURE_NAME_TEXT < sizeof(h->unknown))
			snprintf(h->unknown + have, sizeof(h->unknown) - have, "%s%.*s",
				 have ? ", " : "", FEATURE_NAME_TEXT,
				 (const char *)data + 2);
	}
}

/* A name without its NUL; one with a NUL inside would mean two things. */
static qc_err take_name(const char *what, const uint8_t *data, size_t len, char *to,
			size_t max, struct qc_reason *why)
{
	if (len > max)
		return qc_fail(why, -EINVAL, "the name of the %s is longer than %zu bytes",
				 what, max);
	if (memchr(data, 0, len))
		return qc_fail(why, -EINVAL, "the name of the %s holds a NUL byte", what);
	memcpy(to, data, len);
	to[len] = 0;
	return 0;
}

static qc_err parse_extension(uint32_t magic, const uint8_t *data, uint32_t len,
			      struct qc_header *h, struct qc_reason *why)
{
	switch (magic) {
	case EXT_BACKING_FORMAT:
		return take_name("backing format", data, len, h->backing_format,
				 FORMAT_NAME_MAX, why);
	case EXT_DATA_FILE:
		return take_name("data file", data, len, h->data_file, NAME_MAX_LEN, why);
	case EXT_FEATURE_NAMES:
		name_unknown(data, len, h);
		return 0;
	case EXT_LUKS:
		if (len != EXT_LUKS_BYTES)
			return qc_fail(why, -EINVAL, "a LUKS extension of %u bytes", len);
		h->luks_offset = be64_at(data);
		h->luks_bytes = be64_at(data + 8);
		return 0;
	case EXT_BITMAPS:
		if (len != EXT_BITMAPS_BYTES)
			return qc_fail(why, -EINVAL, "a bitmaps extension of %u bytes", len);
		h->bitmaps = be32_at(data);
		h->bitmaps_bytes = be64_at(data + 8);
		h->bitmaps_offset = be64_at(data + 16);
		return 0;
	default:
		return 0; /* unknown ones are ignored */
	}
}

/* Sets *need and stops where the extensions go on behind n. */
static qc_err parse_extensions(const uint8_t *buf, size_t n, size_t at, struct qc_header *h,
			       size_t *need, struct qc_reason *why)
{
	uint64_t cs = geom_cluster(&h->geom);
	size_t end = (size_t)(h->backing_offset ? h->backing_offset : cs);

	while (at < end) {
		uint32_t magic, len;
		qc_err r;

		if (n < end && n < at + 8) {
			*need = end;
			return 0;
		}
		if (end - at < 8)
			return qc_fail(why, -EINVAL, "a header extension is cut off");
		magic = be32_at(buf + at);
		len = be32_at(buf + at + 4);
		at += 8;
		if (len > end - at)
			return qc_fail(why, -EINVAL, "header extension 0x%08x is too long",
					 magic);
		if (magic == EXT_END)
			return 0;
		if (n < at + len) {
			*need = end;
			return 0;
		}
		if (magic == EXT_FEATURE_NAMES) {
			h->names_offset = at;
			h->names_bytes = len;
		}
		r = parse_extension(magic, buf + at, len, h, why);
		if (r)
			return r;
		at += (size_t)round_up(len, 8);
	}
	return 0;
}

/* The fixed part; *length is that of all the header, where it says so. */
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
		return qc_fail(why, -EINVAL, "the backing file name lies inside the header");
	/* Extensions first, since they name the features that we refuse. */
	ext = parse_extensions(buf, n, length, h, need, why);
	if (*need > n)
		return 0;
	if (ext && !(h->incompatible & ~(uint64_t)INCOMPAT_KNOWN))
		return ext;
	return check_features(h, why);
}

qc_err qc_header_parse(const uint8_t *buf, size_t n, struct qc_header *h, size_t *need,
		       struct qc_reason *why)
{
	memset(h, 0, sizeof(*h));
	*need = 0;
	if (n < 4 || be32_at(buf + HEAD_MAGIC) != QCOW_MAGIC)
		return qc_fail(why, -EMEDIUMTYPE, "not a QCOW image (qemu-img info says what it is)");
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

static qc_err read_name(struct qc_file *f, struct qc_header *h, struct qc_reason *why)
{
	uint8_t name[NAME_MAX_LEN];
	size_t got;
	qc_err r;

	if (!h->backing_len)
		return 0;
	if (h->backing_len > NAME_MAX_LEN)
		return qc_fail(why, -EINVAL, "the backing file name is too long");
	r = qc_file_read(f, h->backing_offset, name, h->backing_len, &got);
	if (r)
		return qc_fail_errno(why, r, "cannot read the backing file name");
	if (h->version == 1 && !got)
		return 0; /* past the end: no name, as in QEMU */
	return take_name("backing file", name, h->backing_len, h->backing, NAME_MAX_LEN, why);
}

/* A table must begin in the file and reach at most to the end of the file's
 * last, perhaps partial, cluster; and keep out of the header. */
static qc_err check_table(const char *what, uint64_t off, uint64_t len, const struct geom *g,
			  uint64_t file_size, struct qc_reason *why)
{
	uint64_t cs = geom_cluster(g);
	uint64_t first = g->layout == LAYOUT_V1 ? HEAD1_BYTES : cs;

	if (g->layout != LAYOUT_V1 && off & (cs - 1))
		return qc_fail(why, -EINVAL, "the %s at 0x%" PRIx64 " is not cluster aligned",
				 what, off);
	if (off < first)
		return qc_fail(why, -EINVAL, "the %s at 0x%" PRIx64 " lies in the header",
				 what, off);
	if (!range_inside(off, len, round_up(file_size, cs)))
		return qc_fail(why, -EINVAL,
				 "the %s at 0x%" PRIx64 " lies beyond the end of the file", what,
				 off);
	return 0;
}

static qc_err check_tables(const struct qc_header *h, uint64_t file_size,
			   struct qc_reason *why)
{
	const struct geom *g = &h->geom;
	uint64_t l1_bytes = (uint64_t)g->l1_entries * 8;
	uint64_t ref_bytes = h->reftable_clusters * geom_cluster(g);
	qc_err r = 0;

	if (l1_bytes)
		r = check_table("L1 table", g->l1_offset, l1_bytes, g, file_size, why);
	if (r || h->version == 1)
		return r;
	r = check_table("refcount table", h->reftable_offset, ref_bytes, g, file_size, why);
	if (!r && h->snapshots)
		r = check_table("snapshot table", h->snapshots_offset, 1, g, file_size, why);
	if (r)
		return r;
	if (range_overlap(g->l1_offset, l1_bytes, h->reftable_offset, ref_bytes))
		return qc_fail(why, -EINVAL, "the L1 table and the refcount table overlap");
	if (h->snapshots && (range_overlap(h->snapshots_offset, 1, g->l1_offset, l1_bytes) ||
			     range_overlap(h->snapshots_offset, 1, h->reftable_offset, ref_bytes)))
		return qc_fail(why, -EINVAL, "the snapshot table and another table overlap");
	return 0;
}

/* Its bytes are looked at when it is unlocked. */
static qc_err check_luks(const struct qc_header *h, uint64_t file_size, struct qc_reason *why)
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
	if (range_overlap(h->luks_offset, h->luks_bytes, g->l1_offset, g->l1_entries * UINT64_C(8)) ||
	    range_overlap(h->luks_offset, h->luks_bytes, h->reftable_offset,
			  h->reftable_clusters * geom_cluster(g)))
		return qc_fail(why, -EINVAL, "the LUKS header and a table overlap");
	return 0;
}

static qc_err check_references(const struct qc_header *h, struct qc_reason *why)
{
	if (h->geom.external && !*h->data_file)
		return qc_fail(why, -EINVAL, "the external data file has no name");
	if (h->autoclear & AUTOCLEAR_RAW_DATA_FILE && *h->backing)
		return qc_fail(why, -EINVAL, "a raw external data file and a backing file");
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
	/* Behind the end of a small file the extensions end, too. */
	return qc_header_parse(buf, got < HEAD_V3_BYTES ? got : want, h, need, why);
}

qc_err qc_header_read(struct qc_file *f, struct qc_header *h, struct qc_reason *why)
{
	struct qc_file_stat facts;
	size_t need = 0;
	qc_err r = qc_file_stat(f, &facts);

	if (r)
		return qc_fail_errno(why, r, "cannot read the header");
	r = read_and_parse(f, h, FIRST_READ, &need, why);
	if (!r && need > FIRST_READ)
		r = read_and_parse(f, h, need, &need, why);
	if (!r)
		r = read_name(f, h, why);
	if (!r)
		r = check_tables(h, facts.size, why);
	if (!r)
		r = check_luks(h, facts.size, why);
	if (!r)
		r = check_references(h, why);
	return qc_reason_add_hint(why, r);
}
