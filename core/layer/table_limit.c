/* SPDX-License-Identifier: MIT */
#include "layer/table_limit.h"

#include <errno.h>
#include <stdlib.h>

#include "base/byteorder.h"
#include "base/range.h"
#include "base/util.h"
#include "format/l2_entry.h"

enum { REPEATED_MAX = 16 }; /* in addition to each table twice */

/* Counts the different ones of @n offsets, and sorts them. */
static uint64_t count_different(uint64_t *offset, uint64_t n)
{
	uint64_t different = n > 0;

	qsort(offset, n, sizeof(*offset), compare_u64);
	for (uint64_t i = 1; i < n; i++)
		different += offset[i] != offset[i - 1];
	return different;
}

qc_err qc_table_limit_find(const struct geom *g, uint64_t file_end, const uint8_t *l1,
			   uint64_t entries, struct qc_table_limit *out)
{
	AUTO_FREE uint64_t *offset = malloc(entries * sizeof(*offset) + 1);
	bool ascending = true;
	uint64_t n = 0;

	if (!offset)
		return -ENOMEM;
	for (uint64_t i = 0; i < entries; i++) {
		struct hoff table;
		uint64_t raw = be64_at(l1 + 8 * i);

		if (!raw)
			continue;
		(void)l1_decode(g, raw, &table); /* an invalid entry counts, too */
		ascending = ascending && (!n || table.v > offset[n - 1]);
		offset[n++] = table.v;
	}
	out->named = n;
	out->most = file_end / geom_l2_bytes(g);
	if (!ascending) /* most images need no sort */
		out->most = min_u64(out->most, 2 * count_different(offset, n) + REPEATED_MAX);
	return 0;
}
