/* SPDX-License-Identifier: MIT */
#include "util/preload.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

/* Loads the unwinder; other C libraries than glibc have it built in.  It stays loaded. */
static int load_unwinder(void)
{
#ifdef __GLIBC__
	return dlopen("libgcc_s.so.1", RTLD_LAZY) ? 0 : -ELIBACC;
#else
	return 0;
#endif
}

static void *sleep_until_cancelled(void *unused)
{
	for (;;)
		pause();
	return unused;
}

/* Creates threads that exist at the same time, and ends them by pthread_cancel(3), which prepares
 * the C library for it. */
static int try_threads(unsigned int n)
{
	pthread_t t[PRELOAD_THREADS_MAX];
	unsigned int made = 0;
	int r = 0;

	for (; !r && made < n; made += !r)
		r = -pthread_create(&t[made], NULL, sleep_until_cancelled, NULL);
	for (unsigned int i = 0; i < made; i++) {
		pthread_cancel(t[i]);
		pthread_join(t[i], NULL);
	}
	return r;
}

int preload_libc_files(unsigned int threads)
{
	int r = load_unwinder();

	tzset();
	return r ? r : try_threads(threads);
}
