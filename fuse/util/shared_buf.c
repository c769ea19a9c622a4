/* SPDX-License-Identifier: MIT */
#include "util/shared_buf.h"

#include <stdlib.h>

struct shared_buf *shared_buf_new(char *bytes, size_t len)
{
	struct shared_buf *x = bytes ? calloc(1, sizeof(*x)) : NULL;

	if (!x) {
		free(bytes);
		return NULL;
	}
	x->users = 1;
	x->len = len;
	x->bytes = bytes;
	return x;
}

struct shared_buf *shared_buf_ref(struct shared_buf *x)
{
	x->users++;
	return x;
}

void shared_buf_put(struct shared_buf *x)
{
	if (!x || --x->users)
		return;
	free(x->bytes);
	free(x);
}
