/* SPDX-License-Identifier: MIT */
/*
 * signal_thread.h - one thread beside the workers: it logs the counters at SIGUSR1, and leaves an
 * unused mount (-o timeout).
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
	/* Unmounts if no process uses the mount; true on success.  Called when nothing was open for
	 * `timeout` seconds, and again after as many if the mount is busy. */
	bool (*unmount_unused)(void *arg);
	void *arg;
	atomic_bool stop;
};

/* Starts the thread, and blocks SIGUSR1 in the calling thread and in all that it creates later.
 * Return: 0; -errno. */
int signal_thread_start(struct signal_thread *w);

/* Ends the thread and waits for it.  Does nothing if it is not running. */
void signal_thread_stop(struct signal_thread *w);

#endif
