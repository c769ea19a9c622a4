/* SPDX-License-Identifier: MIT */
/*
 * shared_pages.h - keep the kernel's pages true of files that show the same bytes.
 *
 * A disk, its partitions, the first layer of its chain and its bitmaps show the same bytes.  For
 * the kernel each is another file, with other pages.
 *
 * Invariant: a request that changes bytes is replied to after the kernel has dropped the pages of
 * these bytes from all other files.  So a program that reads or maps any of the files after the
 * change gets the new bytes.
 *
 * The thread of a request does not drop the pages itself.  Dropping a page waits for the request
 * that reads this page, and all threads could wait so.  Nor does another thread of the daemon: a
 * thread that waits for a page cannot be killed, and the mount of a daemon that was killed would
 * not end.  Another process drops them (daemon/page_helper.h), and a thread of the daemon sends
 * the replies.
 *
 * While a file is written through its pages they are locked until the reply.  So files that can be
 * written are opened for writing without pages (set_direct_io() in file_ops.c), if other files
 * that can be written show the same bytes.
 */
#ifndef SHARED_PAGES_H
#define SHARED_PAGES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "ops/fuse_api.h"
#include "tree/byte_range.h"

struct node;
struct open_change;
struct open_view;

enum { VIEW_BUCKETS = 64 };

struct shared_pages {
	int socket; /* to the process that drops pages; -1: no files share bytes */
	bool kernel_drops_own; /* the kernel drops the pages of the file that is changed */
	atomic_uint opens; /* files that are open and can have pages */
	pthread_mutex_t lock;
	struct open_view *views[VIEW_BUCKETS]; /* lock; by image */
	struct open_change *changes; /* lock; those that wait for a reply */
	atomic_bool broken; /* the process is gone */
	atomic_bool ending;
	bool started;
	pthread_t thread;
};

/* A request to the process to drop pages, and its answer, which has the same fields.  An offset and a
 * length of 0 mean the whole file; an inode number of 0 asks the process to end. */
struct page_drop {
	struct open_change *change; /* NULL: no thread waits */
	uint64_t ino;
	int64_t off, len;
};

/* A reply with all that it needs. */
struct delayed_reply {
	void (*send)(const struct delayed_reply *r);
	fuse_req_t req;
	int error; /* 0 or -errno */
	size_t count; /* of bytes written */
	double timeout; /* of attributes */
	struct stat attr;
	struct fuse_entry_param entry;
	struct fuse_file_info fi;
};

/* Starts the thread that sends replies.  Does nothing without a socket.  Return: 0; -errno. */
int shared_pages_begin(struct shared_pages *p);

/* Ends the process and the thread.  Changes that wait are replied to.  Call it when no request is in progress. */
void shared_pages_end(struct shared_pages *p);

/* Returns true if pages of a node can be kept true. */
static inline bool shared_pages_work(const struct shared_pages *p)
{
	return p->socket >= 0 && !p->broken;
}

/*
 * shared_pages_open() - note that a file is open of which the kernel can have pages
 *
 * Call it before the image is opened.  The caller keeps a reference of the node.
 * Return: 0; -ENOMEM.
 */
int shared_pages_open(struct shared_pages *p, const struct node *n, fuse_ino_t ino);
void shared_pages_close(struct shared_pages *p, const struct node *n);

/* Sends the reply to a request that has changed bytes of a disk, or has failed to, after other files
 * have dropped their pages.  @n: the node that was changed.  @changed: offsets of the disk. */
void shared_pages_reply(struct shared_pages *p, const struct node *n, struct byte_range changed,
			const struct delayed_reply *reply);

#endif
