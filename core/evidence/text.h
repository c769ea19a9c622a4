/* SPDX-License-Identifier: MIT */
/* text.h - a text that grows line by line. */
#ifndef QC_TEXT_H
#define QC_TEXT_H

#include "base/util.h"

struct qc_text {
	char *bytes;
	size_t len, room;
	bool failed; /* no memory: qc_text_end() tells */
};

/* Appends formatted text. */
void qc_text_add(struct qc_text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Passes the text on, with a NUL behind it.  Return: 0; -ENOMEM, and it is freed. */
qc_err qc_text_end(struct qc_text *t, char **out, size_t *len);

#endif
