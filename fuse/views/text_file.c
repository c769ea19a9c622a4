/* SPDX-License-Identifier: MIT */
#include "views/text_file.h"

#include <errno.h>
#include <stdlib.h>

#include "tree/image_attr.h"
#include "util/shared_buf.h"
#include "views/view.h"
#include "views/view_attr.h"

enum { TEXT_MS = 1000 }; /* the text is not made again for so long */

/* node.data; the node's attr_lock. */
struct text_file {
	text_file_fn *make;
	bool sized;
	struct shared_buf *text;
	int64_t made; /* view_now_ms() */
	int64_t size_until; /* until then stat() reports the size of `text` */
};

/*
 * Returns the text if it is fresh enough, else NULL.  open() gets the text whose size the last
 * stat() reported, if that is less than TEXT_MS old; and stat() reports the size of a text that
 * was opened less than TEXT_MS ago.  So size and content agree for a program that uses both.
 */
static struct shared_buf *find_fresh_text(struct text_file *f, bool opening)
{
	int64_t now = view_now_ms();

	if (!f->text || now >= (opening ? f->made + TEXT_MS : f->size_until))
		return NULL;
	if (opening)
		f->size_until = now + TEXT_MS;
	return shared_buf_ref(f->text);
}

/* Gets the text with one reference. */
static int get_file_text(struct tree *t, struct node *n, bool opening, struct shared_buf **out)
{
	struct text_file *f = n->data;
	struct shared_buf *text, *old;
	char *bytes = NULL;
	size_t len = 0;
	int r;

	pthread_mutex_lock(&n->attr_lock);
	text = find_fresh_text(f, opening);
	pthread_mutex_unlock(&n->attr_lock);
	*out = text;
	if (text)
		return 0;
	r = f->make(t, n->origin, &bytes, &len);
	if (r)
		return r;
	*out = text = shared_buf_new(bytes, len);
	if (!text)
		return -ENOMEM;
	pthread_mutex_lock(&n->attr_lock);
	old = f->text;
	f->text = shared_buf_ref(text);
	f->made = view_now_ms();
	f->size_until = f->made + TEXT_MS;
	pthread_mutex_unlock(&n->attr_lock);
	shared_buf_put(old);
	return 0;
}

/* Finds the size for stat(2). */
static int get_text_size(struct tree *t, struct node *n, size_t *size)
{
	struct text_file *f = n->data;
	struct shared_buf *text;
	int r = 0;

	if (f->sized) {
		r = get_file_text(t, n, false, &text);
		*size = r ? 0 : text->len;
		if (!r)
			shared_buf_put(text);
		return r;
	}
	pthread_mutex_lock(&n->attr_lock);
	*size = f->text ? f->text->len : 0;
	pthread_mutex_unlock(&n->attr_lock);
	return 0;
}

static int open_text_file(struct tree *t, struct node *n, struct shared_buf **out)
{
	struct stat st;
	int r = image_attr_stat_file(t, n->origin, &st);

	return r ? r : get_file_text(t, n, true, out);
}

static int getattr_of_text(struct tree *t, struct node *n, struct stat *st)
{
	int r = view_attr_begin(t, n, st);
	size_t size;

	if (!r)
		r = get_text_size(t, n, &size);
	if (!r)
		view_attr_make_file(size, 0444, st);
	return view_attr_end(t, n, r, st);
}

static void free_text_file(struct node *n)
{
	struct text_file *f = n->data;

	if (f)
		shared_buf_put(f->text);
	free(f);
}

static const struct node_ops text_ops = {
	.getattr = getattr_of_text,
	.open_text = open_text_file,
	.free = free_text_file,
};

struct node *text_file_new(struct tree *t, struct name *view, struct node *image, bool sized,
			   text_file_fn *make)
{
	struct text_file *f = calloc(1, sizeof(*f));
	struct node *n = f ? view_new(t, &text_ops, false, view, image) : NULL;

	if (n) {
		f->make = make;
		f->sized = sized;
		n->data = f;
	} else {
		free(f);
	}
	return n;
}
