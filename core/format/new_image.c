/* SPDX-License-Identifier: MIT */
#include "format/new_image.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/log.h"
#include "base/range.h"

enum {
	CLUSTER_BITS_DEFAULT = 16,
	CLUSTER_BITS_V1 = 12,
	CLUSTER_BITS_V1_OVERLAY = 9, /* QEMU does not copy the rest of a larger cluster */
	L2_BITS_V1 = 9,
	L2_BITS_V1_OVERLAY = 12,
	HEADER_BYTES = 112, /* of version 3, with the compression type */
};

static size_t text_bytes(const char *text)
{
	return text ? strlen(text) : 0;
}

/* ---- checks ------------------------------------------------------------------ */

/* Refuses options of version 3 in an older one. */
static qc_err check_version(const struct qc_new_image *n, struct qc_reason *why)
{
	if (n->version < 1 || n->version > 3)
		return qc_fail(why, -EINVAL, "version %u does not exist", n->version);
	if (n->version == 3)
		return 0;
	if (n->extended_l2 || n->lazy_refcounts || n->data_file ||
	    n->compression != COMPRESSION_DEFLATE)
		return qc_fail(why, -EINVAL, "version %u has neither extended_l2, lazy_refcounts, "
			       "data_file nor another compression_type than zlib (compat=1.1 has)",
			       n->version);
	if (n->version == 2 && n->refcount_order != REFCOUNT_ORDER_V2)
		return qc_fail(why, -EINVAL, "version 2 has refcounts of 16 bits (compat=1.1 has "
			       "other widths)");
	if (n->version == 1 && n->crypt == CRYPT_LUKS)
		return qc_fail(why, -EINVAL, "version 1 has no LUKS encryption");
	return 0;
}

static qc_err check_cluster_bits(const struct qc_new_image *n, unsigned int bits,
				 struct qc_reason *why)
{
	unsigned int least = n->extended_l2 ? CLUSTER_BITS_MIN_EXTENDED : CLUSTER_BITS_MIN;
	unsigned int most = n->version == 1 ? CLUSTER_BITS_MAX_V1 : CLUSTER_BITS_MAX;

	if (bits < least || bits > most)
		return qc_fail(why, -EINVAL, "cluster_size: %u to %u bytes are possible here",
			       1U << least, 1U << most);
	return 0;
}

static qc_err check_names(const struct qc_new_image *n, struct qc_reason *why)
{
	if (text_bytes(n->backing) > NAME_MAX_LEN || text_bytes(n->data_file) > NAME_MAX_LEN)
		return qc_fail(why, -ENAMETOOLONG,
			       "the name of another file has more than %d bytes", NAME_MAX_LEN);
	if (text_bytes(n->backing_format) > FORMAT_NAME_MAX)
		return qc_fail(why, -EINVAL, "backing format '%s' does not exist",
			       n->backing_format);
	if (n->refcount_order > REFCOUNT_ORDER_MAX)
		return qc_fail(why, -EINVAL,
			       "refcount_bits: 1, 2, 4, 8, 16, 32 and 64 are possible");
	if (n->data_file_raw && !n->data_file)
		return qc_fail(why, -EINVAL, "data_file_raw needs data_file");
	if (n->data_file_raw && text_bytes(n->backing))
		return qc_fail(why, -EINVAL, "data_file_raw cannot have a backing file");
	return 0;
}

/* ---- layout ------------------------------------------------------------------- */

static void set_geometry(const struct qc_new_image *n, struct geom *g)
{
	bool overlay = text_bytes(n->backing) > 0;

	*g = (struct geom){
		.layout = n->version == 1 ? LAYOUT_V1 : n->version == 2 ? LAYOUT_V2 :
			  n->extended_l2 ? LAYOUT_V3_EXTENDED : LAYOUT_V3,
		.cluster_bits = n->cluster_bits ? n->cluster_bits : CLUSTER_BITS_DEFAULT,
		.entry_bits = n->extended_l2 ? 4 : 3,
		.external = n->data_file != NULL,
	};
	if (n->version == 1) {
		g->cluster_bits = n->cluster_bits ? n->cluster_bits :
				  overlay ? CLUSTER_BITS_V1_OVERLAY : CLUSTER_BITS_V1;
		g->l2_bits = overlay ? L2_BITS_V1_OVERLAY : L2_BITS_V1;
	} else {
		g->l2_bits = g->cluster_bits - g->entry_bits;
	}
}

/* Finds how many refcount blocks count all clusters, themselves included: more blocks make
 * the file longer, so the search goes on until nothing changes. */
static void lay_out_tables(const struct qc_new_image *n, struct qc_new_layout *l)
{
	uint64_t cs = geom_cluster(&l->geom);
	uint64_t per_block = (cs * 8) >> n->refcount_order;
	uint64_t luks = div_up(n->luks_bytes, cs);

	l->l1_clusters = div_up(l->geom.l1_entries * UINT64_C(8), cs);
	l->blocks = 1;
	for (;;) {
		uint64_t need;

		l->reftable_clusters = div_up(l->blocks * 8, cs);
		l->clusters = 1 + l->reftable_clusters + l->blocks + l->l1_clusters + luks;
		need = div_up(l->clusters, per_block);
		if (need <= l->blocks)
			break;
		l->blocks = need;
	}
	l->geom.l1_offset = (1 + l->reftable_clusters + l->blocks) * cs;
	l->luks_offset = luks ? l->geom.l1_offset + l->l1_clusters * cs : 0;
}

static void lay_out_tables_v1(const struct qc_new_image *n, struct qc_new_layout *l)
{
	l->geom.l1_offset = round_up(HEAD1_BYTES + text_bytes(n->backing), 8);
}

/* Bytes that header, extensions and the name of the backing file take. */
static uint64_t header_bytes(const struct qc_new_image *n)
{
	uint64_t at = n->version == 3 ? HEADER_BYTES : HEAD_V2_BYTES;

	if (text_bytes(n->backing_format))
		at += 8 + round_up(strlen(n->backing_format), 8);
	if (n->data_file)
		at += 8 + round_up(strlen(n->data_file), 8);
	if (n->luks_bytes)
		at += 8 + EXT_LUKS_BYTES;
	return at + 8 + text_bytes(n->backing);
}

/* Returns the entries of the L1 table, at least one: a table of none could not be told from no
 * table. Takes larger clusters than the default for a disk that needs them. */
static uint64_t fit_cluster_size(const struct qc_new_image *n, struct qc_new_layout *l)
{
	struct geom *g = &l->geom;

	while (!n->cluster_bits && n->version > 1 && g->cluster_bits < CLUSTER_BITS_MAX &&
	       geom_l1_need(g, l->size) > L1_ENTRIES_MAX) {
		g->cluster_bits++;
		g->l2_bits++;
	}
	return max_u64(geom_l1_need(g, l->size), 1);
}

qc_err qc_new_image_lay_out(const struct qc_new_image *n, struct qc_new_layout *out,
			    struct qc_reason *why)
{
	qc_err r = check_version(n, why);
	uint64_t entries;

	if (!r)
		r = check_names(n, why);
	memset(out, 0, sizeof(*out));
	set_geometry(n, &out->geom);
	if (!r)
		r = check_cluster_bits(n, out->geom.cluster_bits, why);
	if (r)
		return r;
	if (n->version > 1 && header_bytes(n) > geom_cluster(&out->geom))
		return qc_fail(why, -ENAMETOOLONG,
			       "the names do not fit into the first cluster (take a larger "
			       "cluster_size)");
	if (n->version == 1 && !n->size)
		return qc_fail(why, -EINVAL, "version 1 has no disks without a size");
	if (n->size > INT64_MAX - SECTOR)
		return qc_fail(why, -EFBIG, "the disk is too large");
	out->size = round_up(n->size, SECTOR);
	entries = fit_cluster_size(n, out);
	if (entries > L1_ENTRIES_MAX)
		return qc_fail(why, -EFBIG, "clusters of %" PRIu64 " bytes are too small for a disk "
			       "of %" PRIu64 " bytes (take a larger cluster_size)",
			       geom_cluster(&out->geom), out->size);
	out->geom.l1_entries = (uint32_t)entries;
	if (n->version == 1)
		lay_out_tables_v1(n, out);
	else
		lay_out_tables(n, out);
	return 0;
}

/* ---- bytes --------------------------------------------------------------------- */

/* Puts a header extension and returns the end of its padding. */
static uint64_t put_extension(uint8_t *buf, uint64_t at, uint32_t magic, const void *data,
			      size_t len)
{
	be32_to(buf + at, magic);
	be32_to(buf + at + 4, (uint32_t)len);
	memcpy(buf + at + 8, data, len);
	return round_up(at + 8 + len, 8);
}

static void put_features(uint8_t *buf, const struct qc_new_image *n)
{
	uint64_t incompatible = 0;

	if (n->data_file)
		incompatible |= INCOMPAT_DATA_FILE;
	if (n->compression != COMPRESSION_DEFLATE)
		incompatible |= INCOMPAT_COMPRESSION;
	if (n->extended_l2)
		incompatible |= INCOMPAT_EXTENDED_L2;
	be64_to(buf + HEAD_INCOMPATIBLE, incompatible);
	be64_to(buf + HEAD_COMPATIBLE, n->lazy_refcounts ? COMPAT_LAZY_REFCOUNTS : 0);
	be64_to(buf + HEAD_AUTOCLEAR, n->data_file_raw ? AUTOCLEAR_RAW_DATA_FILE : 0);
	be32_to(buf + HEAD_REFCOUNT_ORDER, n->refcount_order);
	be32_to(buf + HEAD_LENGTH, HEADER_BYTES);
	buf[HEAD_COMPRESSION] = (uint8_t)n->compression;
}

static void put_extensions(uint8_t *buf, const struct qc_new_image *n,
			   const struct qc_new_layout *l)
{
	uint64_t at = n->version == 3 ? HEADER_BYTES : HEAD_V2_BYTES;
	uint8_t luks[EXT_LUKS_BYTES];

	if (text_bytes(n->backing_format))
		at = put_extension(buf, at, EXT_BACKING_FORMAT, n->backing_format,
				   strlen(n->backing_format));
	if (n->data_file)
		at = put_extension(buf, at, EXT_DATA_FILE, n->data_file, strlen(n->data_file));
	if (l->luks_offset) {
		be64_to(luks, l->luks_offset);
		be64_to(luks + 8, n->luks_bytes);
		at = put_extension(buf, at, EXT_LUKS, luks, sizeof(luks));
	}
	at = put_extension(buf, at, EXT_END, "", 0);
	if (text_bytes(n->backing)) {
		be64_to(buf + HEAD_BACKING_OFFSET, at);
		be32_to(buf + HEAD_BACKING_LEN, (uint32_t)strlen(n->backing));
		memcpy(buf + at, n->backing, strlen(n->backing));
	}
}

static void encode_header(uint8_t *buf, const struct qc_new_image *n, const struct qc_new_layout *l)
{
	const struct geom *g = &l->geom;

	be32_to(buf + HEAD_MAGIC, QCOW_MAGIC);
	be32_to(buf + HEAD_VERSION, n->version);
	be32_to(buf + HEAD_CLUSTER_BITS, g->cluster_bits);
	be64_to(buf + HEAD_SIZE, l->size);
	be32_to(buf + HEAD_CRYPT, n->crypt);
	be32_to(buf + HEAD_L1_ENTRIES, g->l1_entries);
	be64_to(buf + HEAD_L1_OFFSET, g->l1_offset);
	be64_to(buf + HEAD_REFTABLE_OFFSET, geom_cluster(g));
	be32_to(buf + HEAD_REFTABLE_CLUSTERS, (uint32_t)l->reftable_clusters);
	if (n->version == 3)
		put_features(buf, n);
	put_extensions(buf, n, l);
}

static void encode_header_v1(uint8_t *buf, const struct qc_new_image *n,
			     const struct qc_new_layout *l)
{
	be32_to(buf + HEAD_MAGIC, QCOW_MAGIC);
	be32_to(buf + HEAD_VERSION, 1);
	be64_to(buf + HEAD_SIZE, l->size);
	buf[HEAD1_CLUSTER_BITS] = (uint8_t)l->geom.cluster_bits;
	buf[HEAD1_L2_BITS] = (uint8_t)l->geom.l2_bits;
	be32_to(buf + HEAD1_CRYPT, n->crypt);
	be64_to(buf + HEAD_L1_OFFSET, l->geom.l1_offset);
	if (text_bytes(n->backing)) {
		be64_to(buf + HEAD_BACKING_OFFSET, HEAD1_BYTES);
		be32_to(buf + HEAD_BACKING_LEN, (uint32_t)strlen(n->backing));
		memcpy(buf + HEAD1_BYTES, n->backing, strlen(n->backing));
	}
}

/* ---- the file ------------------------------------------------------------------- */

/* Sets refcount @i of a zeroed block to 1: big-endian, or from the lowest bit on where a byte
 * holds several (qcow2 spec, "Refcounts"). */
static void set_refcount_one(uint8_t *block, uint64_t i, unsigned int order)
{
	if (order >= 3)
		block[((i + 1) << (order - 3)) - 1] = 1;
	else
		block[i >> (3 - order)] |= (uint8_t)(1U << ((i << order) & 7));
}

/* Writes refcount 1 for each of the file's clusters, and the table of the blocks. */
static qc_err write_first_refcounts(struct qc_file *f, const struct qc_new_image *n,
				    const struct qc_new_layout *l, uint8_t *buf)
{
	uint64_t cs = geom_cluster(&l->geom);
	uint64_t per_block = (cs * 8) >> n->refcount_order;
	uint64_t first_block = 1 + l->reftable_clusters;
	qc_err r = 0;

	for (uint64_t b = 0; !r && b < l->blocks; b++) {
		uint64_t in_block = min_u64(per_block, l->clusters - b * per_block);

		memset(buf, 0, cs);
		for (uint64_t i = 0; i < in_block; i++)
			set_refcount_one(buf, i, n->refcount_order);
		r = qc_file_write(f, (first_block + b) * cs, buf, cs);
	}
	for (uint64_t b = 0; !r && b < l->blocks; b++) {
		uint8_t entry[8];

		be64_to(entry, (first_block + b) * cs);
		r = qc_file_write(f, cs + b * 8, entry, sizeof(entry));
	}
	return r;
}

qc_err qc_new_image_write(struct qc_file *f, const struct qc_new_image *n,
			  struct qc_new_layout *out, struct qc_reason *why)
{
	AUTO_FREE uint8_t *buf = NULL;
	qc_err r = qc_new_image_lay_out(n, out, why);
	uint64_t cs, head, end;

	if (r)
		return r;
	cs = geom_cluster(&out->geom);
	head = n->version == 1 ? out->geom.l1_offset : cs;
	end = n->version == 1 ? round_up(head + out->geom.l1_entries * UINT64_C(8), SECTOR) :
				out->clusters * cs;
	buf = malloc(max_u64(head, cs));
	if (!buf)
		return qc_fail_errno(why, -ENOMEM, NULL);
	r = qc_file_resize(f, 0);
	if (!r)
		r = qc_file_resize(f, end); /* unwritten bytes read as zeros */
	if (!r && n->version > 1)
		r = write_first_refcounts(f, n, out, buf);
	if (!r && out->luks_offset)
		r = qc_file_write(f, out->luks_offset, n->luks, n->luks_bytes);
	memset(buf, 0, max_u64(head, cs));
	if (n->version == 1)
		encode_header_v1(buf, n, out);
	else
		encode_header(buf, n, out);
	if (!r)
		r = qc_file_write(f, 0, buf, head);
	return r ? qc_fail_errno(why, r, NULL) : 0;
}
