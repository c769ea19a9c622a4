/* SPDX-License-Identifier: MIT */
/* The directory of bitmaps: each number at the last value that is taken and the first
 * that is not. */
#include "format/bitmap_directory.h"

#include <errno.h>
#include <string.h>

#include "memfile.h"
#include "tap.h"

enum { CLUSTER = 65536, DIR_AT = CLUSTER };

static uint8_t dir[4096];
static struct qc_bitmap found[8];
static uint32_t got;

static void put(size_t at, unsigned int width, uint64_t v)
{
	for (unsigned int i = 0; i < width; i++)
		dir[at + i] = (uint8_t)(v >> 8 * (width - 1 - i));
}

/* Returns where the next one begins. */
static size_t entry(size_t at, const char *name, uint32_t extra)
{
	size_t len = strlen(name);

	put(at, 8, 5 * CLUSTER);
	put(at + 8, 4, 1);
	put(at + 12, 4, 2);
	put(at + 16, 1, 1);
	put(at + 17, 1, 16);
	put(at + 18, 2, len);
	put(at + 20, 4, extra);
	memcpy(dir + at + 24 + extra, name, len);
	return at + (24 + extra + len + 7) / 8 * 8;
}

static qc_err parse(uint64_t bytes, uint32_t n)
{
	return qc_bitmaps_parse(dir, bytes, CLUSTER, n, found, &got);
}

static void entries(void)
{
	size_t end = entry(entry(0, "first", 0), "second", 16);

	memset(found, 0xff, sizeof(found));
	put(12, 4, 3);
	CHECK(!parse(end, 2) && got == 2);
	CHECK(found[0].in_use && found[0].is_auto && found[0].granularity == 65536);
	CHECK(found[0].table_offset == 5 * CLUSTER && found[0].table_entries == 1);
	CHECK(found[0].name_len == 5 && !memcmp(found[0].name, "first", 5));
	CHECK(!found[1].in_use && found[1].is_auto);
	CHECK(found[1].name_len == 6 && !memcmp(found[1].name, "second", 6));
	CHECK(!parse(0, 0) && got == 0);
}

static void a_directory_is_as_long_as_its_entries(void)
{
	size_t one = entry(0, "first", 0), end = entry(one, "second", 0);

	for (size_t bytes = 0; bytes < end; bytes++) {
		CHECK(parse(bytes, 2) == -EINVAL);
		CHECK(got == (bytes >= 29 ? 1u : 0) + (bytes >= 62)); /* the padding may be missing */
	}
	CHECK(parse(end + 8, 2) == -EINVAL && parse(end, 1) == -EINVAL);
	CHECK(parse(end, 3) == -EINVAL && got == 2);
	CHECK(!parse(end, 2));
}

static void numbers_of_an_entry(void)
{
	static const struct {
		size_t at;
		unsigned int width;
		uint64_t good, bad;
	} limits[] = {
		{ 0, 8, CLUSTER, 0 },
		{ 0, 8, UINT64_C(0x00ffffffffff0000), CLUSTER + 512 },
		{ 8, 4, 1, 0 },
		{ 8, 4, 0x8000000, 0x8000001 },
		{ 16, 1, 1, 2 },
		{ 17, 1, 63, 64 },
		{ 20, 4, 0, UINT32_MAX },
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		size_t end = entry(0, "name", 0);

		put(limits[i].at, limits[i].width, limits[i].good);
		CHECK(!parse(end, 1));
		put(limits[i].at, limits[i].width, limits[i].bad);
		CHECK(parse(end, 1) == -EINVAL && got == 0);
	}
}

static void names(void)
{
	static char name[1025];
	size_t end;

	memset(name, 'n', 1023);
	end = entry(0, name, 0);
	CHECK(!parse(end, 1) && found[0].name_len == 1023);
	name[1023] = 'n';
	end = entry(0, name, 0);
	CHECK(parse(end, 1) == -EINVAL);
	end = entry(0, "", 0);
	CHECK(parse(end, 1) == -EINVAL);
}

/* ---- out of a file ------------------------------------------------------------ */

static uint8_t bytes[2 * CLUSTER];
static struct memfile file;

static qc_err read_dir(uint64_t len, uint32_t n, struct qc_bitmaps *out)
{
	struct qc_header h = { .geom.cluster_bits = 16, .bitmaps = n, .bitmaps_bytes = len,
			       .bitmaps_offset = DIR_AT };

	memcpy(bytes + DIR_AT, dir, sizeof(dir));
	memfile_init(&file, bytes, sizeof(bytes));
	return qc_bitmaps_read(&file.file, &h, out);
}

static void a_nul_stands_behind_each_name(void)
{
	size_t end = entry(entry(0, "exactly8", 0), "the other", 0);
	struct qc_bitmaps b;

	CHECK(!read_dir(end, 2, &b) && b.n == 2);
	CHECK(!strcmp(b.at[0].name, "exactly8") && !strcmp(b.at[1].name, "the other"));
	qc_bitmaps_free(&b);
	end = entry(0, "exactly8", 0);
	CHECK(!read_dir(end, 1, &b) && !strcmp(b.at[0].name, "exactly8"));
	qc_bitmaps_free(&b);
	CHECK(!b.at && !b.n);
}

static void what_cannot_be_read(void)
{
	size_t end = entry(0, "first", 0);
	struct qc_bitmaps b;

	CHECK(read_dir(end, 2, &b) == -EINVAL && b.n == 1 && !strcmp(b.at[0].name, "first"));
	qc_bitmaps_free(&b);
	CHECK(read_dir(CLUSTER + 1, 1, &b) == -EIO && b.n == 0);
	qc_bitmaps_free(&b);
	CHECK(read_dir((1 << 20) + 1, 1, &b) == -EFBIG && read_dir(end, 65536, &b) == -EFBIG);
	qc_bitmaps_free(&b);
	CHECK(!read_dir(end, 0, &b) && b.n == 0);
}

int main(void)
{
	RUN(entries);
	RUN(a_directory_is_as_long_as_its_entries);
	RUN(numbers_of_an_entry);
	RUN(names);
	RUN(a_nul_stands_behind_each_name);
	RUN(what_cannot_be_read);
	return DONE();
}
