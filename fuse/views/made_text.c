/* SPDX-License-Identifier: MIT */
#include "views/made_text.h"

#include <errno.h>
#include <stdlib.h>

#include "tree/image_attr.h"
#include "tree/image_file.h"
#include "util/shared_buf.h"
#include "views/view.h"
#include "views/view_attr.h"

/* node.data */
struct made_text {
	made_text_fn *make;
	pthread_mutex_t making; /* one thread makes the text; held over I/O */
	struct shared_buf *text; /* the node's attr_lock; NULL: not made yet */
	struct identity made_of; /* the node's attr_lock; the image file then */
};

/* Returns the text with one reference if it is that of the image file as it is; else NULL. */
static struct shared_buf *find_made_text(struct node *n, const struct identity *now)
{
	struct made_text *m = n->data;
	struct shared_buf *text = NULL;

	pthread_mutex_lock(&n->attr_lock);
	if (m->text && identity_same_content(&m->made_of, now))
		text = shared_buf_ref(m->text);
	pthread_mutex_unlock(&n->attr_lock);
	return text;
}

static void keep_made_text(struct node *n, struct shared_buf *text, const struct identity *now)
{
	struct made_text *m = n->data;
	struct shared_buf *old;

	pthread_mutex_lock(&n->attr_lock);
	old = m->text;
	m->text = shared_buf_ref(text);
	m->made_of = *now;
	pthread_mutex_unlock(&n->attr_lock);
	shared_buf_put(old);
}

static int make_text(struct tree *t, struct node *n, struct shared_buf **out)
{
	struct made_text *m = n->data;
	struct qc_image *img;
	char *bytes = NULL;
	size_t len = 0;
	int r = image_file_open(t, n->origin, 0, &img);

	if (r)
		return r;
	r = m->make(img, &bytes, &len);
	qc_close(img);
	if (r)
		return r;
	*out = shared_buf_new(bytes, len);
	return *out ? 0 : -ENOMEM;
}

static int open_made_text(struct tree *t, struct node *n, struct shared_buf **out)
{
	struct made_text *m = n->data;
	struct identity now;
	struct stat st;
	int r = image_attr_stat_file(t, n->origin, &st);

	if (r)
		return r;
	now = identity_of(&st);
	pthread_mutex_lock(&m->making);
	*out = find_made_text(n, &now);
	if (!*out) {
		r = make_text(t, n, out);
		if (!r)
			keep_made_text(n, *out, &now);
	}
	pthread_mutex_unlock(&m->making);
	return r;
}

static int getattr_of_made_text(struct tree *t, struct node *n, struct stat *st)
{
	int r = view_attr_begin(t, n, st);

	if (!r) {
		struct identity now = identity_of(st);
		struct shared_buf *text = find_made_text(n, &now);

		view_attr_make_file(text ? text->len : 0, 0444, st);
		shared_buf_put(text);
	}
	return view_attr_end(t, n, r, st);
}

static void free_made_text(struct node *n)
{
	struct made_text *m = n->data;

	if (!m)
		return;
	shared_buf_put(m->text);
	pthread_mutex_destroy(&m->making);
	free(m);
}

const struct node_ops made_text_ops = {
	.getattr = getattr_of_made_text,
	.open_text = open_made_text,
	.free = free_made_text,
};

struct node *made_text_new(struct tree *t, made_text_fn *make, struct name *view,
			   struct node *image)
{
	struct made_text *m = calloc(1, sizeof(*m));
	struct node *n = m ? view_new(t, &made_text_ops, false, view, image) : NULL;

	if (!n) {
		free(m);
		return NULL;
	}
	m->make = make;
	pthread_mutex_init(&m->making, NULL);
	n->data = m;
	return n;
}
