/* SPDX-License-Identifier: MIT */
#include "ops/open_file.h"

#include <stdlib.h>
#include <time.h>

#include "util/shared_buf.h"

enum { AWAIT_SECONDS = 5 }; /* the longest that open_files_await_closes() waits */

void open_file_add(struct server *s, struct open_file *f, struct fuse_file_info *fi)
{
	pthread_mutex_init(&f->seek_lock, NULL);
	pthread_mutex_lock(&s->open_files_lock);
	f->next = s->open_files;
	f->prev = &s->open_files;
	if (f->next)
		f->next->prev = &f->next;
	s->open_files = f;
	s->opens++;
	s->truncating += f->truncates;
	pthread_mutex_unlock(&s->open_files_lock);
	fi->fh = (uintptr_t)f;
}

void open_files_await_closes(struct server *s)
{
	struct timespec until;
	uint64_t begun;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += AWAIT_SECONDS;
	pthread_mutex_lock(&s->open_files_lock);
	begun = s->closes_begun;
	while (s->closes_ended < begun &&
	       !pthread_cond_timedwait(&s->close_ended, &s->open_files_lock, &until))
		;
	pthread_mutex_unlock(&s->open_files_lock);
}

/* The time first: the signal thread reads it once `opens` is 0. */
static void count_close(struct server *s)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	s->idle_since = now.tv_sec;
	s->opens--;
}

void open_file_close(struct server *s, struct open_file *f)
{
	pthread_mutex_lock(&s->open_files_lock);
	s->closes_begun += f->img != NULL;
	pthread_mutex_unlock(&s->open_files_lock);
	if (f->listing)
		listing_free(s->tree, f->listing);
	if (f->img)
		node_close(f->node, f->img);
	pthread_mutex_lock(&s->open_files_lock);
	*f->prev = f->next;
	if (f->next)
		f->next->prev = f->prev;
	s->truncating -= f->truncates;
	s->closes_ended += f->img != NULL;
	pthread_cond_broadcast(&s->close_ended);
	pthread_mutex_unlock(&s->open_files_lock);
	shared_buf_put(f->text);
	if (f->has_pages)
		shared_pages_close(&s->pages, f->node);
	if (f->node)
		node_forget(s->tree, f->node, 1);
	free(f->listing);
	pthread_mutex_destroy(&f->seek_lock);
	free(f);
	count_close(s);
}

/* Whether the image has open files, and all of them were closed.  Needs s->open_files_lock. */
static bool awaits_release(const struct server *s, const struct node *image)
{
	bool any = false;

	for (const struct open_file *f = s->open_files; f; f = f->next) {
		if (!f->img || node_origin(f->node) != image)
			continue;
		if (!f->closed)
			return false;
		any = true;
	}
	return any;
}

void open_files_await_release(struct server *s, const struct node *image, int ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += ms % 1000 * 1000000L;
	until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&s->open_files_lock);
	while (awaits_release(s, image) &&
	       !pthread_cond_timedwait(&s->close_ended, &s->open_files_lock, &until))
		;
	pthread_mutex_unlock(&s->open_files_lock);
}

bool open_files_truncate(struct server *s, const struct node *n)
{
	bool found = false;

	if (!s->truncating)
		return false;
	pthread_mutex_lock(&s->open_files_lock);
	for (const struct open_file *f = s->open_files; f && !found; f = f->next)
		found = f->truncates && f->node == n;
	pthread_mutex_unlock(&s->open_files_lock);
	return found;
}

void open_files_close_all(struct server *s)
{
	while (s->open_files)
		open_file_close(s, s->open_files);
}
