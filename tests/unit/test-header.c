/* SPDX-License-Identifier: MIT */
/* Every limit of a header, at the last value that is taken and the first that is not. */
#include "format/header.h"

#include <errno.h>
#include <string.h>

#include "memfile.h"
#include "tap.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define GIB (1024 * MIB)

/* ---- making headers --------------------------------------------------------- */

enum { FILE_BYTES = 3 << 20 };

static uint8_t bytes[FILE_BYTES];
static struct memfile file;
static struct qc_header head;
static struct qc_reason why;

static void put(size_t at, unsigned int width, uint64_t v)
{
	for (unsigned int i = 0; i < width; i++)
		bytes[at + i] = (uint8_t)(v >> 8 * (width - 1 - i));
}

static void put_text(size_t at, const char *text)
{
	memcpy(bytes + at, text, strlen(text));
}

static void start_file(uint32_t version)
{
	memset(bytes, 0, sizeof(bytes));
	memfile_init(&file, bytes, sizeof(bytes));
	put(HEAD_MAGIC, 4, QCOW_MAGIC);
	put(HEAD_VERSION, 4, version);
}

/* A sound image of 1 MiB, whose tables fit all cluster sizes. */
static void make(uint32_t version)
{
	start_file(version);
	file.size = 64 * MIB;
	put(HEAD_CLUSTER_BITS, 4, 16);
	put(HEAD_SIZE, 8, MIB);
	put(HEAD_L1_ENTRIES, 4, 32);
	put(HEAD_L1_OFFSET, 8, 6 * MIB);
	put(HEAD_REFTABLE_OFFSET, 8, 2 * MIB);
	put(HEAD_REFTABLE_CLUSTERS, 4, 1);
	if (version == 3) {
		put(HEAD_REFCOUNT_ORDER, 4, 4);
		put(HEAD_LENGTH, 4, 112);
	}
}

static void make_v1(void)
{
	start_file(1);
	file.size = 64 * MIB;
	put(HEAD_SIZE, 8, MIB);
	put(HEAD1_CLUSTER_BITS, 1, 12);
	put(HEAD1_L2_BITS, 1, 9);
	put(HEAD_L1_OFFSET, 8, 48);
}

static size_t ext(size_t at, uint32_t magic, const void *data, uint32_t len)
{
	put(at, 4, magic);
	put(at + 4, 4, len);
	if (data)
		memcpy(bytes + at + 8, data, len);
	return at + 8 + (len + 7) / 8 * 8;
}

static size_t feature_name(size_t at, unsigned int set, unsigned int bit, const char *name)
{
	put(at, 1, set);
	put(at + 1, 1, bit);
	memcpy(bytes + at + 2, name, strlen(name)); /* which is at most 46 */
	return at + 48;
}

static qc_err read_header(void)
{
	memset(&why, 0, sizeof(why));
	return qc_header_read(&file.file, &head, &why);
}

static bool accepted(void)
{
	qc_err r = read_header();

	if (r)
		printf("# refused: %s\n", why.text);
	return !r;
}

static bool refused(qc_err err, const char *word)
{
	qc_err r = read_header();

	if (r == err && strstr(why.text, word) && why.cause == QC_CAUSE_IMAGE)
		return true;
	printf("# not %d and '%s', but %d: %s\n", err, word, r, r ? why.text : "accepted");
	return false;
}

/* ---- one field each --------------------------------------------------------- */

struct sin {
	const char *what;
	uint32_t version;
	struct {
		uint16_t at;
		uint16_t width;
		uint64_t v;
	} set[5]; /* to the end, or to width 0 */
	qc_err err; /* 0: accepted */
	const char *word;
};

#define FIELD(at, v) { (at), 4, (v) }
#define WIDE(at, v) { (at), 8, (v) }
#define BYTE(at, v) { (at), 1, (v) }

static void commit(const struct sin *s)
{
	if (s->version == 1)
		make_v1();
	else
		make(s->version);
	for (size_t i = 0; i < COUNT(s->set) && s->set[i].width; i++)
		put(s->set[i].at, s->set[i].width, s->set[i].v);
	if (s->err ? !refused(s->err, s->word) : !accepted()) {
		printf("# %s\n", s->what);
		CHECK(false && "as in the table");
	}
}

static void limits_of_versions_2_and_3(void)
{
	static const struct sin t[] = {
		{ "as it is, 2", 2, { { 0 } }, 0, NULL },
		{ "as it is, 3", 3, { { 0 } }, 0, NULL },
		{ "magic", 3, { FIELD(0, 0x514649fa) }, -EMEDIUMTYPE, "not a QCOW" },
		{ "version 0", 3, { FIELD(4, 0) }, -ENOTSUP, "version 0" },
		{ "version 4", 3, { FIELD(4, 4) }, -ENOTSUP, "version 4" },

		{ "clusters of 256", 3, { FIELD(20, 8) }, -EINVAL, "cluster_bits 8" },
		{ "clusters of 512", 3, { FIELD(20, 9) }, 0, NULL },
		{ "clusters of 2 MiB", 3, { FIELD(20, 21) }, 0, NULL },
		{ "clusters of 4 MiB", 3, { FIELD(20, 22) }, -EINVAL, "cluster_bits 22" },
		{ "clusters of 2^64", 2, { FIELD(20, 64) }, -EINVAL, "cluster_bits 64" },
		{ "clusters, sign", 2, { FIELD(20, 0xffffffff) }, -EINVAL, "cluster_bits" },

		{ "size 0", 3, { WIDE(24, 0) }, 0, NULL },
		{ "size 0 without L1", 3, { WIDE(24, 0), FIELD(36, 0), WIDE(40, 0) }, 0, NULL },
		{ "size of all L1", 3, { WIDE(24, 32 * 512 * MIB) }, 0, NULL },
		{ "size + 511", 3, { WIDE(24, 32 * 512 * MIB + 511) }, 0, NULL },
		{ "size + 512", 3, { WIDE(24, 32 * 512 * MIB + 512) }, -EINVAL, "too small" },
		{ "size of 2^63 - 1", 3, { WIDE(24, INT64_MAX) }, -EINVAL, "too small" },
		{ "size of 2^63", 3, { WIDE(24, UINT64_C(1) << 63) }, -EFBIG, "virtual size" },
		{ "size of 2^64 - 1", 2, { WIDE(24, UINT64_MAX) }, -EFBIG, "virtual size" },
		{ "2^61 in 4 Mi entries", 3,
		  { FIELD(20, 21), WIDE(24, UINT64_C(1) << 61), FIELD(36, 4194304) }, 0, NULL },
		{ "a sector more", 3,
		  { FIELD(20, 21), WIDE(24, (UINT64_C(1) << 61) + 512), FIELD(36, 4194304) },
		  -EINVAL, "too small" },

		{ "no encryption", 2, { FIELD(32, 0) }, 0, NULL },
		{ "AES", 2, { FIELD(32, 1) }, 0, NULL },
		{ "LUKS without its header", 3, { FIELD(32, 2) }, -EINVAL, "LUKS" },
		{ "unknown encryption", 3, { FIELD(32, 3) }, -ENOTSUP, "encryption method 3" },

		{ "L1 of 32 MiB", 3, { FIELD(36, 4194304) }, 0, NULL },
		{ "L1 of 32 MiB + 8", 3, { FIELD(36, 4194305) }, -EFBIG, "4194305" },
		{ "L1 of 2^32 - 1", 3, { FIELD(36, UINT32_MAX) }, -EFBIG, "L1 table" },
		{ "L1 too small", 3, { FIELD(36, 0) }, -EINVAL, "too small" },
		{ "L1 unaligned", 3, { WIDE(40, 6 * MIB + 512) }, -EINVAL, "not cluster" },
		{ "L1 in the header", 3, { WIDE(40, 0) }, -EINVAL, "inside the header" },
		{ "L1 at the end", 3, { WIDE(40, 64 * MIB) }, -EINVAL, "beyond the end" },
		{ "L1 in the last cluster", 3, { WIDE(40, 64 * MIB - 65536) }, 0, NULL },
		{ "L1 over the end", 3, { WIDE(40, 64 * MIB - 65536), FIELD(36, 8193) },
		  -EINVAL, "beyond the end" },
		{ "L1 up to the end", 3, { WIDE(40, 64 * MIB - 65536), FIELD(36, 8192) },
		  0, NULL },
		{ "L1 at 2^63", 3, { WIDE(40, UINT64_C(1) << 63) }, -EINVAL, "beyond the end" },
		{ "L1 at 2^64", 3, { WIDE(40, UINT64_MAX - 65535) }, -EINVAL,
		  "beyond the end" },

		{ "refcounts unaligned", 3, { WIDE(48, 2 * MIB + 512) }, -EINVAL,
		  "refcount table at 0x200200 is not" },
		{ "refcounts in the header", 2, { WIDE(48, 0) }, -EINVAL, "inside the header" },
		{ "refcounts at the end", 2, { WIDE(48, 64 * MIB) }, -EINVAL,
		  "beyond the end" },
		{ "no refcounts", 3, { FIELD(56, 0) }, -EINVAL, "refcount table of 0" },
		{ "refcounts of 8 MiB", 3, { WIDE(48, 8 * MIB), FIELD(56, 128) }, 0, NULL },
		{ "refcounts of more", 3, { WIDE(48, 8 * MIB), FIELD(56, 129) }, -EINVAL,
		  "refcount table of 129" },
		{ "refcounts over the end", 3, { WIDE(48, 64 * MIB - 65536), FIELD(56, 2) },
		  -EINVAL, "beyond the end" },
		{ "refcounts on L1", 3, { WIDE(48, 6 * MIB) }, -EINVAL, "overlap" },
		{ "refcounts into L1", 3, { WIDE(48, 6 * MIB - 65536), FIELD(56, 2) }, -EINVAL,
		  "overlap" },
		{ "refcounts up to L1", 3, { WIDE(48, 6 * MIB - 65536) }, 0, NULL },

		{ "65536 snapshots", 3, { FIELD(60, 65536), WIDE(64, MIB) }, 0, NULL },
		{ "65537 snapshots", 3, { FIELD(60, 65537), WIDE(64, MIB) }, -EFBIG, "65537" },
		{ "no snapshots anywhere", 3, { WIDE(64, 12345) }, 0, NULL },
		{ "snapshots unaligned", 3, { FIELD(60, 1), WIDE(64, MIB + 8) }, -EINVAL,
		  "snapshot table" },
		{ "snapshots in the header", 3, { FIELD(60, 1), WIDE(64, 0) }, -EINVAL,
		  "inside the header" },
		{ "snapshots at the end", 3, { FIELD(60, 1), WIDE(64, 64 * MIB) }, -EINVAL,
		  "beyond the end" },
		{ "snapshots on L1", 3, { FIELD(60, 1), WIDE(64, 6 * MIB) }, -EINVAL,
		  "overlap" },
		{ "snapshots on refcounts", 3, { FIELD(60, 1), WIDE(64, 2 * MIB) }, -EINVAL,
		  "overlap" },
	};

	for (size_t i = 0; i < COUNT(t); i++)
		commit(&t[i]);
}

static void limits_of_version_3(void)
{
	static const struct sin t[] = {
		{ "refcounts of 1 bit", 3, { FIELD(96, 0) }, 0, NULL },
		{ "refcounts of 64 bits", 3, { FIELD(96, 6) }, 0, NULL },
		{ "refcounts of 128 bits", 3, { FIELD(96, 7) }, -EINVAL, "refcount_order 7" },
		{ "of 2^32 bits", 3, { FIELD(96, UINT32_MAX) }, -EINVAL, "refcount_order" },

		{ "length 72", 3, { FIELD(100, 72) }, -EINVAL, "header_length 72" },
		{ "length 96", 3, { FIELD(100, 96) }, -EINVAL, "header_length 96" },
		{ "length 103", 3, { FIELD(100, 103) }, -EINVAL, "header_length 103" },
		{ "length 104", 3, { FIELD(100, 104) }, 0, NULL },
		{ "length 105", 3, { FIELD(100, 105) }, -EINVAL, "header_length 105" },
		{ "length 112", 3, { FIELD(100, 112) }, 0, NULL },
		{ "length 120", 3, { FIELD(100, 120) }, 0, NULL },
		{ "length 128", 3, { FIELD(100, 128) }, 0, NULL },
		{ "length of a cluster", 3, { FIELD(100, 65536) }, 0, NULL },
		{ "length of more", 3, { FIELD(100, 65544) }, -EINVAL, "header_length 65544" },
		{ "length of 512", 3, { FIELD(20, 9), FIELD(100, 512) }, 0, NULL },
		{ "length of 520", 3, { FIELD(20, 9), FIELD(100, 520) }, -EINVAL,
		  "header_length" },

		{ "dirty", 3, { WIDE(72, 1) }, 0, NULL },
		{ "corrupt", 3, { WIDE(72, 2) }, 0, NULL },
		{ "data file without a name", 3, { WIDE(72, 4) }, -EINVAL, "has no name" },
		{ "bit 5", 3, { WIDE(72, 32) }, -ENOTSUP, "0x20" },
		{ "bit 63", 3, { WIDE(72, UINT64_C(1) << 63) }, -ENOTSUP,
		  "0x8000000000000000" },
		{ "only unknown bits are shown", 3, { WIDE(72, 0x21) }, -ENOTSUP, "(0x20)" },
		{ "unknown compatible bits", 3, { WIDE(80, UINT64_MAX) }, 0, NULL },
		{ "unknown autoclear bits", 3, { WIDE(88, UINT64_MAX & ~2ull) }, 0, NULL },
		{ "raw data file, but none", 3, { WIDE(88, 2) }, -EINVAL, "data file" },
		{ "no such bits in 2", 2, { { 0 } }, 0, NULL },

		{ "deflate", 3, { BYTE(104, 0) }, 0, NULL },
		{ "zstd", 3, { WIDE(72, 8), BYTE(104, 1) }, 0, NULL },
		{ "type without the bit", 3, { BYTE(104, 1) }, -EINVAL, "compression type 1" },
		{ "bit without the type", 3, { WIDE(72, 8) }, -EINVAL, "compression type 0" },
		{ "unknown type", 3, { WIDE(72, 8), BYTE(104, 2) }, -ENOTSUP, "type 2" },
		{ "bit, but too short a header", 3,
		  { WIDE(72, 8), FIELD(100, 104), BYTE(104, 0) }, -EINVAL, "compression" },
		{ "padding", 3, { BYTE(105, 255), BYTE(111, 255) }, 0, NULL },

		{ "subclusters of 256", 3, { WIDE(72, 16), FIELD(20, 13) }, -EINVAL,
		  "extended" },
		{ "subclusters of 512", 3, { WIDE(72, 16), FIELD(20, 14) }, 0, NULL },
		{ "subclusters of 64 KiB", 3, { WIDE(72, 16), FIELD(20, 21) }, 0, NULL },
		{ "extended L1 full", 3, { WIDE(72, 16), WIDE(24, 32 * 256 * MIB) }, 0, NULL },
		{ "extended L1 too small", 3, { WIDE(72, 16), WIDE(24, 32 * 256 * MIB + 512) },
		  -EINVAL, "too small" },
	};

	for (size_t i = 0; i < COUNT(t); i++)
		commit(&t[i]);
}

static void limits_of_version_1(void)
{
	static const struct sin t[] = {
		{ "as it is", 1, { { 0 } }, 0, NULL },
		{ "size 0", 1, { WIDE(24, 0) }, -EINVAL, "virtual size is 0" },
		{ "size 1", 1, { WIDE(24, 1) }, -EINVAL, "virtual size is 1" },
		{ "size 2", 1, { WIDE(24, 2) }, 0, NULL },
		{ "clusters of 256", 1, { BYTE(32, 8) }, -EINVAL, "cluster_bits 8" },
		{ "clusters of 512", 1, { BYTE(32, 9) }, 0, NULL },
		{ "clusters of 64 KiB", 1, { BYTE(32, 16) }, 0, NULL },
		{ "clusters of 128 KiB", 1, { BYTE(32, 17) }, -EINVAL, "cluster_bits 17" },
		{ "tables of 256", 1, { BYTE(33, 5) }, -EINVAL, "l2_bits 5" },
		{ "tables of 512", 1, { BYTE(33, 6) }, 0, NULL },
		{ "tables of 64 KiB", 1, { BYTE(33, 13) }, 0, NULL },
		{ "tables of 128 KiB", 1, { BYTE(33, 14) }, -EINVAL, "l2_bits 14" },
		{ "padding", 1, { BYTE(34, 255), BYTE(35, 255) }, 0, NULL },
		{ "time", 1, { FIELD(20, UINT32_MAX) }, 0, NULL },
		{ "AES", 1, { FIELD(36, 1) }, 0, NULL },
		{ "LUKS", 1, { FIELD(36, 2) }, -ENOTSUP, "encryption method 2" },
		{ "4 Mi L1 entries", 1,
		  { BYTE(32, 16), BYTE(33, 13), WIDE(24, UINT64_C(1) << 51) }, 0, NULL },
		{ "and one more", 1,
		  { BYTE(32, 16), BYTE(33, 13), WIDE(24, (UINT64_C(1) << 51) + 1) }, -EFBIG,
		  "too large" },
		{ "size of 2^63", 1, { WIDE(24, UINT64_C(1) << 63) }, -EFBIG, "too large" },
		{ "size of 2^64 - 1", 1, { WIDE(24, UINT64_MAX) }, -EFBIG, "too large" },
		{ "L1 in the header", 1, { WIDE(40, 47) }, -EINVAL, "inside the header" },
		{ "L1 at 0", 1, { WIDE(40, 0) }, -EINVAL, "inside the header" },
		{ "L1 right behind it", 1, { WIDE(40, 48) }, 0, NULL },
		{ "L1 anywhere", 1, { WIDE(40, 49) }, 0, NULL },
		{ "L1 at the end", 1, { WIDE(40, 64 * MIB) }, -EINVAL, "beyond the end" },
		{ "L1 at 2^64 - 1", 1, { WIDE(40, UINT64_MAX) }, -EINVAL, "beyond the end" },
	};

	for (size_t i = 0; i < COUNT(t); i++)
		commit(&t[i]);
}

/* ---- messages ----------------------------------------------------------- */

static void sizes(void)
{
	make(2);
	put(HEAD_SIZE, 8, 513);
	CHECK(accepted() && head.size == 512);
	put(HEAD_SIZE, 8, 511);
	CHECK(accepted() && head.size == 0);
	make_v1();
	put(HEAD_SIZE, 8, 1000);
	CHECK(accepted() && head.size == 1000);
}

static void geometry_of_each_layout(void)
{
	make(2);
	CHECK(accepted() && head.version == 2 && head.geom.layout == LAYOUT_V2);
	CHECK(head.geom.cluster_bits == 16 && head.geom.l2_bits == 13);
	CHECK(head.geom.entry_bits == 3 && head.geom.l1_entries == 32);
	CHECK(head.geom.l1_offset == 6 * MIB && head.refcount_order == 4);
	make(3);
	CHECK(accepted() && head.version == 3 && head.geom.layout == LAYOUT_V3);
	put(HEAD_INCOMPATIBLE, 8, INCOMPAT_EXTENDED_L2);
	CHECK(accepted() && head.geom.layout == LAYOUT_V3_EXTENDED);
	CHECK(head.geom.entry_bits == 4 && head.geom.l2_bits == 12);
	make_v1();
	put(HEAD_SIZE, 8, 2 * MIB + 1);
	CHECK(accepted() && head.version == 1 && head.geom.layout == LAYOUT_V1);
	CHECK(head.geom.cluster_bits == 12 && head.geom.l2_bits == 9);
	CHECK(head.geom.l1_entries == 2 && !head.geom.external);
}

static void compression_is_noticed(void)
{
	make(3);
	CHECK(accepted() && head.compression == COMPRESSION_DEFLATE);
	put(HEAD_INCOMPATIBLE, 8, INCOMPAT_COMPRESSION);
	put(HEAD_COMPRESSION, 1, 1);
	CHECK(accepted() && head.compression == COMPRESSION_ZSTD);
	make(3);
	put(HEAD_LENGTH, 4, 104); /* byte 104 is an extension's */
	ext(104, 0x01000000, "", 0);
	CHECK(accepted() && head.compression == COMPRESSION_DEFLATE);
}

static void short_files(void)
{
	static const struct {
		uint32_t version;
		uint64_t size;
		qc_err err;
	} t[] = {
		{ 3, 0, -EMEDIUMTYPE }, { 3, 3, -EMEDIUMTYPE }, { 3, 4, -EINVAL },
		{ 1, 47, -EINVAL },	{ 2, 48, -EINVAL },	{ 2, 71, -EINVAL },
		{ 3, 72, -EINVAL },	{ 3, 103, -EINVAL },
	};

	for (size_t i = 0; i < COUNT(t); i++) {
		if (t[i].version == 1)
			make_v1();
		else
			make(t[i].version);
		file.size = t[i].size;
		CHECK(refused(t[i].err, t[i].err == -EINVAL ? "ends inside" : "QCOW"));
	}
}

static void last_cluster_may_be_partial(void)
{
	make(3);
	file.size = 6 * MIB + 8;
	CHECK(accepted());
	file.size = 6 * MIB;
	CHECK(refused(-EINVAL, "L1 table"));
	make_v1();
	file.size = 56; /* as small as they come */
	CHECK(accepted());
}

static void files_that_cannot_be_read(void)
{
	make(3);
	file.fail = -1;
	CHECK(refused(-EIO, "cannot read the header"));
	put(HEAD_BACKING_OFFSET, 8, 500);
	put(HEAD_BACKING_LEN, 4, 4);
	put_text(500, "base");
	file.fail = 0;
	CHECK(accepted() && !strcmp(head.backing, "base"));
}

/* ---- backing names ---------------------------------------------------------- */

static void backing(uint64_t off, uint32_t len)
{
	put(HEAD_BACKING_OFFSET, 8, off);
	put(HEAD_BACKING_LEN, 4, len);
	if (off < sizeof(bytes) - 2000)
		memset(bytes + off, 'n', len < 2000 ? len : 2000);
}

static void lengths_of_backing_names(void)
{
	make(3);
	backing(200, 1);
	CHECK(accepted() && !strcmp(head.backing, "n"));
	backing(200, 1023);
	CHECK(accepted() && strlen(head.backing) == 1023);
	backing(200, 1024);
	CHECK(refused(-EINVAL, "too long"));
	backing(200, UINT32_MAX);
	CHECK(refused(-EINVAL, "too long"));
	backing(200, 0); /* no name */
	CHECK(accepted() && !*head.backing);
	make(3);
	put(HEAD_BACKING_LEN, 4, UINT32_MAX); /* undefined without an offset */
	CHECK(accepted() && !*head.backing);
}

static void places_of_backing_names(void)
{
	make(3);
	backing(104, 5);
	CHECK(refused(-EINVAL, "inside the header"));
	make(3);
	backing(112, 5);
	CHECK(accepted() && !strcmp(head.backing, "nnnnn"));
	make(3);
	backing(65536 - 5, 5);
	CHECK(accepted() && !strcmp(head.backing, "nnnnn"));
	backing(65536 - 5, 6);
	CHECK(refused(-EINVAL, "0xfffb is not inside the first cluster"));
	make(3);
	backing(65536, 0);
	CHECK(accepted() && !*head.backing);
	backing(65537, 0);
	CHECK(refused(-EINVAL, "not inside the first cluster"));
	backing(65536, 4);
	CHECK(refused(-EINVAL, "not inside the first cluster"));
	backing(UINT64_MAX, 1);
	CHECK(refused(-EINVAL, "not inside the first cluster"));
	make(2);
	backing(71, 1);
	CHECK(refused(-EINVAL, "inside the header"));
	make(2);
	backing(72, 1);
	CHECK(accepted());
}

static void names_hold_no_nul(void)
{
	make(3);
	backing(200, 10);
	bytes[205] = 0;
	CHECK(refused(-EINVAL, "NUL"));
	make(3);
	backing(200, 10);
	bytes[209] = 0;
	CHECK(refused(-EINVAL, "NUL"));
	make_v1();
	backing(500, 10);
	bytes[500] = 0;
	CHECK(refused(-EINVAL, "NUL"));
}

static void backing_names_of_version_1(void)
{
	make_v1();
	backing(2 * MIB, 1023); /* anywhere */
	CHECK(accepted() && strlen(head.backing) == 1023);
	backing(2 * MIB, 1024);
	CHECK(refused(-EINVAL, "too long"));
	backing(64 * MIB, 10);
	CHECK(refused(-EINVAL, "name at 0x4000000 is beyond the end of the file (damaged"));
	backing(UINT64_MAX, 10);
	CHECK(refused(-EINVAL, "beyond the end of the file"));
	backing(2 * MIB, 10);
	file.size = 2 * MIB + 9; /* one byte is missing */
	CHECK(refused(-EINVAL, "beyond the end of the file"));
	file.size++;
	CHECK(accepted() && strlen(head.backing) == 10);
	file.size = 64 * MIB;
	backing(500, 0);
	CHECK(accepted() && !*head.backing);
	backing(0, 10);
	put(0, 4, QCOW_MAGIC);
	put(4, 4, 1);
	make_v1();
	put(HEAD_BACKING_LEN, 4, 10);
	CHECK(accepted() && !*head.backing);
}

/* ---- extensions ------------------------------------------------------------- */

static void backing_formats(void)
{
	make(3);
	ext(ext(112, EXT_BACKING_FORMAT, "raw", 3), EXT_END, NULL, 0);
	CHECK(accepted() && !strcmp(head.backing_format, "raw"));
	make(2);
	ext(72, EXT_BACKING_FORMAT, "qcow2", 5);
	CHECK(accepted() && !strcmp(head.backing_format, "qcow2"));
	make(3);
	ext(112, EXT_BACKING_FORMAT, "fifteen letters", 15);
	CHECK(accepted() && !strcmp(head.backing_format, "fifteen letters"));
	make(3);
	ext(112, EXT_BACKING_FORMAT, "sixteen letters.", 16);
	CHECK(refused(-EINVAL, "backing format has 16 bytes, more than 15"));
	make(3);
	ext(112, EXT_BACKING_FORMAT, "raw\0x", 5);
	CHECK(refused(-EINVAL, "NUL"));
	make(3);
	ext(112, EXT_BACKING_FORMAT, "\0raw", 4);
	CHECK(refused(-EINVAL, "NUL"));
	make(3);
	ext(ext(112, EXT_BACKING_FORMAT, "raw", 3), EXT_BACKING_FORMAT, "qcow2", 5);
	CHECK(accepted() && !strcmp(head.backing_format, "qcow2")); /* the last one */
	make(3);
	ext(ext(112, EXT_END, NULL, 0), EXT_BACKING_FORMAT, "raw", 3);
	CHECK(accepted() && !*head.backing_format); /* behind the end */
}

/* As QEMU 0.11 and 0.12 write them. */
static void backing_formats_padded_with_nuls(void)
{
	make(2);
	ext(72, EXT_BACKING_FORMAT, "raw\0\0\0\0", 8);
	CHECK(accepted() && !strcmp(head.backing_format, "raw"));
	make(2);
	ext(ext(72, EXT_BACKING_FORMAT, "qcow2\0\0", 8), EXT_END, NULL, 0);
	CHECK(accepted() && !strcmp(head.backing_format, "qcow2"));
	make(3);
	ext(112, EXT_BACKING_FORMAT, "fifteen letters", 16); /* with its NUL */
	CHECK(accepted() && !strcmp(head.backing_format, "fifteen letters"));
	make(3);
	ext(112, EXT_BACKING_FORMAT, "\0\0\0\0\0\0\0", 8);
	CHECK(accepted() && !*head.backing_format);
	make(3);
	ext(112, EXT_BACKING_FORMAT, "raw\0\0\0", 7);
	CHECK(refused(-EINVAL, "NUL"));
}

static void data_files(void)
{
	static uint8_t name[1024];

	memset(name, 'd', sizeof(name));
	make(3);
	put(HEAD_INCOMPATIBLE, 8, INCOMPAT_DATA_FILE);
	ext(112, EXT_DATA_FILE, "disk", 4);
	CHECK(accepted() && head.geom.external && !strcmp(head.data_file, "disk"));
	put(HEAD_AUTOCLEAR, 8, AUTOCLEAR_RAW_DATA_FILE);
	CHECK(accepted());
	backing(200, 4);
	CHECK(refused(-EINVAL, "backing file"));
	make(3);
	put(HEAD_INCOMPATIBLE, 8, INCOMPAT_DATA_FILE);
	ext(112, EXT_DATA_FILE, name, 1023);
	CHECK(accepted() && strlen(head.data_file) == 1023);
	ext(112, EXT_DATA_FILE, name, 1024);
	CHECK(refused(-EINVAL, "data file has 1024 bytes, more than 1023"));
	make(3);
	ext(112, EXT_DATA_FILE, "disk", 4); /* but no bit for it */
	CHECK(accepted() && !head.geom.external);
	make(3);
	put(HEAD_INCOMPATIBLE, 8, INCOMPAT_DATA_FILE);
	ext(112, EXT_DATA_FILE, "", 0);
	CHECK(refused(-EINVAL, "has no name"));
}

/* Its data is encrypted, also if the method is 0. */
static void a_luks_extension_needs_the_method_luks(void)
{
	static const uint8_t none[16];

	for (uint32_t version = 2; version <= 3; version++) {
		for (uint32_t method = CRYPT_NONE; method <= CRYPT_AES; method++) {
			make(version);
			put(HEAD_CRYPT, 4, method);
			ext(version == 3 ? 112 : 72, EXT_LUKS, none, 16);
			CHECK(refused(-EINVAL, method ? "the encryption method is 1, not 2" :
							"the encryption method is 0, not 2"));
		}
	}
}

static void luks_and_bitmaps(void)
{
	static const uint8_t none[32];

	make(3);
	put(HEAD_CRYPT, 4, CRYPT_LUKS);
	ext(112, EXT_LUKS, none, 16);
	CHECK(refused(-EINVAL, "without a LUKS header"));
	put(112 + 8, 8, 8 * MIB);
	put(112 + 16, 8, 56 * MIB);
	CHECK(accepted() && head.crypt == CRYPT_LUKS && head.luks_offset == 8 * MIB &&
	      head.luks_bytes == 56 * MIB);
	put(112 + 16, 8, 56 * MIB + 1);
	CHECK(refused(-EINVAL, "LUKS header at 0x800000 is beyond the end"));
	put(112 + 16, 8, UINT64_MAX);
	CHECK(refused(-EINVAL, "LUKS header at 0x800000 is beyond the end"));
	put(112 + 16, 8, 592);
	put(112 + 8, 8, 8 * MIB + 512);
	CHECK(refused(-EINVAL, "LUKS header at 0x800200 is not cluster aligned"));
	put(112 + 8, 8, 0);
	CHECK(refused(-EINVAL, "LUKS header at 0x0 is inside the header"));
	put(112 + 8, 8, 6 * MIB);
	CHECK(refused(-EINVAL, "the LUKS header and a table overlap"));
	put(112 + 8, 8, 2 * MIB);
	CHECK(refused(-EINVAL, "the LUKS header and a table overlap"));
	make(3);
	ext(112, EXT_LUKS, none, 15);
	CHECK(refused(-EINVAL, "LUKS extension of 15"));
	make(3);
	ext(112, EXT_LUKS, none, 17);
	CHECK(refused(-EINVAL, "LUKS extension of 17"));
	make(3);
	ext(112, EXT_BITMAPS, none, 24);
	CHECK(accepted());
	make(3);
	ext(112, EXT_BITMAPS, none, 23);
	CHECK(refused(-EINVAL, "bitmaps extension of 23"));
	make(3);
	ext(112, EXT_BITMAPS, none, 32);
	CHECK(refused(-EINVAL, "bitmaps extension of 32"));
}

static void unknown_extensions_are_skipped(void)
{
	static const uint8_t junk[24] = { 1, 2, 3 };
	size_t at;

	make(3);
	at = ext(112, 0x12345678, junk, 13);
	at = ext(at, 0x12345679, junk, 0);
	ext(at, EXT_BACKING_FORMAT, "raw", 3);
	CHECK(accepted() && !strcmp(head.backing_format, "raw"));
}

static void where_extensions_end(void)
{
	/* At the backing name, with no end record. */
	make(3);
	backing(128, 4);
	ext(112, EXT_BACKING_FORMAT, "raw", 3);
	CHECK(accepted() && !strcmp(head.backing_format, "raw"));
	CHECK(!strcmp(head.backing, "nnnn"));
	make(3);
	backing(127, 4);
	ext(112, EXT_BACKING_FORMAT, "raw", 3);
	memset(bytes + 127, 'n', 4);
	CHECK(accepted() && !strcmp(head.backing_format, "raw"));
	make(3);
	backing(122, 4);
	put(112, 4, EXT_BACKING_FORMAT);
	put(116, 4, 3);
	CHECK(refused(-EINVAL, "too long"));
	make(3);
	backing(116, 4); /* no room for the head of one */
	CHECK(refused(-EINVAL, "cut off"));
	/* At the end of the cluster. */
	make(3);
	put(HEAD_CLUSTER_BITS, 4, 9);
	ext(112, 0x12345678, NULL, 512 - 120);
	CHECK(accepted());
	put(116, 4, 512 - 120 + 1);
	CHECK(refused(-EINVAL, "0x12345678 is too long"));
	put(116, 4, 512 - 120 - 7); /* leaves less than a head */
	CHECK(accepted());
	put(116, 4, UINT32_MAX);
	CHECK(refused(-EINVAL, "too long"));
	put(112, 4, EXT_END);
	CHECK(refused(-EINVAL, "too long"));
}

static void extensions_may_fill_the_cluster(void)
{
	make(3);
	ext(112, 0x12345678, NULL, 5000);
	ext(112 + 8 + 5000, EXT_BACKING_FORMAT, "raw", 3);
	CHECK(accepted() && !strcmp(head.backing_format, "raw"));
	make(3);
	put(HEAD_CLUSTER_BITS, 4, 21);
	ext(112, 0x12345678, NULL, (2 << 20) - 112 - 8 - 16);
	ext((2 << 20) - 16, EXT_BACKING_FORMAT, "raw", 3);
	CHECK(accepted() && !strcmp(head.backing_format, "raw"));
	/* One extension, or its data, across the end of the first read. */
	for (uint32_t n = 4096 - 120 - 24; n <= 4096 - 120 + 8; n += 8) {
		make(3);
		ext(112, 0x12345678, NULL, n);
		ext(120 + n, EXT_BACKING_FORMAT, "fifteen letters", 15);
		CHECK(accepted() && !strcmp(head.backing_format, "fifteen letters"));
	}
}

static void behind_a_small_file_extensions_end(void)
{
	make(3);
	ext(112, EXT_BACKING_FORMAT, "qcow2", 5);
	file.nbytes = 121; /* zeros from there on */
	CHECK(refused(-EINVAL, "NUL"));
	file.nbytes = 120 + 5;
	CHECK(accepted() && !strcmp(head.backing_format, "qcow2"));
}

/* ---- names of features ------------------------------------------------------ */

static void unknown_features_are_named(void)
{
	size_t at;

	make(3);
	put(HEAD_INCOMPATIBLE, 8, UINT64_C(1) << 40 | 1 << 7 | 1);
	at = 120;
	at = feature_name(at, 0, 0, "dirty bit");
	at = feature_name(at, 0, 7, "seven");
	at = feature_name(at, 1, 40, "of another set");
	at = feature_name(at, 0, 40, "for\x1bty");
	at = feature_name(at, 0, 41, "not here");
	at = feature_name(at, 0, 64, "no such bit");
	put(112, 4, EXT_FEATURE_NAMES);
	put(116, 4, at - 120 + 5); /* and a rest that is no record */
	CHECK(refused(-ENOTSUP, "seven, for?ty (0x10000000080)"));
	CHECK(!strstr(why.text, "dirty") && !strstr(why.text, "another"));
	CHECK(!strstr(why.text, "not here") && !strstr(why.text, "no such"));
}

static void feature_names_of_full_length(void)
{
	char name[47];
	size_t at = 120;

	memset(name, 'f', 46);
	name[46] = 0;
	make(3);
	put(HEAD_INCOMPATIBLE, 8, ~UINT64_C(0x1f));
	for (unsigned int bit = 5; bit < 64; bit++)
		at = feature_name(at, 0, bit, name);
	put(112, 4, EXT_FEATURE_NAMES);
	put(116, 4, at - 120);
	CHECK(refused(-ENOTSUP, name));
	CHECK(strstr(why.text, "0xffffffffffffffe0"));
}

static void unknown_features_come_before_other_faults(void)
{
	make(3);
	put(HEAD_INCOMPATIBLE, 8, 1 << 7);
	feature_name(120, 0, 7, "seven");
	put(112, 4, EXT_FEATURE_NAMES);
	put(116, 4, 48);
	ext(168, EXT_LUKS, NULL, 3);
	CHECK(refused(-ENOTSUP, "seven"));
}

/* ---- the parser alone ------------------------------------------------------- */

static void the_parser_asks_for_more(void)
{
	size_t need;

	make(3);
	ext(112, 0x12345678, NULL, 5000);
	CHECK(!qc_header_parse(bytes, 4096, &head, &need, &why) && need == 65536);
	CHECK(!qc_header_parse(bytes, 65536, &head, &need, &why) && need <= 65536);
	make(3);
	CHECK(!qc_header_parse(bytes, 4096, &head, &need, &why) && need <= 4096);
}

/* Every length of buffer, of its own memory, so that ASan sees a read behind it. */
static void the_parser_stays_in_its_buffer(void)
{
	for (uint32_t version = 1; version <= 3; version++) {
		for (size_t n = 0; n < 400; n++) {
			uint8_t *copy = malloc(n ? n : 1);
			size_t need;

			if (version == 1)
				make_v1();
			else
				make(version);
			ext(version == 3 ? 112 : 72, EXT_FEATURE_NAMES, NULL, 4 * 48);
			put(HEAD_INCOMPATIBLE, 8, version == 3 ? 1 << 7 : 0);
			memcpy(copy, bytes, n);
			(void)qc_header_parse(copy, n, &head, &need, &why);
			free(copy);
		}
	}
}

int main(void)
{
	RUN(limits_of_versions_2_and_3);
	RUN(limits_of_version_3);
	RUN(limits_of_version_1);
	RUN(sizes);
	RUN(geometry_of_each_layout);
	RUN(compression_is_noticed);
	RUN(short_files);
	RUN(last_cluster_may_be_partial);
	RUN(files_that_cannot_be_read);
	RUN(lengths_of_backing_names);
	RUN(places_of_backing_names);
	RUN(names_hold_no_nul);
	RUN(backing_names_of_version_1);
	RUN(backing_formats);
	RUN(backing_formats_padded_with_nuls);
	RUN(data_files);
	RUN(luks_and_bitmaps);
	RUN(a_luks_extension_needs_the_method_luks);
	RUN(unknown_extensions_are_skipped);
	RUN(where_extensions_end);
	RUN(extensions_may_fill_the_cluster);
	RUN(behind_a_small_file_extensions_end);
	RUN(unknown_features_are_named);
	RUN(feature_names_of_full_length);
	RUN(unknown_features_come_before_other_faults);
	RUN(the_parser_asks_for_more);
	RUN(the_parser_stays_in_its_buffer);
	return DONE();
}
