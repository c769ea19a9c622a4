/* SPDX-License-Identifier: MIT */
/* threads.h - start some threads, and wait for their ends. */
#ifndef THREADS_H
#define THREADS_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static inline pthread_t start(void *(*fn)(void *), void *arg)
{
	pthread_t t;

	if (pthread_create(&t, NULL, fn, arg)) {
		perror("pthread_create");
		exit(1);
	}
	return t;
}

static inline void end(pthread_t t)
{
	pthread_join(t, NULL);
}

#endif
