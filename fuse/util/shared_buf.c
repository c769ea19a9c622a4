/* SPDX-License-Identifier: MIT */
#include "util/shared_buf.h"

#include <stdlib.h>

struct text *text_new(char *bytes, size_t len)
{
	struct text *x = bytes ? calloc(1, sizeof(*x)) : NULL;

	if (!x) {
		free(bytes);
		return NULL;
	}
	x->users = 1;
	x->len = len;
	x->bytes = bytes;
	return x;
}

struct text *text_hold(struct text *x)
{
	x->users++;
	return x;
}

void text_drop(struct text *x)
{
	if (!x || --x->users)
		return;
	free(x->bytes);
	free(x);
}
