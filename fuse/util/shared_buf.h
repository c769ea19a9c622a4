/* SPDX-License-Identifier: MIT */
/*
 * shared_buf.h - bytes that do not change, for as long as somebody needs them.
 */
#ifndef SHARED_BUF_H
#define SHARED_BUF_H

#include <stdatomic.h>
#include <stddef.h>

struct shared_buf {
	atomic_uint users;
	size_t len;
	char *bytes;
};

/* Takes the bytes, even if it fails: then NULL.  It has one user. */
struct shared_buf *shared_buf_new(char *bytes, size_t len);
struct shared_buf *shared_buf_ref(struct shared_buf *x);
void shared_buf_put(struct shared_buf *x); /* NULL does nothing */

#endif
