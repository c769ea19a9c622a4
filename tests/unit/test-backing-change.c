/* SPDX-License-Identifier: MIT */
/* A header that gets another backing file has the old one or the new one at each moment. */
#include "format/backing_change.h"

#include <errno.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/range.h"
#include "format/header.h"
#include "tap.h"

enum { CLUSTER = 4096 };

static uint8_t bytes[CLUSTER];
static struct qc_header head;
static struct qc_reason why;

/* ---- headers ---------------------------------------------------------------- */

static size_t add_extension(size_t at, uint32_t magic, const void *data, size_t len)
{
	be32_to(bytes + at, magic);
	be32_to(bytes + at + 4, (uint32_t)len);
	memcpy(bytes + at + 8, data, len);
	return at + 8 + round_up(len, 8);
}

/* @names: entries of the feature name table. */
static void make(uint32_t version, const char *backing, const char *format, size_t names,
		 const char *data_file, bool marked)
{
	static const uint8_t table[20 * FEATURE_NAME_BYTES] = { 0, 1 };
	size_t at = version == 2 ? HEAD_V2_BYTES : 112;

	memset(bytes, 0, sizeof(bytes));
	be32_to(bytes + HEAD_MAGIC, QCOW_MAGIC);
	be32_to(bytes + HEAD_VERSION, version);
	be32_to(bytes + HEAD_CLUSTER_BITS, 12);
	be64_to(bytes + HEAD_SIZE, MIB);
	be32_to(bytes + HEAD_L1_ENTRIES, 1);
	be64_to(bytes + HEAD_L1_OFFSET, 3 * CLUSTER);
	be64_to(bytes + HEAD_REFTABLE_OFFSET, CLUSTER);
	be32_to(bytes + HEAD_REFTABLE_CLUSTERS, 1);
	if (version == 3) {
		be32_to(bytes + HEAD_REFCOUNT_ORDER, 4);
		be32_to(bytes + HEAD_LENGTH, 112);
	}
	if (*format)
		at = add_extension(at, EXT_BACKING_FORMAT, format, strlen(format));
	if (*data_file)
		at = add_extension(at, 0x12345678, data_file, strlen(data_file));
	if (names)
		at = add_extension(at, EXT_FEATURE_NAMES, table, names * FEATURE_NAME_BYTES);
	if (marked)
		at += 8;
	if (*backing) {
		be64_to(bytes + HEAD_BACKING_OFFSET, at);
		be32_to(bytes + HEAD_BACKING_LEN, (uint32_t)strlen(backing));
		memcpy(bytes + at, backing, strlen(backing));
	}
}

/* Returns true if the header can be read, and has this backing file. */
static bool has_backing(const char *name, const char *format)
{
	size_t need;

	if (qc_header_parse(bytes, sizeof(bytes), &head, &need, &why)) {
		printf("# %s\n", why.text);
		return false;
	}
	return head.backing_len == strlen(name) &&
	       !memcmp(bytes + head.backing_offset, name, strlen(name)) &&
	       (!*name || !strcmp(head.backing_format, format));
}

/* ---- tests -------------------------------------------------------------------- */

static const char *name_of(size_t len)
{
	static char text[2][2000];
	static int which;

	which = !which;
	memset(text[which], 'a' + (int)(len % 26), len);
	text[which][len] = 0;
	return text[which];
}

static qc_err change(const char *name, const char *format)
{
	struct qc_backing_change c;
	struct qc_header old;
	char was[1024] = "", was_format[16];
	size_t need;
	qc_err r = qc_header_parse(bytes, sizeof(bytes), &old, &need, &why);

	CHECK(!r);
	memcpy(was, bytes + old.backing_offset, old.backing_len);
	strcpy(was_format, old.backing_format);
	r = qc_backing_change_plan(&old, bytes, sizeof(bytes), name, format, &c, &why);
	if (r)
		return r;
	CHECK(!c.append && c.from >= 8 && c.end <= SECTOR);
	if (c.name_offset) {
		CHECK(c.name_offset + strlen(name) <= CLUSTER);
		memcpy(bytes + c.name_offset, name, strlen(name));
		CHECK(has_backing(was, was_format));
	}
	memcpy(bytes + c.from, c.sector + c.from, c.end - c.from);
	return 0;
}

static void every_header(void)
{
	static const size_t lengths[] = { 0, 1, 7, 40, 200, 420, 900, 1023 };
	static const char *const formats[] = { "", "raw", "qcow2", "twelve-bytes" };

	for (uint32_t v = 2; v <= 3; v++)
		for (size_t names = 0; names < 10; names += 3)
			for (size_t old = 0; old < 8; old++)
				for (size_t f = 0; f < 4; f++)
					for (size_t i = 0; i < 8; i++)
						for (size_t g = 0; g < 4; g++) {
							const char *to = name_of(lengths[i]);
							qc_err r;

							make(v, name_of(lengths[old]), formats[f], names, "",
							     names != 3);
							r = change(to, formats[g]);
							/* Without an end marker in the first sector
							 * the name cannot move. */
							if (r == -ENAMETOOLONG && names == 3)
								continue;
							CHECK(r ? g == 3 && f != 3 : has_backing(to, formats[g]));
						}
}

/* From one to the next, in one header. */
static void again_and_again(void)
{
	uint64_t seed = 1;

	make(3, "base", "qcow2", 7, "", true);
	for (int i = 0; i < 500; i++) {
		const char *name = name_of(seed % 1000), *format = seed & 1024 ? "raw" : "qcow2";

		CHECK(!change(name, format) && has_backing(name, format));
		CHECK(!change("", "") && has_backing("", ""));
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		seed ^= seed >> 33;
	}
}

static void refusals(void)
{
	make(3, "base", "raw", 3, "", true);
	CHECK(change(name_of(1024), "raw") == -EINVAL);
	CHECK(change("base", "a-name-that-is-longer") == -EINVAL);
	CHECK(has_backing("base", "raw"));
	make(3, "base", "", 0, name_of(500), true); /* no room, and no table of names */
	CHECK(change("other", "raw") == -EOPNOTSUPP && has_backing("base", ""));
	CHECK(!change("other", "") && has_backing("other", ""));
}

int main(void)
{
	RUN(every_header);
	RUN(again_and_again);
	RUN(refusals);
	return DONE();
}
