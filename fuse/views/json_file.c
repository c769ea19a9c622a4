/* SPDX-License-Identifier: MIT */
#include "views/json_file.h"

#include <errno.h>
#include <stdlib.h>

#include "info/image_json.h"
#include "tree/image_attr.h"
#include "tree/image_file.h"
#include "util/shared_buf.h"
#include "views/snapshot_dir.h"
#include "views/snapshot_names.h"
#include "views/view.h"
#include "views/view_attr.h"

enum { TEXT_MS = 1000 }; /* the text is not made again for so long */

/* node.data; the node's attr_lock. */
struct json_file {
	struct shared_buf *text;
	int64_t made; /* view_now_ms() */
	int64_t size_until; /* until then stat() reports the size of `text` */
};

/*
 * Returns the text if it is fresh enough, else NULL.  open() gets the text whose size the last
 * stat() reported, if that is less than TEXT_MS old; and stat() reports the size of a text that
 * was opened less than TEXT_MS ago.  So size and content agree for a program that uses both.
 */
static struct shared_buf *find_fresh_text(struct json_file *f, bool opening)
{
	int64_t now = view_now_ms();

	if (!f->text || now >= (opening ? f->made + TEXT_MS : f->size_until))
		return NULL;
	if (opening)
		f->size_until = now + TEXT_MS;
	return shared_buf_ref(f->text);
}

static char *make_json(struct tree *t, struct node *image, size_t *len)
{
	struct image_inspection i;
	struct info info;
	char *text;

	if (image_file_inspect(t, image, &i))
		return NULL;
	info = (struct info){ .path = i.path, .img = i.img, .live = i.live,
			      .error = i.failed ? i.why.text : NULL,
			      .shown = tree_shows_views(t, &snapshot_dir_views) ? snapshot_names :
										  NULL };
	qc_get_counters(t->ctx, &info.counters);
	text = image_json_text(&info, len);
	image_file_inspection_end(&i);
	return text;
}

/* Returns the text with one reference; NULL: no memory. */
static struct shared_buf *get_json_text(struct tree *t, struct node *n, bool opening)
{
	struct json_file *f = n->data;
	struct shared_buf *text, *old;
	size_t len = 0;
	char *bytes;

	pthread_mutex_lock(&n->attr_lock);
	text = find_fresh_text(f, opening);
	pthread_mutex_unlock(&n->attr_lock);
	if (text)
		return text;
	bytes = make_json(t, n->origin, &len);
	text = shared_buf_new(bytes, len);
	if (!text)
		return NULL;
	pthread_mutex_lock(&n->attr_lock);
	old = f->text;
	f->text = shared_buf_ref(text);
	f->made = view_now_ms();
	f->size_until = f->made + TEXT_MS;
	pthread_mutex_unlock(&n->attr_lock);
	shared_buf_put(old);
	return text;
}

static int open_json(struct tree *t, struct node *n, struct shared_buf **out)
{
	struct stat st;
	int r = image_attr_stat_file(t, n->origin, &st);

	if (r)
		return r;
	*out = get_json_text(t, n, true);
	return *out ? 0 : -ENOMEM;
}

static int getattr_of_json(struct tree *t, struct node *n, struct stat *st)
{
	struct shared_buf *text;
	int r = view_attr_begin(t, n, st);

	if (!r) {
		text = get_json_text(t, n, false);
		r = text ? 0 : -ENOMEM;
		if (text)
			view_attr_make_file(text->len, 0444, st);
		shared_buf_put(text);
	}
	return view_attr_end(t, n, r, st);
}

static void free_json(struct node *n)
{
	struct json_file *f = n->data;

	if (f)
		shared_buf_put(f->text);
	free(f);
}

static const struct node_ops json_ops = {
	.getattr = getattr_of_json,
	.open_text = open_json,
	.free = free_json,
};

static struct node *make_json_node(struct tree *t, struct name *view, struct node *image)
{
	struct json_file *f = calloc(1, sizeof(*f));
	struct node *n = f ? view_new(t, &json_ops, false, view, image) : NULL;

	if (n)
		n->data = f;
	else
		free(f);
	return n;
}

const struct view_provider json_file_views = {
	.suffix = ".json",
	.make = make_json_node,
};
