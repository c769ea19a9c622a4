/* SPDX-License-Identifier: MIT */
#include "util/report.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <syslog.h>
#include <unistd.h>

static enum qc_level report_max = QC_LOG_WARN;
/* The lowest level that still goes to stderr; the others go to the system log. */
static _Atomic(enum qc_level) stderr_max = QC_LOG_TRACE;
static atomic_bool has_stderr = true;

void report_set_verbosity(unsigned int verbose)
{
	report_max = verbose > 1 ? QC_LOG_TRACE : verbose ? QC_LOG_INFO : QC_LOG_WARN;
}

void report_open_syslog(void)
{
	openlog("qcowfs", LOG_PID | LOG_NDELAY, LOG_DAEMON);
	stderr_max = QC_LOG_ERROR;
}

void report_to_syslog(void)
{
	has_stderr = false;
}

void report_line(void *unused, enum qc_level level, const char *msg)
{
	static const int priority[] = {
		[QC_LOG_ERROR] = LOG_ERR,
		[QC_LOG_WARN] = LOG_WARNING,
		[QC_LOG_INFO] = LOG_INFO,
		[QC_LOG_TRACE] = LOG_DEBUG,
	};

	(void)unused;
	if (level > report_max)
		return;
	if (!has_stderr || level > stderr_max)
		syslog(priority[level], "%s", msg);
	else
		fprintf(stderr, "qcowfs: %s\n", msg);
}

/* Overwrites its own line, and erases the line at 100 percent, before the next message. */
void report_progress(void *unused, const char *path, enum qc_work work, unsigned int percent)
{
	static const char *const doing[] = {
		[QC_WORK_REPAIR] = "repairing",
		[QC_WORK_CHECK] = "checking",
		[QC_WORK_UNLOCK] = "unlocking",
		[QC_WORK_SEARCH] = "searching",
	};

	(void)unused;
	if (!has_stderr || !isatty(STDERR_FILENO))
		return;
	if (percent < 100)
		fprintf(stderr, "\rqcowfs: %s: %s: %u %%", path, doing[work], percent);
	else
		fprintf(stderr, "\r\033[K");
	fflush(stderr);
}

void report(enum qc_level level, const char *fmt, ...)
{
	char msg[1200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	report_line(NULL, level, msg);
}
