/* SPDX-License-Identifier: MIT */
/*
 * shared_buf.h - bytes that do not change, for as long as somebody needs them.
 */
#ifndef SHARED_BUF_H
#define SHARED_BUF_H

#include <stdatomic.h>
#include <stddef.h>

struct text {
	atomic_uint users;
	size_t len;
	char *bytes;
};

/* Takes the bytes, even if it fails: then NULL.  It has one user. */
struct text *text_new(char *bytes, size_t len);
struct text *text_hold(struct text *x);
void text_drop(struct text *x); /* NULL does nothing */

#endif
