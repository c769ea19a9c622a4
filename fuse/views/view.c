/* SPDX-License-Identifier: MIT */
#include "views/view.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "tree/image_file.h"

struct node *view_new(struct tree *t, const struct node_ops *ops, bool is_dir, struct name *view,
		      struct node *image)
{
	uint64_t ino = node_ino_of_part(image, view->shown, strlen(view->shown));
	struct node *n = node_new(t, ops, is_dir, ino, image);

	if (n)
		n->parent = view->dir;
	return n;
}

struct node *view_new_below(struct tree *t, const struct node_ops *ops, bool is_dir,
			    struct node *dir, const void *part, size_t len)
{
	struct node *n;

	pthread_mutex_lock(&t->lock);
	n = node_new(t, ops, is_dir, node_ino_of_part(dir, part, len), dir);
	pthread_mutex_unlock(&t->lock);
	if (n) {
		n->parent = dir;
		n->last_ref_lock = &dir->dir.lock;
	}
	return n;
}

int view_open_part(struct tree *t, struct node *n, bool write, view_part_fn *open_part,
		   struct qc_image **out)
{
	struct qc_reason why = { 0 };
	struct qc_image *img;
	int r;

	if (write)
		return -EROFS;
	if (n->detached)
		return -ESTALE;
	r = image_file_open(t, n->origin, 0, &img);
	if (r)
		return r;
	r = open_part(n, img, out, &why);
	qc_close(img);
	return r && r != -ESTALE && r != -ENOMEM ? image_file_report(t, n->origin, r, &why) : r;
}

int64_t view_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
