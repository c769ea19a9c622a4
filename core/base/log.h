/* SPDX-License-Identifier: MIT */
/*
 * log.h - messages: reasons of a failed open, and lines of the log.
 *
 * The function that finds an error makes the message; its callers add nothing but a
 * prefix.  While an image is being opened the message goes to the caller as a
 * struct qc_reason, afterwards to the log.  Texts from an image are hostile: control
 * characters are replaced here, in all messages.
 */
#ifndef QC_LOG_H
#define QC_LOG_H

#include "base/util.h"

struct qc_log {
	qc_log_fn *fn;
	void *arg;
	enum qc_level max;
};

/* Logs one line, without a newline, if @level is at most log->max. */
void qc_log(const struct qc_log *log, enum qc_level level, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

/* Fills *why with the cause QC_CAUSE_IMAGE.  Returns @err, so that a failure is one statement. */
qc_err qc_fail(struct qc_reason *why, qc_err err, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Like qc_fail(), with the text "@attempt: strerror (hint)", for a system call that failed
 * with @err.  @attempt is "cannot VERB ...", or NULL for no prefix. */
qc_err qc_fail_errno(struct qc_reason *why, qc_err err, const char *attempt);

/* Appends @text to the reason. */
void qc_reason_append(struct qc_reason *why, const char *text);

/* Appends advice to the reason of a header that was refused with @err.  Returns @err. */
qc_err qc_reason_add_hint(struct qc_reason *why, qc_err err);

/* Like qc_fail(), with another cause than QC_CAUSE_IMAGE. */
qc_err qc_fail_as(struct qc_reason *why, enum qc_cause cause, qc_err err, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

/* Prepends an object and ": " to the reason. */
void qc_reason_prefix(struct qc_reason *why, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Replaces control characters (ASCII, and C1 in UTF-8) by question marks, in place. */
void qc_text_clean(char *text);

#endif
