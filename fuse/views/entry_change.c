/* SPDX-License-Identifier: MIT */
#include "views/entry_change.h"

#include <errno.h>

#include "tree/image_file.h"
#include "tree/tree_fields.h"

int entry_change_begin(struct entry_change *c, struct tree *t, struct node *dir)
{
	int r;

	*c = (struct entry_change){ .t = t, .dir = dir };
	if (t->config.ro || t->config.cow)
		return -EROFS;
	pthread_mutex_lock(&dir->dir.lock);
	r = image_file_open(t, dir->origin, QC_OPEN_WRITE, &c->img);
	if (r)
		pthread_mutex_unlock(&dir->dir.lock);
	return r == -ESTALE ? -ENOENT : r;
}

static void close_change(struct entry_change *c)
{
	entry_dir_expire(c->dir);
	qc_close(c->img);
	pthread_mutex_unlock(&c->dir->dir.lock);
}

int entry_change_end(struct entry_change *c, int r)
{
	if (!r)
		entry_dir_read(c->t, c->dir, c->img);
	close_change(c);
	return r;
}

int entry_change_end_new(struct entry_change *c, int r, const char *name, struct node **out)
{
	struct dir_entry *e;

	if (!r)
		r = entry_dir_read(c->t, c->dir, c->img);
	if (!r) {
		e = entry_dir_find(c->dir, name);
		r = e ? entry_dir_ref_node(c->t, c->dir, e, out) : -EIO;
	}
	close_change(c);
	return r;
}

int entry_change_find(struct entry_change *c, const char *name, const void **data)
{
	int r = entry_dir_read(c->t, c->dir, c->img);
	struct dir_entry *e = r ? NULL : entry_dir_find(c->dir, name);

	*data = e ? e->data : NULL;
	return r ? r : e ? 0 : -ENOENT;
}

int entry_change_check_rename(const struct tree *t, const struct node *dir,
			      const struct node *to_dir)
{
	return t->config.ro ? -EROFS : to_dir != dir ? -EPERM : 0;
}
