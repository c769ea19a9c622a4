/* SPDX-License-Identifier: MIT */
/* Runs of grades cover a disk, and a bad run never becomes a good one. */
#include "rescue/grade_map.h"

#include "../tap.h"

static enum qc_grade_reason reason_at(const struct qc_grade_map *m, uint64_t off, uint64_t wanted)
{
	uint64_t len;
	enum qc_grade_reason reason = qc_grade_map_find(m, off, &len);

	CHECK(len == wanted);
	return reason;
}

static void equal_neighbours_are_one_run(void)
{
	struct qc_grade_map *m = calloc(1, sizeof(*m));

	CHECK(reason_at(m, 5, UINT64_MAX - 5) == QC_REASON_NONE);
	CHECK(!qc_grade_map_append(m, 100, QC_REASON_NONE));
	CHECK(!qc_grade_map_append(m, 0, QC_REASON_L1_ENTRY));
	CHECK(!qc_grade_map_append(m, 100, QC_REASON_NONE));
	CHECK(!qc_grade_map_append(m, 50, QC_REASON_L2_ENTRY));
	CHECK(!qc_grade_map_append(m, 50, QC_REASON_BEHIND_END));
	CHECK(m->n == 3 && m->end == 300);
	CHECK(reason_at(m, 0, 200) == QC_REASON_NONE);
	CHECK(reason_at(m, 199, 1) == QC_REASON_NONE);
	CHECK(reason_at(m, 200, 50) == QC_REASON_L2_ENTRY);
	CHECK(reason_at(m, 299, 1) == QC_REASON_BEHIND_END);
	CHECK(reason_at(m, 300, UINT64_MAX - 300) == QC_REASON_NONE);
	qc_grade_map_free(m);
	qc_grade_map_free(NULL);
}

static void too_many_runs_become_doubtful(void)
{
	enum { RUNS = 100000, LIMIT = 1000 };
	struct qc_grade_map *m = calloc(1, sizeof(*m));
	uint64_t len;

	m->limit = LIMIT;
	for (uint64_t i = 0; i < RUNS; i++) {
		CHECK(!qc_grade_map_append(m, 512, i % 2 ? QC_REASON_L2_ENTRY : QC_REASON_NONE));
		CHECK(m->n <= LIMIT);
	}
	CHECK(!qc_grade_map_append(m, UINT64_C(1) << 40, QC_REASON_NONE));
	CHECK(m->end == RUNS * UINT64_C(512) + (UINT64_C(1) << 40));
	for (uint64_t i = 1; i < RUNS; i += 2)
		CHECK(qc_grade_map_grade(qc_grade_map_find(m, i * 512, &len)) != QC_GRADE_GOOD);
	CHECK(qc_grade_map_find(m, m->end - 1, &len) == QC_REASON_NONE && len == 1);
	qc_grade_map_free(m);
}

static void each_reason_has_words(void)
{
	for (unsigned int i = 0; i < QC_REASONS; i++)
		CHECK(*qc_grade_map_text((enum qc_grade_reason)i));
	CHECK(qc_grade_map_grade(QC_REASON_NONE) == QC_GRADE_GOOD);
	CHECK(qc_grade_map_grade(QC_REASON_UNREAD_TABLE) == QC_GRADE_UNREAD);
}

int main(void)
{
	RUN(equal_neighbours_are_one_run);
	RUN(too_many_runs_become_doubtful);
	RUN(each_reason_has_words);
	return DONE();
}
