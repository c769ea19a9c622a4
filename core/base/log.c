/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void qc_text_clean(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p; p++) {
		bool c1 = p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0; /* in UTF-8 */

		if (*p < 0x20 || *p == 0x7f || c1)
			*p = '?';
		if (c1)
			*++p = '?';
	}
}

void qc_log(const struct qc_log *log, enum qc_level level, const char *fmt, ...)
{
	char msg[800];
	va_list ap;

	if (!log->fn || level > log->max)
		return;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	qc_text_clean(msg);
	log->fn(log->arg, level, msg);
}

static void format_reason(struct qc_reason *why, enum qc_cause cause, const char *fmt, va_list ap)
	PRINTF_LIKE(3, 0);
static void format_reason(struct qc_reason *why, enum qc_cause cause, const char *fmt, va_list ap)
{
	why->cause = cause;
	vsnprintf(why->text, sizeof(why->text), fmt, ap);
	qc_text_clean(why->text);
}

qc_err qc_fail(struct qc_reason *why, qc_err err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	format_reason(why, QC_CAUSE_IMAGE, fmt, ap);
	va_end(ap);
	return err;
}

const char *qc_errno_hint(qc_err err)
{
	switch (-err) {
	case EACCES:
	case EPERM:
		return " (mount as the owner of the file, or as root)";
	case EMFILE:
		return " (ulimit -n is the limit)";
	case EIO:
		return " (dmesg may say more)";
	case ENOSPC:
	case EDQUOT:
		return " (make room there)";
	case ENOMEM:
		return " (a smaller cache-size takes less)";
	default:
		return "";
	}
}

qc_err qc_fail_errno(struct qc_reason *why, qc_err err, const char *attempt)
{
	return qc_fail(why, err, "%s%s%s%s", attempt ? attempt : "", attempt ? ": " : "",
		       strerror(-err), qc_errno_hint(err));
}

void qc_reason_append(struct qc_reason *why, const char *text)
{
	size_t n = strlen(why->text);

	if (n + strlen(text) < sizeof(why->text))
		memcpy(why->text + n, text, strlen(text) + 1);
}

qc_err qc_reason_add_hint(struct qc_reason *why, qc_err err)
{
	const char *advice = "";

	if (err == -EINVAL || err == -EFBIG)
		advice = " (damaged: only a backup of the image can help)";
	else if (err == -ENOTSUP)
		advice = " (the program that wrote the image, or qemu-img convert, may write one "
			 "without it)";
	qc_reason_append(why, advice);
	return err;
}

qc_err qc_fail_as(struct qc_reason *why, enum qc_cause cause, qc_err err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	format_reason(why, cause, fmt, ap);
	va_end(ap);
	return err;
}

void qc_reason_prefix(struct qc_reason *why, const char *fmt, ...)
{
	char object[sizeof(why->text)], rest[sizeof(why->text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(object, sizeof(object), fmt, ap);
	va_end(ap);
	memcpy(rest, why->text, sizeof(rest));
	if (snprintf(why->text, sizeof(why->text), "%s: %s", object, rest) < 0)
		memcpy(why->text, rest, sizeof(rest));
	qc_text_clean(why->text);
}
