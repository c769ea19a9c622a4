/* SPDX-License-Identifier: MIT */
#include "handle.h"

#include <stdlib.h>
#include <time.h>

#include "text.h"

static void note_close(struct server *s)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	s->idle_since = t.tv_sec;
	s->opens--;
}

void handle_add(struct server *s, struct handle *h, struct fuse_file_info *fi)
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

void handle_close(struct server *s, struct handle *h)
{
	pthread_mutex_lock(&s->handles_lock);
	*h->prev = h->next;
	if (h->next)
		h->next->prev = h->prev;
	pthread_mutex_unlock(&s->handles_lock);
	if (h->listing)
		tree_list_free(s->tree, h->listing);
	if (h->img)
		tree_close(h->node, h->img);
	text_drop(h->text);
	if (h->node)
		tree_forget(s->tree, h->node, 1);
	free(h->listing);
	free(h);
	note_close(s);
}

void server_close_all(struct server *s)
{
	while (s->handles)
		handle_close(s, s->handles);
}
