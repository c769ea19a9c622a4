/* SPDX-License-Identifier: MIT */
/*
 * page_helper.c - one thread receives the requests of the daemon, so that the daemon never waits to
 * send one.  Other threads drop pages, since each may have to wait for a reply of the daemon.
 */
#include "daemon/page_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/helper_process.h"
#include "ops/server.h"
#include "sandbox/sandbox.h"

enum {
	DROPPERS_MAX = 64, /* threads that drop pages */
	REQUEST_ROOM = MAX_IO + 4096, /* of the largest request of the kernel */
	DRAIN_MS = 10,
};

/* In the helper: a request that waits for a thread. */
struct drop_job {
	struct page_drop drop;
	struct drop_job *next;
};

struct drop_queue {
	int sock, fuse;
	pthread_mutex_t lock;
	pthread_cond_t added;
	struct drop_job *first, **last; /* lock */
	unsigned int queued, threads, idle; /* lock */
};

/* ---- dropping pages, in the helper ------------------------------------------------- */

/* Lets the kernel drop pages, and waits for that.  It fails for a file that the kernel does not know
 * any more, which has no pages. */
static void drop_pages(struct drop_queue *q, const struct page_drop *drop)
{
	struct {
		struct fuse_out_header head;
		struct fuse_notify_inval_inode_out body;
	} note = {
		.head = { .len = sizeof(note), .error = FUSE_NOTIFY_INVAL_INODE },
		.body = { .ino = drop->ino, .off = drop->off, .len = drop->len },
	};

	while (write(q->fuse, &note, sizeof(note)) < 0 && errno == EINTR)
		;
	while (write(q->sock, drop, sizeof(*drop)) < 0 && errno == EINTR)
		;
}

static void *run_dropper(void *arg)
{
	struct drop_queue *q = arg;

	pthread_mutex_lock(&q->lock);
	for (;;) {
		struct drop_job *job;

		q->idle++;
		while (!q->first)
			pthread_cond_wait(&q->added, &q->lock);
		q->idle--;
		job = q->first;
		q->first = job->next;
		if (!q->first)
			q->last = &q->first;
		q->queued--;
		pthread_mutex_unlock(&q->lock);
		drop_pages(q, &job->drop);
		free(job);
		pthread_mutex_lock(&q->lock);
	}
	return NULL;
}

/* Needs drop_queue.lock. */
static void add_dropper(struct drop_queue *q)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (!pthread_create(&thread, &attr, run_dropper, q))
		q->threads++;
	pthread_attr_destroy(&attr);
}

/* Lets a thread drop pages.  Without memory or threads it is done at once. */
static void queue_drop(struct drop_queue *q, const struct page_drop *drop)
{
	struct drop_job *job = malloc(sizeof(*job));

	pthread_mutex_lock(&q->lock);
	if (job && q->queued >= q->idle && q->threads < DROPPERS_MAX)
		add_dropper(q);
	if (job && q->threads) {
		*job = (struct drop_job){ .drop = *drop };
		*q->last = job;
		q->last = &job->next;
		q->queued++;
		pthread_cond_signal(&q->added);
		job = NULL;
		drop = NULL;
	}
	pthread_mutex_unlock(&q->lock);
	free(job);
	if (drop)
		drop_pages(q, drop);
}

static bool is_busy(struct drop_queue *q)
{
	bool busy;

	pthread_mutex_lock(&q->lock);
	busy = q->first || q->idle < q->threads;
	pthread_mutex_unlock(&q->lock);
	return busy;
}

/* Fails all requests of the kernel until no thread waits for a page.  Writing fails for requests that
 * need no reply. */
static void fail_requests(struct drop_queue *q)
{
	struct fuse_in_header *request = malloc(REQUEST_ROOM);
	struct pollfd p = { .fd = q->fuse, .events = POLLIN };
	struct fuse_out_header reply = { .len = sizeof(reply), .error = -ENOTCONN };

	fcntl(q->fuse, F_SETFL, O_NONBLOCK);
	while (request && is_busy(q)) {
		poll(&p, 1, DRAIN_MS);
		while (read(q->fuse, request, REQUEST_ROOM) >= (ssize_t)sizeof(*request)) {
			reply.unique = request->unique;
			if (write(q->fuse, &reply, sizeof(reply)) < 0)
				continue;
		}
	}
	free(request);
}

/* ---- the helper -------------------------------------------------------------------- */

/* Receives a descriptor, or returns -1 if the daemon has ended. */
static int receive_fd(int sock)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = &(char){ 0 }, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = &control, .msg_controllen = sizeof(control) };
	int fd = -1;

	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&msg))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

/* Opens the connection of a descriptor once more.  When the daemon dies the kernel fails the requests
 * that the daemon has read, if no other process has the same descriptor. */
static int open_connection(int fuse_fd)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	uint32_t from = (uint32_t)fuse_fd;

	if (fd >= 0 && ioctl(fd, FUSE_DEV_IOC_CLONE, &from)) {
		close(fd);
		fd = -1;
	}
	if (fd < 0)
		return fuse_fd;
	close(fuse_fd);
	return fd;
}

static void run_page_helper(int sock, char **argv)
{
	struct drop_queue q = { .sock = sock, .lock = PTHREAD_MUTEX_INITIALIZER,
				.added = PTHREAD_COND_INITIALIZER };
	const struct sandbox sandbox = { 0 };
	struct page_drop drop;
	bool sandboxed;

	helper_process_begin(argv, "qcowfs-pages", &sock, 1);
	q.last = &q.first;
	q.fuse = receive_fd(sock);
	if (q.fuse < 0 || read(sock, &sandboxed, sizeof(sandboxed)) != sizeof(sandboxed))
		_exit(0);
	q.fuse = open_connection(q.fuse);
	if (sandboxed && sandbox_enter(&sandbox))
		_exit(1);
	while (read(sock, &drop, sizeof(drop)) == sizeof(drop) && drop.ino)
		queue_drop(&q, &drop);
	fail_requests(&q);
	_exit(0);
}

/* ---- the daemon -------------------------------------------------------------------- */

int page_helper_start(struct page_helper *h, char **argv)
{
	int ends[2], r = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	h->pid = fork();
	if (h->pid < 0)
		r = -errno;
	if (!h->pid)
		run_page_helper(ends[1], argv);
	close(ends[1]);
	if (r) {
		close(ends[0]);
		h->pid = 0;
	} else {
		h->socket = ends[0];
	}
	return r;
}

int page_helper_attach(struct page_helper *h, int fuse_fd, bool sandboxed)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = &(char){ 0 }, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = &control, .msg_controllen = sizeof(control) };

	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(sizeof(fuse_fd));
	memcpy(CMSG_DATA(&control.head), &fuse_fd, sizeof(fuse_fd));
	if (sendmsg(h->socket, &msg, MSG_NOSIGNAL) != 1 ||
	    send(h->socket, &sandboxed, sizeof(sandboxed), MSG_NOSIGNAL) != sizeof(sandboxed))
		return -errno;
	return 0;
}

void page_helper_end(struct page_helper *h)
{
	int status;

	if (!h->pid)
		return;
	close(h->socket);
	while (waitpid(h->pid, &status, 0) < 0 && errno == EINTR)
		;
	*h = (struct page_helper)PAGE_HELPER_NONE;
}
