/* SPDX-License-Identifier: MIT */
/*
 * log.h - one line for people, said once, by the function that knows.
 *
 * While an image is being opened the line goes to the caller as a reason;
 * afterwards it goes to the log.  Names and texts that come out of an image
 * are hostile: control bytes are replaced here, for all messages.
 */
#ifndef QC_LOG_H
#define QC_LOG_H

#include "base/util.h"

struct qc_log {
	qc_log_fn *fn;
	void *arg;
	enum qc_level max;
};

void qc_log(const struct qc_log *log, enum qc_level level, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

/* Fills *why and returns err, so that a refusal is one statement. */
qc_err qc_fail(struct qc_reason *why, qc_err err, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The same for a call of the system that failed: what that was, why, and what may help.
 * NULL: the reason stands alone. */
qc_err qc_fail_errno(struct qc_reason *why, qc_err err, const char *what);

/* Puts what may help behind the reason of a header that was refused with err, and returns err. */
qc_err qc_reason_add_hint(struct qc_reason *why, qc_err err);

/* The same for another cause than the image, which the reason has else. */
qc_err qc_fail_as(struct qc_reason *why, enum qc_cause cause, qc_err err, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

/* Puts what it is about, and ": ", before the reason. */
void qc_reason_prefix(struct qc_reason *why, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Replaces what a terminal or a log could stumble over. */
void qc_text_clean(char *text);

#endif
