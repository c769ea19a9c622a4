/* SPDX-License-Identifier: MIT */
#include "evidence/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "qcow_array.h"

void qc_text_add(struct qc_text *t, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(line) ||
	    array_reserve(&t->bytes, &t->room, t->len + (size_t)n + 1, 1)) {
		t->failed = true;
		return;
	}
	memcpy(t->bytes + t->len, line, (size_t)n + 1);
	t->len += (size_t)n;
}

qc_err qc_text_end(struct qc_text *t, char **out, size_t *len)
{
	qc_text_add(t, "%s", "");
	if (t->failed) {
		free(t->bytes);
		return -ENOMEM;
	}
	*out = t->bytes;
	*len = t->len;
	return 0;
}
