/* SPDX-License-Identifier: MIT */
#include "ops/open_file.h"

#include <stdlib.h>
#include <time.h>

#include "util/shared_buf.h"

enum { AWAIT_SECONDS = 5 }; /* for images that are being closed */

static void note_close(struct server *s)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	s->idle_since = t.tv_sec;
	s->opens--;
}

void open_file_add(struct server *s, struct open_file *h, struct fuse_file_info *fi)
{
	pthread_mutex_lock(&s->handles_lock);
	h->next = s->handles;
	h->prev = &s->handles;
	if (h->next)
		h->next->prev = &h->next;
	s->handles = h;
	s->opens++;
	pthread_mutex_unlock(&s->handles_lock);
	fi->fh = (uintptr_t)h;
}

static void close_image(struct server *s, struct open_file *h)
{
	node_close(h->node, h->img);
	pthread_mutex_lock(&s->handles_lock);
	s->closes_ended++;
	pthread_cond_broadcast(&s->close_ended);
	pthread_mutex_unlock(&s->handles_lock);
}

void open_files_await_closes(struct server *s)
{
	struct timespec until;
	uint64_t begun;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += AWAIT_SECONDS;
	pthread_mutex_lock(&s->handles_lock);
	begun = s->closes_begun;
	while (s->closes_ended < begun &&
	       !pthread_cond_timedwait(&s->close_ended, &s->handles_lock, &until))
		;
	pthread_mutex_unlock(&s->handles_lock);
}

void open_file_close(struct server *s, struct open_file *h)
{
	pthread_mutex_lock(&s->handles_lock);
	*h->prev = h->next;
	if (h->next)
		h->next->prev = h->prev;
	if (h->img)
		s->closes_begun++;
	pthread_mutex_unlock(&s->handles_lock);
	if (h->listing)
		tree_list_free(s->tree, h->listing);
	if (h->img)
		close_image(s, h);
	shared_buf_put(h->text);
	if (h->node)
		tree_forget(s->tree, h->node, 1);
	free(h->listing);
	free(h);
	note_close(s);
}

void open_files_close_all(struct server *s)
{
	while (s->handles)
		open_file_close(s, s->handles);
}
