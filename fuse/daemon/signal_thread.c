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
	       " bytes of tables, %" PRIu64 " clusters unpacked",
	       w->server->opens, reads, bytes, c.layers_open,
	       c.layers_opened, c.table_loads, c.table_bytes, c.clusters_decompressed);
}

static bool is_idle(const struct signal_thread *w)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return w->timeout && !w->server->opens &&
	       now.tv_sec - w->server->idle_since >= (int64_t)w->timeout;
}

static void *run(void *arg)
{
	const struct timespec second = { 1, 0 };
	struct signal_thread *w = arg;
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
		if (is_idle(w)) {
			kill(getpid(), SIGTERM); /* the loop leaves in order */
			break;
		}
	}
	return NULL;
}

int signal_thread_start(struct signal_thread *w)
{
	struct timespec now;
	sigset_t block, old;
	int r;

	clock_gettime(CLOCK_MONOTONIC, &now);
	w->server->idle_since = now.tv_sec;
	/* The signals that end the loop are for the thread that runs it. */
	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	sigaddset(&block, SIGTERM);
	sigaddset(&block, SIGINT);
	sigaddset(&block, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &block, &old);
	r = -pthread_create(&w->thread, NULL, run, w);
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
