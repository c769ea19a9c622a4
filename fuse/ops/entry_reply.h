/* SPDX-License-Identifier: MIT */
/* entry_reply.h - replies that tell the kernel of a node. */
#ifndef ENTRY_REPLY_H
#define ENTRY_REPLY_H

#include "ops/server.h"

/* Returns for how many seconds the kernel may use the attributes of the node. */
double entry_reply_attr_timeout(struct server *s, const struct node *n);

/* Waits a moment for the end of a growing disk that was closed: its size is rounded then. */
void entry_reply_await_size(struct server *s, const struct node *n);

/* Fills *e for a node that the caller has a reference of.  Return: 0 or -errno. */
int entry_reply_fill(fuse_req_t req, struct node *n, struct fuse_entry_param *e);

/* Replies to a lookup or a mkdir.  If `r` is 0 the caller has a reference of `n`, and the
 * kernel takes over this reference.  Otherwise the reply is the error `r`. */
void entry_reply_send(fuse_req_t req, int r, struct node *n);

#endif
