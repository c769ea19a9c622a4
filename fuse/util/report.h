/* SPDX-License-Identifier: MIT */
/*
 * report.h - where messages go: stderr, and from the background the system log.
 */
#ifndef REPORT_H
#define REPORT_H

#include "qcow.h"

/* A qc_log_fn: one line, "qcowfs: MESSAGE". */
void report_line(void *unused, enum qc_level level, const char *msg);

void report(enum qc_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* How often -v was given: 0 reports warnings and errors, 1 information, 2 all requests, too. */
void report_set_verbosity(unsigned int verbose);

/* A qc_progress_fn: one line on the terminal, over and over, if stderr is one. */
void report_progress(void *unused, const char *path, enum qc_work work, unsigned int percent);

/* From now on to the system log. */
void report_to_syslog(void);

#endif
