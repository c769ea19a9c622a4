/* SPDX-License-Identifier: MIT */
/*
 * fuzz-scan.c - the input is an image file whose header is lost: it is searched for tables.
 *
 * A header that is found locates tables inside of the file.
 */
#include "fuzz.h"

#include "rescue/find_header.h"

enum { BYTES_MAX = 256 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qc_budget budget = { .limit = 1 << 20 };
	struct memory_file m = memory_file(data, size, 0);
	struct qc_reason why = { 0 };
	struct qc_header h;
	qc_err r;

	if (size > BYTES_MAX)
		return 0;
	r = qc_find_header(&m.file, &budget, 0, NULL, &h, &why);
	MUST(r <= 0 && *why.text);
	must_be_plain(why.text, sizeof(why.text));
	if (r)
		return 0;
	MUST(h.geom.cluster_bits >= 9 && h.geom.cluster_bits <= 21);
	MUST(range_inside(h.geom.l1_offset, h.geom.l1_entries * UINT64_C(8),
			  round_up(size, geom_cluster(&h.geom))));
	MUST(geom_l1_need(&h.geom, h.size) <= h.geom.l1_entries);
	return 0;
}
