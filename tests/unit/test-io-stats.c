/* SPDX-License-Identifier: MIT */
/* Requests and bytes of all threads are added up. */
#include "layer/io_stats.h"

#include "tap.h"
#include "threads.h"

static struct qc_inflight inflight;
static struct qc_io_stats stats;

static void *run_requests(void *unused)
{
	struct qc_inflight_token token = qc_inflight_begin(&inflight);

	(void)unused;
	qc_io_stats_count_read(&stats, token, 100);
	qc_io_stats_count_read(&stats, token, 0);
	qc_io_stats_count_write(&stats, token, 7);
	qc_inflight_end(&inflight, token);
	return NULL;
}

static void requests_of_all_threads_are_counted(void)
{
	struct qc_io_counters c;

	qc_inflight_init(&inflight);
	qc_io_stats_sum(&stats, &c);
	CHECK(!c.reads && !c.read_bytes && !c.writes && !c.written_bytes);
	for (int i = 0; i < 2 * QC_INFLIGHT_SHARDS; i++)
		end(start(run_requests, NULL));
	qc_io_stats_sum(&stats, &c);
	CHECK(c.reads == 4 * QC_INFLIGHT_SHARDS && c.read_bytes == 200 * QC_INFLIGHT_SHARDS);
	CHECK(c.writes == 2 * QC_INFLIGHT_SHARDS && c.written_bytes == 14 * QC_INFLIGHT_SHARDS);
	qc_inflight_destroy(&inflight);
}

int main(void)
{
	RUN(requests_of_all_threads_are_counted);
	return DONE();
}
