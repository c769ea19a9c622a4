/* SPDX-License-Identifier: MIT */
#include "daemon/libfuse_log.h"

#include <fuse_log.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "util/report.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool collecting;	     /* lock */
static bool shares_fd;	     /* lock */
static char collected[1000]; /* lock; the last message */

static void log_libfuse_message(enum fuse_log_level level, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

/* Takes one message.  Debug messages are parts of lines, all others are lines. */
static void log_libfuse_message(enum fuse_log_level level, const char *fmt, va_list ap)
{
	char text[1000];
	bool keep;

	if (level == FUSE_LOG_DEBUG) {
		vfprintf(stderr, fmt, ap);
		return;
	}
	vsnprintf(text, sizeof(text), fmt, ap);
	for (size_t n = strlen(text); n && text[n - 1] == '\n'; n--)
		text[n - 1] = 0;
	pthread_mutex_lock(&lock);
	keep = collecting;
	shares_fd = shares_fd || strstr(text, "without -o clone_fd");
	if (keep)
		snprintf(collected, sizeof(collected), "%s", text);
	pthread_mutex_unlock(&lock);
	if (!keep)
		report(level <= FUSE_LOG_ERR	 ? QC_LOG_ERROR :
		       level == FUSE_LOG_WARNING ? QC_LOG_WARN :
						   QC_LOG_INFO, "%s", text);
}

static void set_collecting(bool value)
{
	pthread_mutex_lock(&lock);
	collecting = value;
	*collected = 0;
	pthread_mutex_unlock(&lock);
}

void libfuse_log_collect(void)
{
	set_collecting(true);
	fuse_set_log_func(log_libfuse_message);
}

void libfuse_log_last(char *out, size_t room)
{
	const char *colon;

	pthread_mutex_lock(&lock);
	colon = strstr(collected, ": ");
	snprintf(out, room, "%s", colon ? colon + 2 : collected);
	pthread_mutex_unlock(&lock);
}

bool libfuse_log_shares_fd(void)
{
	bool shares;

	pthread_mutex_lock(&lock);
	shares = shares_fd;
	pthread_mutex_unlock(&lock);
	return shares;
}

void libfuse_log_pass_on(void)
{
	set_collecting(false);
}
