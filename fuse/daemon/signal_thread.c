/* SPDX-License-Identifier: MIT */
#include "daemon/signal_thread.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "util/report.h"

static void log_counters(const struct signal_thread *w)
{
	uint64_t reads = 0, bytes = 0;
	struct qc_counters c;

	for (size_t i = 0; i < sizeof(w->server->count) / sizeof(w->server->count[0]); i++) {
		reads += w->server->count[i].reads;
		bytes += w->server->count[i].bytes;
	}
	qc_get_counters(w->ctx, &c);
	report(QC_LOG_ERROR,
	       "counters: %u open, %" PRIu64 " reads, %" PRIu64 " bytes, %" PRIu64
	       " image files open, %" PRIu64 " opened, %" PRIu64 " table reads, %" PRIu64
	       " bytes of tables, %" PRIu64 " clusters decompressed",
	       w->server->opens, reads, bytes, c.layers_open,
	       c.layers_opened, c.table_loads, c.table_bytes, c.clusters_decompressed);
}

static int64_t monotonic_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* Returns true if nothing was open for the time of -o timeout, and the last attempt to unmount was
 * as long ago. */
static bool may_leave(const struct signal_thread *w, int64_t last_attempt)
{
	int64_t now = monotonic_seconds();

	return w->timeout && !w->server->opens &&
	       now - w->server->idle_since >= (int64_t)w->timeout &&
	       now - last_attempt >= (int64_t)w->timeout;
}

static void *run_signal_thread(void *arg)
{
	const struct timespec second = { 1, 0 };
	struct signal_thread *w = arg;
	int64_t last_attempt = 0;
	sigset_t usr1;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	while (!w->stop) {
		int sig = w->timeout ? sigtimedwait(&usr1, NULL, &second) :
				       sigwaitinfo(&usr1, NULL);

		if (w->stop)
			break;
		if (sig == SIGUSR1)
			log_counters(w);
		if (may_leave(w, last_attempt)) {
			if (w->unmount_unused(w->arg))
				break; /* the session ends, since its mount is gone */
			last_attempt = monotonic_seconds();
		}
	}
	return NULL;
}

int signal_thread_start(struct signal_thread *w)
{
	sigset_t block, old;
	int r;

	w->server->idle_since = monotonic_seconds();
	/* Signals that end the session are handled by the main thread, which waits for its end. */
	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	sigaddset(&block, SIGTERM);
	sigaddset(&block, SIGINT);
	sigaddset(&block, SIGHUP);
	sigaddset(&block, SIGQUIT);
	sigaddset(&block, SIGXCPU);
	pthread_sigmask(SIG_BLOCK, &block, &old);
	r = -pthread_create(&w->thread, NULL, run_signal_thread, w);
	sigaddset(&old, SIGUSR1);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	w->running = !r;
	return r;
}

void signal_thread_stop(struct signal_thread *w)
{
	if (!w->running)
		return;
	w->stop = true;
	pthread_kill(w->thread, SIGUSR1);
	pthread_join(w->thread, NULL);
}
