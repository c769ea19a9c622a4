/* SPDX-License-Identifier: MIT */
#include "base/thread_number.h"

#include <limits.h>
#include <stdatomic.h>

_Thread_local unsigned int qc_thread_number_plus_one;

void qc_thread_number_set(void)
{
	static atomic_uint threads;

	qc_thread_number_plus_one = atomic_fetch_add(&threads, 1) % INT_MAX + 1;
}
