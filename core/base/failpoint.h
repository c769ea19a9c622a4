/* SPDX-License-Identifier: MIT */
/*
 * failpoint.h - named places at which a test may stop a thread, or make it fail.
 *
 * A race is tested by parking one thread at such a place while another runs,
 * never by luck.  Without -Dfailpoints=true the places cost nothing.
 */
#ifndef QC_FAILPOINT_H
#define QC_FAILPOINT_H

#include <stdbool.h>

#ifdef QC_FAILPOINTS
/* True if the place shall fail; returns late if a test parked it. */
bool qc_failpoint_point(const char *name);
#define FAIL_POINT(name) qc_failpoint_point(name)

void qc_failpoint_once(const char *name);  /* the next to come by fails */
void qc_failpoint_park(const char *name);  /* the next to come by waits there */
void qc_failpoint_await(const char *name); /* returns when somebody waits there */
void qc_failpoint_resume(const char *name);
#else
#define FAIL_POINT(name) false
#endif

#endif
