/* SPDX-License-Identifier: MIT */
/* A mapfile of ddrescue is read as ddrescue reads it, and what it could not read fails. */
#include "io/unread_areas.h"

#include <string.h>

#include "memfile.h"
#include "../tap.h"

static struct qc_unread_areas *areas;

static bool parses(const char *text)
{
	struct qc_reason why;

	qc_unread_areas_free(areas);
	areas = NULL;
	return !qc_unread_areas_parse(text, strlen(text), &areas, &why);
}

static bool unread_at(uint64_t off, uint64_t wanted_len)
{
	uint64_t len;
	bool unread = qc_unread_areas_find(areas, off, &len);

	CHECK(len == wanted_len);
	return unread;
}

static void finished_areas_are_read(void)
{
	CHECK(parses("# Mapfile.\n# current_pos\n0x00001000     ?               1\n"
		     "0x00000000  0x00001000  +\n0x00001000  0x00000200  -\n"
		     "0x00001200  512  +\n5120 512 +\n0x1600 0x200 /\n"));
	CHECK(!unread_at(0, 0x1000));
	CHECK(!unread_at(0xfff, 1));
	CHECK(unread_at(0x1000, 0x200));
	CHECK(!unread_at(0x1200, 0x400)); /* two that touch are one */
	CHECK(unread_at(0x1600, UINT64_MAX - 0x1600)); /* nothing is known of the rest */
}

static void all_else_is_no_mapfile(void)
{
	static const char *const bad[] = {
		"", "# only a comment\n", "text\n", "0x0 + 1\nx\n", "0x0 +\n0x0 0x10\n", "0x0 +\n0x0 0x10 y\n",
		"0x0 +\n0x0 0x10 ++\n", "0x0 +\n0x10 0x10 +\n0x0 0x10 +\n", "0x0 +\n0x0 0x20 +\n0x10 0x10 +\n",
		"0x0 +\n0xffffffffffffffff 2 +\n", "0x0 +\n0x1ffffffffffffffff 2 +\n", "0 0 + \n", "0x0 +\n0x 1 +\n",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(!parses(bad[i]));
	CHECK(parses("0x0 +\r\n\t0 512 +\r\n"));
	CHECK(parses("0 ? 1\n0 512 ?"));
	CHECK(parses("0 F\n0 0 +\n"));
	CHECK(unread_at(0, UINT64_MAX));
}

static uint8_t bytes[2048];

static void reads_of_unread_areas_fail(void)
{
	struct memfile m;
	struct qc_file *f = &m.file, *filled;
	uint8_t buf[4096];
	size_t got;

	memset(bytes, 7, sizeof(bytes));
	memfile_init(&m, bytes, sizeof(bytes));
	CHECK(parses("0 ?\n0 512 +\n512 512 -\n1024 1024 +\n"));
	CHECK(!qc_unread_areas_mask(&f, areas));
	CHECK(!qc_file_read(f, 0, buf, 512, &got) && got == 512 && buf[511] == 7);
	CHECK(qc_file_read(f, 0, buf, 513, &got) == -EIO);
	CHECK(qc_file_read(f, 1023, buf, 1, &got) == -EIO);
	/* Behind the end of the file there are zeros, in the map or not. */
	CHECK(!qc_file_read(f, 1024, buf, 2048, &got) && got == 1024 && buf[1023] == 7 && !buf[1024]);
	CHECK(!qc_file_read(f, 4096, buf, 512, &got) && got == 0);
	CHECK(!qc_unread_areas_fill(f, &filled));
	CHECK(!qc_file_read(filled, 0, buf, 2048, &got) && got == 2048);
	CHECK(buf[511] == 7 && !buf[512] && !buf[1023] && buf[1024] == 7);
	qc_file_close(filled);
	qc_file_close(f);
}

int main(void)
{
	RUN(finished_areas_are_read);
	RUN(all_else_is_no_mapfile);
	RUN(reads_of_unread_areas_fail);
	qc_unread_areas_free(areas);
	return DONE();
}
