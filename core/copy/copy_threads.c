/* SPDX-License-Identifier: MIT */
#include "copy/copy_threads.h"

#include <pthread.h>
#include <unistd.h>

unsigned int qc_copy_threads_for_processors(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n > COPY_THREADS_MAX ? COPY_THREADS_MAX :
	       n > COPY_THREADS_DEFAULT ? (unsigned int)n : COPY_THREADS_DEFAULT;
}

void qc_copy_threads_run(unsigned int n, void *(*run)(void *arg), void *arg)
{
	pthread_t thread[COPY_THREADS_MAX];
	unsigned int started = 0;

	while (started + 1 < n && started + 1 < COPY_THREADS_MAX &&
	       !pthread_create(&thread[started], NULL, run, arg))
		started++;
	run(arg);
	while (started > 0)
		pthread_join(thread[--started], NULL);
}
