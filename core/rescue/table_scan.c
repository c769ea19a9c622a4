/* SPDX-License-Identifier: MIT */
#include "rescue/table_scan.h"

#include <errno.h>

#include "base/byteorder.h"
#include "base/range.h"
#include "base/zeros.h"
#include "format/qcow_layout.h"
#include "qcow_array.h"

enum { CHUNK = 1 << 20, LISTED_MAX = 1 << 22 };

/* Returns true if a word may be an offset in a table, and not a part of guest data. */
static bool may_be_offset(uint64_t word, uint64_t file_bytes)
{
	return !word || (!(word & ~(L1_OFFSET_MASK | L2_COPIED)) && word & L1_OFFSET_MASK &&
			 (word & L1_OFFSET_MASK) < file_bytes);
}

static bool may_be_table(const uint8_t *p, uint64_t file_bytes)
{
	uint64_t any = 0;

	if (!*p && qc_is_all_zeros(p, SECTOR)) /* as many sectors are: faster than the loop */
		return false;
	for (unsigned int i = 0; i < SECTOR; i += 8) {
		uint64_t word = be64_at(p + i);

		if (!may_be_offset(word, file_bytes))
			return false;
		any |= word;
	}
	return any;
}

static qc_err scan_chunk(struct qc_table_scan *s, const uint8_t *buf, uint64_t off, size_t n)
{
	qc_err r = 0;

	for (size_t at = 0; !r && at + SECTOR <= n; at += SECTOR) {
		if (!s->luks && off + at && !memcmp(buf + at, "LUKS\xba\xbe\0\1", 8))
			s->luks = off + at;
		if (!may_be_table(buf + at, s->file_bytes))
			continue;
		if (s->n == LISTED_MAX)
			return -EFBIG;
		r = array_reserve(&s->sector, &s->room, s->n + 1, sizeof(*s->sector));
		if (!r)
			s->sector[s->n++] = off + at;
	}
	return r;
}

/* Reports each new percent. */
static void report_scan(const struct qc_scan_progress *p, uint64_t done, uint64_t all,
			unsigned int *last)
{
	unsigned int percent = done >= all ? 100 : (unsigned int)(done / (all / 100 + 1));

	if (!p || !p->fn || percent <= *last)
		return;
	*last = percent;
	p->fn(p->arg, p->path, QC_WORK_SEARCH, percent);
}

qc_err qc_table_scan_run(struct qc_table_scan *s, struct qc_file *f,
			 const struct qc_scan_progress *progress)
{
	unsigned int percent = 0;
	AUTO_FREE uint8_t *buf = malloc(CHUNK);
	struct qc_file_stat now;
	qc_err r = buf ? qc_file_stat(f, &now) : -ENOMEM;

	*s = (struct qc_table_scan){ .file_bytes = r ? 0 : now.size };
	for (uint64_t at = 0; !r && at < now.size;) {
		struct qc_extent e;
		size_t got;

		if (qc_file_extent(f, at, &e))
			e = (struct qc_extent){ now.size - at, true };
		e.len = min_u64(e.len, now.size - at);
		if (e.data) {
			e.len = min_u64(e.len, CHUNK);
			r = qc_file_read(f, at, buf, (size_t)e.len, &got);
			if (!r)
				r = scan_chunk(s, buf, at, (size_t)e.len);
		}
		at += e.len;
		report_scan(progress, at, now.size, &percent);
	}
	report_scan(progress, 1, 1, &percent);
	return r;
}

void qc_table_scan_free(struct qc_table_scan *s)
{
	free(s->sector);
	*s = (struct qc_table_scan){ 0 };
}
