/* SPDX-License-Identifier: MIT */
/*
 * report.h - messages of the program: on stderr, or in the background to the system log.
 *
 * A message is `OBJECT: cannot VERB: REASON (what to do)`, without a newline.  Called from any
 * thread.
 */
#ifndef REPORT_H
#define REPORT_H

#include "qcow.h"

/* Reports one line, "qcowfs: MESSAGE".  Is a qc_log_fn. */
void report_line(void *unused, enum qc_level level, const char *msg);

void report(enum qc_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Sets how much is reported, by the number of -v: 0 warnings and errors, 1 also information,
 * 2 all. */
void report_set_verbosity(unsigned int verbose);

/* Shows progress in one line of the terminal, if stderr is one.  Is a qc_progress_fn. */
void report_progress(void *unused, const char *path, enum qc_work work, unsigned int percent);

/* Connects to the system log, and sends messages there, but for errors: these may tell why the
 * start failed.  The sandbox forbids new sockets, so call it before. */
void report_open_syslog(void);

/* Sends all later messages to the system log, as facility LOG_DAEMON. */
void report_to_syslog(void);

#endif
