/* SPDX-License-Identifier: MIT */
/* shared_buf.h - bytes that do not change, with a reference count. */
#ifndef SHARED_BUF_H
#define SHARED_BUF_H

#include <stdatomic.h>
#include <stddef.h>

struct shared_buf {
	atomic_uint users;
	size_t len;
	char *bytes;
};

/* Returns a buffer with one reference, which owns @bytes (from malloc; NULL: returns NULL).
 * NULL: out of memory, and @bytes was freed. */
struct shared_buf *shared_buf_new(char *bytes, size_t len);
struct shared_buf *shared_buf_ref(struct shared_buf *x);

/* Drops a reference; the last one frees the buffer.  Does nothing to NULL. */
void shared_buf_put(struct shared_buf *x);

#endif
