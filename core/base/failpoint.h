/* SPDX-License-Identifier: MIT */
/*
 * failpoint.h - named points at which a test stops a thread or makes it fail.
 *
 * A test of a race parks one thread at such a point while another thread runs, and so
 * does not depend on timing.  Without -Dfailpoints=true a point costs nothing.
 */
#ifndef QC_FAILPOINT_H
#define QC_FAILPOINT_H

#include <stdbool.h>

#ifdef QC_FAILPOINTS
/* Called by FAIL_POINT().  Waits while a test has parked this thread here.  Returns true
 * if the caller is to fail. */
bool qc_failpoint_point(const char *name);
#define FAIL_POINT(name) qc_failpoint_point(name)

void qc_failpoint_once(const char *name);   /* makes the next thread at the point fail */
void qc_failpoint_park(const char *name);   /* makes the next thread at the point wait */
void qc_failpoint_await(const char *name);  /* waits until a thread waits at the point */
void qc_failpoint_resume(const char *name); /* lets the thread at the point go on */
#else
#define FAIL_POINT(name) false
#endif

#endif
