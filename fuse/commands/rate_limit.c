/* SPDX-License-Identifier: MIT */
#include "commands/rate_limit.h"

#include <time.h>

#include "commands/interrupt.h"

enum { SECOND_NS = 1000 * 1000 * 1000, STEP_NS = 50 * 1000 * 1000 };

static uint64_t read_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

bool rate_limit_progress(void *arg, uint64_t done, uint64_t total)
{
	struct rate_limit *limit = arg;
	const struct timespec step = { .tv_nsec = STEP_NS };

	if (limit->rate && !limit->began_ns)
		limit->began_ns = read_clock();
	while (limit->rate && !interrupt_has_come() &&
	       (double)(read_clock() - limit->began_ns) * (double)limit->rate < (double)done * SECOND_NS)
		nanosleep(&step, NULL);
	return interrupt_progress(limit->command, done, total);
}
