/* SPDX-License-Identifier: MIT */
#include "evidence/finding_list.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/range.h"
#include "crypto/digest.h"

enum { FINDINGS_OF_A_CODE = 10000, HASHED_MAX = 1 << 20 };

static const struct {
	const char *code, *priority, *category;
} codes[QC_CODES] = {
	[QC_CODE_BACKING_FILE] = { "BACKING-FILE", "info", "header" },
	[QC_CODE_DATA_FILE] = { "DATA-FILE", "info", "header" },
	[QC_CODE_ENCRYPTED] = { "ENCRYPTED", "info", "header" },
	[QC_CODE_SNAPSHOTS] = { "SNAPSHOTS", "info", "header" },
	[QC_CODE_VERSION_1] = { "VERSION-1", "info", "header" },
	[QC_CODE_CORRUPT_BIT] = { "CORRUPT-BIT", "high", "header" },
	[QC_CODE_DIRTY_BIT] = { "DIRTY-BIT", "low", "header" },
	[QC_CODE_UNKNOWN_FEATURE] = { "UNKNOWN-FEATURE", "high", "header" },
	[QC_CODE_UNKNOWN_EXTENSION] = { "UNKNOWN-EXTENSION", "medium", "header" },
	[QC_CODE_AUTOCLEAR_WITHOUT_EXTENSION] = { "AUTOCLEAR-WITHOUT-EXTENSION", "low", "header" },
	[QC_CODE_BACKING_MISSING] = { "BACKING-MISSING", "medium", "header" },
	[QC_CODE_TWO_NAMES] = { "TWO-NAMES", "high", "integrity" },
	[QC_CODE_TABLE_OVERLAP] = { "TABLE-OVERLAP", "high", "integrity" },
	[QC_CODE_TABLE_DAMAGED] = { "TABLE-DAMAGED", "high", "integrity" },
	[QC_CODE_ENTRY_IMPOSSIBLE] = { "ENTRY-IMPOSSIBLE", "high", "integrity" },
	[QC_CODE_ENTRY_BEHIND_END] = { "ENTRY-BEHIND-END", "high", "integrity" },
	[QC_CODE_COMPRESSED_BROKEN] = { "PACKED-BROKEN", "high", "integrity" },
	[QC_CODE_COUNT_LOW] = { "COUNT-LOW", "high", "integrity" },
	[QC_CODE_COUNT_HIGH] = { "COUNT-HIGH", "low", "integrity" },
	[QC_CODE_COPIED_WRONG] = { "COPIED-WRONG", "medium", "integrity" },
	[QC_CODE_LOST_MAPPING] = { "LOST-MAPPING", "high", "integrity" },
	[QC_CODE_PUNCHED_NAMED] = { "PUNCHED-NAMED", "high", "integrity" },
	[QC_CODE_HEADER_SLACK] = { "HEADER-SLACK", "medium", "residue" },
	[QC_CODE_NAME_SLACK] = { "NAME-SLACK", "medium", "residue" },
	[QC_CODE_STRUCTURE_SLACK] = { "STRUCTURE-SLACK", "low", "residue" },
	[QC_CODE_COMPRESSED_RESIDUE] = { "PACKED-RESIDUE", "medium", "residue" },
	[QC_CODE_FILE_LONGER] = { "FILE-LONGER", "low", "residue" },
	[QC_CODE_UNNAMED_DATA] = { "UNNAMED-DATA", "medium", "residue" },
	[QC_CODE_UNNAMED_TABLE] = { "UNNAMED-TABLE", "medium", "residue" },
	[QC_CODE_ZEROED_WITH_DATA] = { "ZEROED-WITH-DATA", "medium", "residue" },
	[QC_CODE_DELETED_SNAPSHOT] = { "DELETED-SNAPSHOT", "medium", "residue" },
	[QC_CODE_OLD_L1] = { "OLD-L1", "medium", "residue" },
	[QC_CODE_BASE_THEN_UNKNOWN] = { "BASE-THEN-UNKNOWN", "low", "residue" },
	[QC_CODE_PUNCHED] = { "PUNCHED", "low", "residue" },
	[QC_CODE_DATES_OUT_OF_ORDER] = { "DATES-OUT-OF-ORDER", "low", "history" },
	[QC_CODE_DATE_IN_FUTURE] = { "DATE-IN-FUTURE", "low", "history" },
	[QC_CODE_ID_GAP] = { "ID-GAP", "low", "history" },
	[QC_CODE_BITMAP_IN_USE] = { "BITMAP-IN-USE", "low", "bitmaps" },
	[QC_CODE_BITMAP_STALE] = { "BITMAP-STALE", "low", "bitmaps" },
};

/* ---- one finding ---------------------------------------------------------------- */

static json_t *make_evidence(struct qc_finding_list *l, uint64_t host, uint64_t len)
{
	uint64_t n = range_clamp(host, min_u64(len, HASHED_MAX), l->t->file_bytes);
	AUTO_FREE uint8_t *buf = malloc(n + 1);
	char sum[QC_DIGEST_TEXT];
	size_t got;

	if (!buf || qc_file_read(l->img->layer[0]->file, host, buf, (size_t)n, &got))
		return json_pack("[{s:I, s:I, s:n}]", "image-offset", (json_int_t)host, "length",
				 (json_int_t)len, "sha256");
	qc_digest_text(buf, (size_t)n, sum);
	return json_pack("[{s:I, s:I, s:I, s:s}]", "image-offset", (json_int_t)host, "length",
			 (json_int_t)len, "hashed", (json_int_t)n, "sha256", sum);
}

static json_t *make_finding(struct qc_finding_list *l, enum qc_finding_code code, uint64_t host,
			    uint64_t len, const char *note)
{
	json_t *text = json_string(note);
	char name[60];

	snprintf(name, sizeof(name), "QCOW-%s", codes[code].code);
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}", "code", name, "priority",
			 codes[code].priority, "confidence", "certain", "category",
			 codes[code].category, "note", text ? text : json_string("(no UTF-8)"),
			 "evidence", len ? make_evidence(l, host, len) : json_array());
}

json_t *qc_finding_list_add(struct qc_finding_list *l, enum qc_finding_code code, uint64_t host,
			    uint64_t len, const char *fmt, ...)
{
	char note[400];
	json_t *f;
	va_list ap;

	if (l->count[code]++ >= FINDINGS_OF_A_CODE) {
		l->left_out++;
		return NULL;
	}
	va_start(ap, fmt);
	vsnprintf(note, sizeof(note), fmt, ap);
	va_end(ap);
	qc_text_clean(note);
	f = make_finding(l, code, host, len, note);
	if (f && json_array_append_new(code < QC_CODE_CORRUPT_BIT ? l->info : l->findings, f))
		return NULL;
	return f;
}
