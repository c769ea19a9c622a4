/* SPDX-License-Identifier: MIT */
#include "ops/shared_pages.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "tree/node.h"
#include "util/report.h"

/* Open files of one node. */
struct open_view {
	const struct node *node;
	fuse_ino_t ino;
	unsigned int opens;
	struct open_view *next;
};

/* A change that was made, and whose reply waits for `left` answers. */
struct open_change {
	struct delayed_reply reply;
	unsigned int left; /* shared_pages.lock */
	struct open_change *next, **prev;
};

/* ---- open files ------------------------------------------------------------------ */

static struct open_view **find_bucket(struct shared_pages *p, const struct node *n)
{
	uintptr_t key = (uintptr_t)node_origin(n);

	return &p->views[(key >> 6 ^ key >> 12) % VIEW_BUCKETS];
}

static struct open_view **find_view(struct shared_pages *p, const struct node *n)
{
	struct open_view **v = find_bucket(p, n);

	while (*v && (*v)->node != n)
		v = &(*v)->next;
	return v;
}

int shared_pages_open(struct shared_pages *p, const struct node *n, fuse_ino_t ino)
{
	struct open_view *v;
	int r = 0;

	pthread_mutex_lock(&p->lock);
	v = *find_view(p, n);
	if (!v) {
		v = calloc(1, sizeof(*v));
		if (v) {
			*v = (struct open_view){ .node = n, .ino = ino, .next = *find_bucket(p, n) };
			*find_bucket(p, n) = v;
		} else {
			r = -ENOMEM;
		}
	}
	if (!r) {
		v->opens++;
		p->opens++;
	}
	pthread_mutex_unlock(&p->lock);
	return r;
}

void shared_pages_close(struct shared_pages *p, const struct node *n)
{
	struct open_view **at, *v;

	pthread_mutex_lock(&p->lock);
	at = find_view(p, n);
	v = *at;
	p->opens--;
	if (!--v->opens) {
		*at = v->next;
		free(v);
	}
	pthread_mutex_unlock(&p->lock);
}

/* ---- changes --------------------------------------------------------------------- */

/* Finds the part of a file that a change concerns.  Returns false if there is none.  A file that can
 * be written shows a range of the disk.  Of others, as of a bitmap, all may have changed. */
static bool find_shown_part(const struct node *n, struct byte_range changed, struct page_drop *out)
{
	struct byte_range shown = node_range(n);
	uint64_t start = changed.start > shown.start ? changed.start : shown.start;
	uint64_t end = byte_range_end(&changed), shown_end = byte_range_end(&shown);

	out->off = out->len = 0;
	if (!node_shares_writes(n))
		return true;
	end = end < shown_end ? end : shown_end;
	if (start >= end)
		return false;
	if (end < INT64_MAX) {
		out->off = (int64_t)(start - shown.start);
		out->len = (int64_t)(end - start);
	}
	return true;
}

/* Asks for pages of all views that show a part of the change.  Returns how many answers will come.
 * Needs shared_pages.lock.  The other end reads at all times, so writing waits for a moment at most. */
static unsigned int ask_for_drops(struct shared_pages *p, const struct node *n,
				  struct byte_range changed, struct open_change *c)
{
	unsigned int asked = 0;

	for (struct open_view *v = *find_bucket(p, n); v && !p->broken; v = v->next) {
		struct page_drop drop = { .change = c, .ino = v->ino };

		if (node_origin(v->node) != node_origin(n) || (v->node == n && p->kernel_drops_own))
			continue;
		if (find_shown_part(v->node, changed, &drop))
			asked += write(p->socket, &drop, sizeof(drop)) == sizeof(drop);
	}
	return asked;
}

/* Adds a change that waits for its answers.  Returns false if none will come. */
static bool start_change(struct shared_pages *p, const struct node *n, struct byte_range changed,
			 struct open_change *c)
{
	bool waits;

	pthread_mutex_lock(&p->lock);
	c->left = ask_for_drops(p, n, changed, c);
	waits = c->left;
	if (waits) {
		c->next = p->changes;
		c->prev = &p->changes;
		if (c->next)
			c->next->prev = &c->next;
		p->changes = c;
	}
	pthread_mutex_unlock(&p->lock);
	return waits; /* the change may be freed already */
}

/* Without memory the reply is sent at once, and the pages are dropped soon after. */
void shared_pages_reply(struct shared_pages *p, const struct node *n, struct byte_range changed,
			const struct delayed_reply *reply)
{
	struct open_change *c;

	if (!p->opens) {
		reply->send(reply);
		return;
	}
	c = malloc(sizeof(*c));
	if (!c) {
		pthread_mutex_lock(&p->lock);
		ask_for_drops(p, n, changed, NULL);
		pthread_mutex_unlock(&p->lock);
		reply->send(reply);
		return;
	}
	c->reply = *reply;
	if (start_change(p, n, changed, c))
		return;
	free(c);
	reply->send(reply);
}

/* ---- replies --------------------------------------------------------------------- */

static void send_delayed_reply(struct open_change *c)
{
	c->reply.send(&c->reply);
	free(c);
}

static void note_answer(struct shared_pages *p, struct open_change *c)
{
	bool done;

	pthread_mutex_lock(&p->lock);
	done = !--c->left;
	if (done) {
		*c->prev = c->next;
		if (c->next)
			c->next->prev = c->prev;
	}
	pthread_mutex_unlock(&p->lock);
	if (done)
		send_delayed_reply(c);
}

/* Sends all replies: no answer will come any more. */
static void send_all_replies(struct shared_pages *p)
{
	struct open_change *c, *next;

	pthread_mutex_lock(&p->lock);
	p->broken = true;
	c = p->changes;
	p->changes = NULL;
	pthread_mutex_unlock(&p->lock);
	for (; c; c = next) {
		next = c->next;
		send_delayed_reply(c);
	}
}

static void *send_replies(void *arg)
{
	struct shared_pages *p = arg;
	struct page_drop drop;
	ssize_t n;

	while ((n = read(p->socket, &drop, sizeof(drop))) == sizeof(drop) || (n < 0 && errno == EINTR))
		if (n > 0 && drop.change)
			note_answer(p, drop.change);
	if (!p->ending)
		report(QC_LOG_ERROR, "the process qcowfs-pages is gone: files that are open for reading may "
		       "show old bytes of what is written through another file (mount again)");
	send_all_replies(p);
	return NULL;
}

int shared_pages_begin(struct shared_pages *p)
{
	int r = p->socket < 0 ? 0 : -pthread_create(&p->thread, NULL, send_replies, p);

	p->started = p->socket >= 0 && !r;
	return r;
}

void shared_pages_end(struct shared_pages *p)
{
	const struct page_drop end = { .ino = 0 };

	if (!p->started)
		return;
	p->ending = true;
	if (write(p->socket, &end, sizeof(end)) == sizeof(end) || errno == EPIPE)
		pthread_join(p->thread, NULL);
	p->started = false;
}
