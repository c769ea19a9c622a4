/* SPDX-License-Identifier: MIT */
#include "base/lock.h"

#ifdef QC_AUDIT
static _Thread_local unsigned int ranks_held;

void qc_rank_enter(enum qc_rank rank)
{
	assert(ranks_held < 1u << rank); /* else: a lock of this or a higher rank is held */
	ranks_held |= 1u << rank;
}

void qc_rank_leave(enum qc_rank rank)
{
	assert(ranks_held & 1u << rank);
	ranks_held &= ~(1u << rank);
}
#endif
