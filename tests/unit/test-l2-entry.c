/* SPDX-License-Identifier: MIT */
#include "format/l2_entry.h"

#include "tap.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define V1(cb, l2) ((struct geom){ LAYOUT_V1, false, cb, l2, 3, 0, 0 })
#define V2(cb) ((struct geom){ LAYOUT_V2, false, cb, (cb) - 3, 3, 0, 0 })
#define V3(cb) ((struct geom){ LAYOUT_V3, false, cb, (cb) - 3, 3, 0, 0 })
#define V3_DATA(cb) ((struct geom){ LAYOUT_V3, true, cb, (cb) - 3, 3, 0, 0 })
#define EXT(cb) ((struct geom){ LAYOUT_V3_EXTENDED, false, cb, (cb) - 4, 4, 0, 0 })
#define EXT_DATA(cb) ((struct geom){ LAYOUT_V3_EXTENDED, true, cb, (cb) - 4, 4, 0, 0 })
#define C63 (UINT64_C(1) << 63)
#define C62 (UINT64_C(1) << 62)
#define BAD { .bad = true }
#define IS(k, o, h) { .kind = (k), .copied = (o), .host = (h) }

struct want {
	bool bad;
	enum qc_kind kind;
	bool copied;
	uint64_t host;
};

static bool as_wanted(const struct geom *g, uint64_t raw, const struct want *w)
{
	struct l2_entry e;
	qc_err r = l2_entry_decode(g, raw, 0, &e);

	if (w->bad)
		return r == -EIO;
	return !r && e.kind == w->kind && e.copied == w->copied && e.host.v == w->host;
}

/* ---- plain entries ---------------------------------------------------------- */

static void plain_entries_of_all_versions(void)
{
	const struct geom v2 = V2(16), v3 = V3(16), data = V3_DATA(16);
	static const struct {
		uint64_t raw;
		struct want v2, v3, data;
	} t[] = {
		{ 0, IS(QC_UNALLOCATED, 0, 0), IS(QC_UNALLOCATED, 0, 0), IS(QC_UNALLOCATED, 0, 0) },
		{ 0x50000, IS(QC_DATA, 0, 0x50000), IS(QC_DATA, 0, 0x50000),
		  IS(QC_DATA, 0, 0x50000) },
		{ C63 | 0x50000, IS(QC_DATA, 1, 0x50000), IS(QC_DATA, 1, 0x50000),
		  IS(QC_DATA, 1, 0x50000) },
		{ 1, BAD, IS(QC_ZERO, 0, 0), IS(QC_ZERO, 0, 0) },
		{ 0x50001, BAD, IS(QC_ZERO, 0, 0x50000), IS(QC_ZERO, 0, 0x50000) },
		{ C63 | 0x50001, BAD, IS(QC_ZERO, 1, 0x50000), IS(QC_ZERO, 1, 0x50000) },
		{ C63 | 1, BAD, IS(QC_ZERO, 1, 0), IS(QC_ZERO, 1, 0) },
		{ C63, IS(QC_UNALLOCATED, 1, 0), IS(QC_UNALLOCATED, 1, 0), IS(QC_DATA, 1, 0) },
		{ C63 | 0x50200, BAD, BAD, BAD }, /* not aligned */
		{ 0x58000, BAD, BAD, BAD },
		{ UINT64_C(0x00ffffffffff0000), IS(QC_DATA, 0, UINT64_C(0x00ffffffffff0000)),
		  IS(QC_DATA, 0, UINT64_C(0x00ffffffffff0000)),
		  IS(QC_DATA, 0, UINT64_C(0x00ffffffffff0000)) },
	};

	for (size_t i = 0; i < COUNT(t); i++) {
		CHECK(as_wanted(&v2, t[i].raw, &t[i].v2));
		CHECK(as_wanted(&v3, t[i].raw, &t[i].v3));
		CHECK(as_wanted(&data, t[i].raw, &t[i].data));
	}
}

static void each_reserved_bit_is_damage(void)
{
	const struct geom g[] = { V2(16), V3(16), V3(9), V3(21), V3_DATA(16), EXT(16) };
	struct l2_entry e;

	for (size_t i = 0; i < COUNT(g); i++) {
		for (unsigned int bit = 1; bit < 62; bit++) {
			bool reserved = bit < 9 || bit > 55;
			bool below_cluster = bit < g[i].cluster_bits;
			uint64_t raw = UINT64_C(1) << bit | C63;
			qc_err want = reserved || below_cluster ? -EIO : 0;

			CHECK(l2_entry_decode(&g[i], raw, 0, &e) == want);
		}
	}
}

/* ---- compressed entries ----------------------------------------------------- */

static bool is_packed(const struct geom *g, uint64_t raw, uint64_t host, uint32_t len)
{
	struct l2_entry e;

	return !l2_entry_decode(g, raw, 0, &e) && e.kind == QC_COMPRESSED && !e.copied &&
	       e.host.v == host && e.compressed_len == len;
}

static void compressed_entries(void)
{
	static const struct {
		unsigned int cb;
		uint64_t raw, host;
		uint32_t len;
	} t[] = {
		{ 9, C62 | 0x1000, 0x1000, 512 },
		{ 9, C62 | UINT64_C(1) << 61 | 0x1000, 0x1000, 1024 },
		{ 9, C62 | UINT64_C(1) << 61 | 0x11ff, 0x11ff, 1024 - 511 },
		{ 9, C62 | UINT64_C(0x00ffffffffffffff), UINT64_C(0x00ffffffffffffff), 1 },
		{ 12, C62 | UINT64_C(15) << 58 | 0x1001, 0x1001, 16 * 512 - 1 },
		{ 12, C62 | UINT64_C(1) << 58 | 0x2fff, 0x2fff, 1024 - 511 },
		{ 14, C62 | UINT64_C(63) << 56 | 0x8000, 0x8000, 64 * 512 },
		{ 14, C62 | UINT64_C(0x00ffffffffffffff), UINT64_C(0x00ffffffffffffff), 1 },
		{ 16, C62 | UINT64_C(3) << 54 | 0x12345, 0x12345, 2048 - 0x145 },
		{ 16, C62 | UINT64_C(255) << 54 | 0x50000, 0x50000, 128 * 1024 },
		{ 16, C62 | UINT64_C(0x003fffffffffffff), UINT64_C(0x003fffffffffffff), 1 },
		{ 21, C62 | UINT64_C(8191) << 49 | 0x200000, 0x200000, 4 * 1024 * 1024 },
		{ 21, C62 | UINT64_C(0x1ffffffffffff), UINT64_C(0x1ffffffffffff), 1 },
		{ 21, C62 | UINT64_C(1) << 49, 0, 1024 },
	};

	for (size_t i = 0; i < COUNT(t); i++) {
		const struct geom v2 = V2(t[i].cb), v3 = V3(t[i].cb);

		CHECK(is_packed(&v2, t[i].raw, t[i].host, t[i].len));
		CHECK(is_packed(&v3, t[i].raw, t[i].host, t[i].len));
		CHECK(is_packed(&v3, t[i].raw | C63, t[i].host, t[i].len));
	}
}

static void compressed_entries_that_cannot_be(void)
{
	const struct geom small = V3(9), mid = V3(12), data = V3_DATA(16), ext = EXT_DATA(16);
	struct l2_entry e;

	CHECK(l2_entry_decode(&small, C62 | UINT64_C(1) << 56, 0, &e) == -EIO);
	CHECK(l2_entry_decode(&small, C62 | UINT64_C(1) << 60, 0, &e) == -EIO);
	CHECK(l2_entry_decode(&mid, C62 | UINT64_C(1) << 56, 0, &e) == -EIO);
	CHECK(l2_entry_decode(&mid, C62 | UINT64_C(1) << 57, 0, &e) == -EIO);
	CHECK(l2_entry_decode(&data, C62 | 0x50000, 0, &e) == -EIO);
	CHECK(l2_entry_decode(&ext, C62 | 0x50000, 0, &e) == -EIO);
}

/* ---- version 1 -------------------------------------------------------------- */

static void version_1(void)
{
	const struct geom g = V1(12, 9), small = V1(9, 12);
	static const struct {
		uint64_t raw;
		struct want w;
	} t[] = {
		{ 0, IS(QC_UNALLOCATED, 0, 0) },
		{ 0x1000, IS(QC_DATA, 1, 0x1000) },
		{ 0x1200, IS(QC_DATA, 1, 0x1200) }, /* sectors are enough */
		{ 0x1001, BAD },
		{ 0x1100, BAD },
		{ 1, BAD },
		{ C62, IS(QC_DATA, 1, C62) },
		{ UINT64_C(0x7fffffffffffe000), IS(QC_DATA, 1, UINT64_C(0x7fffffffffffe000)) },
		{ UINT64_C(0x7ffffffffffff000), BAD }, /* would end beyond 2^63 - 1 */
	};

	for (size_t i = 0; i < COUNT(t); i++)
		CHECK(as_wanted(&g, t[i].raw, &t[i].w));
	CHECK(as_wanted(&small, 0x1200, &(struct want)IS(QC_DATA, 1, 0x1200)));
}

static void version_1_compressed(void)
{
	const struct geom g9 = V1(9, 12), g12 = V1(12, 9), g16 = V1(16, 13);
	struct l2_entry e;
	static const struct {
		unsigned int cb;
		uint64_t raw, host;
		uint32_t len;
	} t[] = {
		{ 9, C63 | UINT64_C(1) << 54 | 0x1001, 0x1001, 1 },
		{ 9, C63 | UINT64_C(511) << 54 | 0x30, 0x30, 511 },
		{ 12, C63 | UINT64_C(0xabc) << 51 | 0x12345, 0x12345, 0xabc },
		{ 12, C63 | UINT64_C(0xfff) << 51 | UINT64_C(0x7ffffffffffff),
		  UINT64_C(0x7ffffffffffff), 0xfff },
		{ 16, C63 | UINT64_C(0xffff) << 47 | UINT64_C(0x7fffffffffff),
		  UINT64_C(0x7fffffffffff), 0xffff },
	};

	for (size_t i = 0; i < COUNT(t); i++)
		CHECK(is_packed(t[i].cb == 9 ? &g9 : t[i].cb == 12 ? &g12 : &g16, t[i].raw,
				t[i].host, t[i].len));
	CHECK(l2_entry_decode(&g12, C63 | 0x1000, 0, &e) == -EIO); /* no bytes */
	CHECK(l2_entry_decode(&g12, C63, 0, &e) == -EIO);
}

/* ---- subclusters ------------------------------------------------------------ */

static bool ext_is(const struct geom *g, uint64_t raw, uint32_t zero, uint32_t alloc,
		   unsigned int sub, enum qc_kind want)
{
	struct l2_entry e;

	return !l2_entry_decode(g, raw, (uint64_t)zero << 32 | alloc, &e) &&
	       subcluster_kind(&e, sub) == want;
}

static void subclusters(void)
{
	const struct geom g = EXT(16), data = EXT_DATA(16);

	CHECK(ext_is(&g, C63 | 0x50000, 0, 2, 1, QC_DATA));
	CHECK(ext_is(&g, C63 | 0x50000, 0, 2, 0, QC_UNALLOCATED));
	CHECK(ext_is(&g, C63 | 0x50000, 0, 2, 2, QC_UNALLOCATED));
	CHECK(ext_is(&g, 0x50000, 4, 2, 2, QC_ZERO));
	CHECK(ext_is(&g, 0x50000, 0, 0, 31, QC_UNALLOCATED)); /* only reserved */
	CHECK(ext_is(&g, 0x50000, 0, UINT32_MAX, 31, QC_DATA));
	CHECK(ext_is(&g, 0, UINT32_MAX, 0, 31, QC_ZERO));
	CHECK(ext_is(&g, 0, 1, 0, 0, QC_ZERO));
	CHECK(ext_is(&g, 0, 0, 0, 0, QC_UNALLOCATED));
	CHECK(ext_is(&g, 0x50001, 0, 1, 0, QC_DATA)); /* bit 0 means nothing here */
	CHECK(ext_is(&data, C63, 0, 1, 0, QC_DATA));  /* offset 0 of a data file */
}

static void subclusters_that_cannot_be(void)
{
	const struct geom g = EXT(16), data = EXT_DATA(16);
	struct l2_entry e;

	CHECK(l2_entry_decode(&g, 0x50000, UINT64_C(1) << 32 | 1, &e) == -EIO);
	CHECK(l2_entry_decode(&g, 0x50000, UINT64_C(1) << 63 | UINT64_C(1) << 31, &e) == -EIO);
	CHECK(l2_entry_decode(&g, 0, 1, &e) == -EIO); /* data without a place */
	CHECK(l2_entry_decode(&g, C63, 1, &e) == -EIO);
	CHECK(l2_entry_decode(&data, 0, 1, &e) == -EIO);
	CHECK(l2_entry_decode(&g, 0x50200, 0, &e) == -EIO);
	CHECK(l2_entry_decode(&g, 0x50000, UINT64_C(1) << 32 | 2, &e) == 0);
}

static void compressed_among_extended(void)
{
	const struct geom g = EXT(16);

	CHECK(is_packed(&g, C62 | UINT64_C(3) << 54 | 0x12345, 0x12345, 2048 - 0x145));
}

static void second_word_counts_only_where_extended(void)
{
	const struct geom g = V3(16);
	struct l2_entry e;

	CHECK(!l2_entry_decode(&g, 0x50000, UINT64_MAX, &e));
	CHECK(e.kind == QC_DATA && !e.alloc && !e.zero);
}

/* ---- L1 --------------------------------------------------------------------- */

static void l1_entries(void)
{
	const struct geom g = V3(16), tiny = V3(9);
	struct hoff t;

	CHECK(!l1_decode(&g, 0, &t) && t.v == 0);
	CHECK(!l1_decode(&g, 0x40000, &t) && t.v == 0x40000);
	CHECK(!l1_decode(&g, C63 | 0x40000, &t) && t.v == 0x40000);
	CHECK(l1_decode(&g, C63, &t) == -EIO);
	CHECK(l1_decode(&g, C63 | 0x40200, &t) == -EIO);
	CHECK(!l1_decode(&tiny, C63 | 0x40200, &t) && t.v == 0x40200);
	for (unsigned int bit = 0; bit < 63; bit++)
		if (bit < 9 || bit > 55)
			CHECK(l1_decode(&tiny, UINT64_C(1) << bit | 0x40000, &t) == -EIO);
}

static void l1_entries_of_version_1(void)
{
	const struct geom g = V1(12, 9);
	struct hoff t;

	CHECK(!l1_decode(&g, 0, &t) && t.v == 0);
	CHECK(!l1_decode(&g, 4097, &t) && t.v == 4097); /* anywhere */
	CHECK(!l1_decode(&g, C62, &t) && t.v == C62);
	CHECK(l1_decode(&g, C63 | 4096, &t) == -EIO);
	CHECK(!l1_decode(&g, INT64_MAX - 4096, &t));
	CHECK(l1_decode(&g, INT64_MAX - 4095, &t) == -EIO);
}

/* ---- encoding --------------------------------------------------------------- */

static bool same_entry(const struct l2_entry *a, const struct l2_entry *b)
{
	return a->kind == b->kind && a->copied == b->copied && a->host.v == b->host.v &&
	       a->compressed_len == b->compressed_len && a->alloc == b->alloc && a->zero == b->zero;
}

/* Decodes, encodes and decodes again; true also for an entry that is invalid. */
static bool survives(const struct geom *g, uint64_t word, uint64_t bits)
{
	struct l2_entry e, again;
	struct qc_l2_raw raw;

	if (l2_entry_decode(g, word, bits, &e))
		return true;
	raw = l2_entry_encode(g, &e);
	return !l2_entry_decode(g, raw.word, raw.bits, &again) && same_entry(&e, &again);
}

/* Few random numbers are valid entries, so each flag is tried with offsets that are. */
static void encoding_is_the_inverse_of_decoding(void)
{
	static const uint64_t flags[] = { 0, 1, C62, C63, C62 | C63, C63 | 1 };
	static const uint64_t bitmaps[] = { 0, 1, UINT32_MAX, UINT64_C(0xffffffff00000000),
					    UINT64_C(0x0000000200000001) };
	const struct geom layouts[] = {
		V1(9, 12), V1(12, 9), V1(16, 13), V2(9), V2(16), V2(21), V3(9), V3(12), V3(16),
		V3(21), V3_DATA(16), EXT(14), EXT(16), EXT(21), EXT_DATA(16),
	};
	uint64_t seed = 1;
	unsigned int valid = 0;

	for (size_t l = 0; l < COUNT(layouts); l++) {
		const struct geom *g = &layouts[l];

		for (unsigned int i = 0; i < 20000; i++) {
			uint64_t word = flags[i % COUNT(flags)], bits = bitmaps[i / 7 % COUNT(bitmaps)];
			struct l2_entry e;

			seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
			word |= i & 8 ? seed >> (seed % 60) : seed >> 24 << g->cluster_bits;
			valid += !l2_entry_decode(g, word, bits, &e);
			CHECK(survives(g, word, bits));
		}
	}
	CHECK(valid > 1000);
}

/* The bytes stay the same where they have no bit without a meaning. */
static void canonical_bytes_stay(void)
{
	const struct {
		struct geom g;
		uint64_t word, bits;
	} t[] = {
		{ V1(12, 9), 0x1200, 0 },
		{ V1(12, 9), C63 | UINT64_C(0xabc) << 51 | 0x12345, 0 },
		{ V2(16), C63 | 0x50000, 0 },
		{ V2(16), C62 | UINT64_C(3) << 54 | 0x12345, 0 },
		{ V3(16), C63 | 0x50001, 0 },
		{ V3(16), 1, 0 },
		{ V3(9), C62 | UINT64_C(1) << 61 | 0x11ff, 0 },
		{ V3_DATA(16), C63, 0 },
		{ V3_DATA(16), C63 | 1, 0 },
		{ EXT(16), C63 | 0x50000, UINT64_C(0x0000000400000002) },
		{ EXT(16), 0, UINT64_C(0xffffffff00000000) },
		{ EXT_DATA(16), C63, 1 },
	};

	for (size_t i = 0; i < COUNT(t); i++) {
		struct l2_entry e;
		struct qc_l2_raw raw;

		CHECK(!l2_entry_decode(&t[i].g, t[i].word, t[i].bits, &e));
		raw = l2_entry_encode(&t[i].g, &e);
		CHECK(raw.word == t[i].word && raw.bits == t[i].bits);
	}
}

static void copied_in_bytes(void)
{
	const struct geom v1 = V1(12, 9), v3 = V3(16), ext = EXT(16);
	uint8_t table[32] = { 0 };
	struct l2_entry e;

	be64_to(table + 8, 0x50000);
	l2_entry_set_copied(&v3, table, 1, true);
	CHECK(be64_at(table + 8) == (C63 | 0x50000) && !be64_at(table));
	CHECK(!l2_entry_at(&v3, table, 1, &e) && e.copied && e.host.v == 0x50000);
	l2_entry_set_copied(&v3, table, 1, false);
	CHECK(be64_at(table + 8) == 0x50000);
	l2_entry_set_copied(&v1, table, 1, true);
	CHECK(be64_at(table + 8) == 0x50000);
	be64_to(table, C62 | 0x50000);
	l2_entry_set_copied(&v3, table, 0, true);
	CHECK(be64_at(table) == (C62 | 0x50000));
	be64_to(table + 16, 0x60000);
	be64_to(table + 24, 2);
	l2_entry_set_copied(&ext, table, 1, true);
	CHECK(!l2_entry_at(&ext, table, 1, &e) && e.copied && e.host.v == 0x60000 && e.alloc == 2);
}

static void l1_entries_are_encoded(void)
{
	const struct geom v1 = V1(12, 9), v3 = V3(16);

	CHECK(l1_encode(&v3, (struct hoff){ 0x40000 }, true) == (C63 | 0x40000));
	CHECK(l1_encode(&v3, (struct hoff){ 0x40000 }, false) == 0x40000);
	CHECK(l1_encode(&v3, (struct hoff){ 0 }, true) == 0);
	CHECK(l1_encode(&v1, (struct hoff){ 4097 }, true) == 4097);
	CHECK(l1_is_writable(&v1, 4097) && l1_is_writable(&v3, C63 | 0x40000));
	CHECK(!l1_is_writable(&v3, 0x40000));
}

int main(void)
{
	RUN(plain_entries_of_all_versions);
	RUN(each_reserved_bit_is_damage);
	RUN(compressed_entries);
	RUN(compressed_entries_that_cannot_be);
	RUN(version_1);
	RUN(version_1_compressed);
	RUN(subclusters);
	RUN(subclusters_that_cannot_be);
	RUN(compressed_among_extended);
	RUN(second_word_counts_only_where_extended);
	RUN(l1_entries);
	RUN(l1_entries_of_version_1);
	RUN(encoding_is_the_inverse_of_decoding);
	RUN(canonical_bytes_stay);
	RUN(copied_in_bytes);
	RUN(l1_entries_are_encoded);
	return DONE();
}
