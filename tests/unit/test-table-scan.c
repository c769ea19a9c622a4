/* SPDX-License-Identifier: MIT */
/* Sectors that look like tables are listed, guest data is not. */
#include "rescue/table_scan.h"

#include "base/byteorder.h"
#include "memfile.h"
#include "../tap.h"

enum { SECTORS = 4096, BYTES = SECTORS * 512 };

static uint8_t bytes[BYTES + 100];
static struct memfile m;

static struct qc_table_scan scan(void)
{
	struct qc_table_scan s;

	memfile_init(&m, bytes, sizeof(bytes));
	CHECK(!qc_table_scan_run(&s, &m.file, NULL));
	return s;
}

static void tables_are_listed(void)
{
	struct qc_table_scan s;

	memset(bytes, 0, sizeof(bytes));
	be64_to(bytes + 512, 0x8000000000010000); /* an entry with COPIED */
	be64_to(bytes + 1024 + 504, 0x10200);
	be64_to(bytes + 1536, UINT64_C(1) << 40); /* behind the end */
	be64_to(bytes + 2048, 0x10001);		  /* no sector */
	be64_to(bytes + 2560, 0x4000000000010000);
	memset(bytes + 3072, 'x', 512);
	memcpy(bytes + 4096, "LUKS\xba\xbe\0\1", 8);
	be64_to(bytes + BYTES - 512, 0x200);
	s = scan();
	CHECK(s.n == 3 && s.sector[0] == 512 && s.sector[1] == 1024 && s.sector[2] == BYTES - 512);
	CHECK(s.luks == 4096 && s.file_bytes == sizeof(bytes));
	qc_table_scan_free(&s);
}

static void an_unreadable_file_fails(void)
{
	struct qc_table_scan s;

	memfile_init(&m, bytes, sizeof(bytes));
	m.fail = -1;
	CHECK(qc_table_scan_run(&s, &m.file, NULL) == -EIO);
	qc_table_scan_free(&s);
}

int main(void)
{
	RUN(tables_are_listed);
	RUN(an_unreadable_file_fails);
	return DONE();
}
