/* SPDX-License-Identifier: MIT */
#include "rescue/grade_map.h"

#include "qcow_array.h"

static const struct {
	enum qc_grade grade;
	const char *text;
} reasons[QC_REASONS] = {
	[QC_REASON_NONE] = { QC_GRADE_GOOD, "good" },
	[QC_REASON_ABSENT_UNPROVED] = { QC_GRADE_DOUBTFUL,
		"nothing is mapped there, but a table may be missing" },
	[QC_REASON_REFCOUNT_DIFFERS] = { QC_GRADE_DOUBTFUL,
		"the refcount of its cluster is not the number of its references" },
	[QC_REASON_TABLE_DIFFERS] = { QC_GRADE_DOUBTFUL,
		"the refcount of its table is not the number of its references" },
	[QC_REASON_TABLE_HAS_DAMAGE] = { QC_GRADE_DOUBTFUL,
		"its table has an impossible entry elsewhere" },
	[QC_REASON_ZERO_OVER_DATA] = { QC_GRADE_DOUBTFUL,
		"reads as zeros, and old bytes are still in its cluster" },
	[QC_REASON_TABLE_UNPROVED] = { QC_GRADE_DOUBTFUL,
		"its table was found by content, and the refcounts do not prove that" },
	[QC_REASON_MAYBE_CUT] = { QC_GRADE_DOUBTFUL, "behind the end of the file, in its last cluster" },
	[QC_REASON_TOO_MANY_RUNS] = { QC_GRADE_DOUBTFUL,
		"good and bad in pieces too small to be told apart (cache-size is the limit)" },
	[QC_REASON_SHARED_NOW] = { QC_GRADE_DOUBTFUL,
		"the disk or a snapshot has it at the same offset, perhaps with newer bytes" },
	[QC_REASON_CLAIMED_TWICE] = { QC_GRADE_DOUBTFUL,
		"another deleted table references it, too, or this one twice" },
	[QC_REASON_BASE_UNKNOWN] = { QC_GRADE_DOUBTFUL,
		"from the backing file as it is now; what it was then is not known" },
	[QC_REASON_BACKING_MISSING] = { QC_GRADE_ELSEWHERE, "in a backing file that is missing" },
	[QC_REASON_UNREAD_DATA] = { QC_GRADE_UNREAD, "the image file cannot be read there" },
	[QC_REASON_UNREAD_TABLE] = { QC_GRADE_UNREAD, "its table cannot be read" },
	[QC_REASON_L1_ENTRY] = { QC_GRADE_LOST, "impossible L1 entry" },
	[QC_REASON_L2_ENTRY] = { QC_GRADE_LOST, "impossible L2 entry" },
	[QC_REASON_NO_L1_ENTRY] = { QC_GRADE_LOST, "the L1 table is too short" },
	[QC_REASON_ABSENT_IN_DAMAGED_TABLE] = { QC_GRADE_LOST, "no entry in a damaged table" },
	[QC_REASON_BEHIND_END] = { QC_GRADE_LOST, "behind the end of the file" },
	[QC_REASON_IS_METADATA] = { QC_GRADE_LOST, "its cluster is also a table" },
	[QC_REASON_NOT_DECOMPRESSED] = { QC_GRADE_LOST, "cannot be decompressed" },
	[QC_REASON_TOO_MANY_TABLES] = { QC_GRADE_LOST, "more L2 tables than the file has room for" },
	[QC_REASON_REUSED] = { QC_GRADE_LOST, "its cluster, or that of its table, is in use again" },
	[QC_REASON_PUNCHED] = { QC_GRADE_LOST,
		"its cluster, or that of its table, is a hole of the file system" },
	[QC_REASON_L2_TABLE_LOST] = { QC_GRADE_LOST,
		"the L1 table is empty, and nothing tells which of the L2 tables was there" },
};

const char *qc_grade_map_text(enum qc_grade_reason reason)
{
	return reasons[reason].text;
}

enum qc_grade qc_grade_map_grade(enum qc_grade_reason reason)
{
	return reasons[reason].grade;
}

static void append_run(struct qc_grade_map *m, uint64_t start, enum qc_grade_reason reason)
{
	if (!m->n || m->run[m->n - 1].reason != reason)
		m->run[m->n++] = (struct qc_grade_run){ start, reason };
}

/* Joins runs that are shorter than @least to doubtful ones. */
static void join_short_runs(struct qc_grade_map *m, uint64_t least)
{
	size_t n = m->n;

	m->n = 0;
	for (size_t i = 0; i < n; i++) {
		struct qc_grade_run run = m->run[i];
		uint64_t end = i + 1 < n ? m->run[i + 1].start : m->end;

		append_run(m, run.start, end - run.start < least ? QC_REASON_TOO_MANY_RUNS : run.reason);
	}
}

qc_err qc_grade_map_append(struct qc_grade_map *m, uint64_t len, enum qc_grade_reason reason)
{
	qc_err r;

	if (!len)
		return 0;
	r = array_reserve(&m->run, &m->room, m->n + 1, sizeof(*m->run));
	if (r)
		return r;
	append_run(m, m->end, reason);
	m->end += len;
	if (!m->limit || m->n <= m->limit)
		return 0;
	for (uint64_t least = 1024; m->n > m->limit / 2 && least; least *= 2)
		join_short_runs(m, least);
	return 0;
}

void qc_grade_map_free(struct qc_grade_map *m)
{
	if (m)
		free(m->run);
	free(m);
}

enum qc_grade_reason qc_grade_map_find(const struct qc_grade_map *m, uint64_t off, uint64_t *len)
{
	size_t low = 0, high = m->n;

	if (off >= m->end) {
		*len = UINT64_MAX - off;
		return QC_REASON_NONE;
	}
	while (high - low > 1) { /* the last run that begins at or before the offset */
		size_t mid = low + (high - low) / 2;

		if (m->run[mid].start <= off)
			low = mid;
		else
			high = mid;
	}
	*len = (low + 1 < m->n ? m->run[low + 1].start : m->end) - off;
	return m->run[low].reason;
}
