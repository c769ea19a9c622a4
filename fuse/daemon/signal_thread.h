/* SPDX-License-Identifier: MIT */
/*
 * signal_thread.h - one thread beside the workers: SIGUSR1, and -o timeout.
 */
#ifndef SIGNAL_THREAD_H
#define SIGNAL_THREAD_H

#include "ops/server.h"

struct signal_thread {
	pthread_t thread;
	bool running;
	struct qc_context *ctx;
	struct server *server;
	unsigned int timeout; /* seconds; 0: never leave */
	atomic_bool stop;
};

/* Blocks SIGUSR1 in the calling thread and in all that it makes. */
int signal_thread_start(struct signal_thread *w);
void signal_thread_stop(struct signal_thread *w);

#endif
