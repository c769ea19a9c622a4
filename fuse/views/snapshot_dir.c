/* SPDX-License-Identifier: MIT */
/*
 * snapshot_dir.c - taking, deleting and renaming an image's snapshots, by the names of
 * their folders.
 *
 * The image is opened for writing, unless it is, and the folder is read anew through
 * it at once; its lock is held all the while, so that nobody sees it half done.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tree/image_file.h"
#include "views/snapshot_names.h"
#include "views/view.h"

bool node_has_snapshots(const struct node *n)
{
	return n->view && n->view->kind == VIEW_SNAPSHOTS;
}

/* What a folder of that name is called in the image. */
static int name_for(const char *shown, char **bytes, size_t *len)
{
	if (strlen(shown) > SHOWN_MAX)
		return -ENAMETOOLONG;
	return snapshot_name_unescape(shown, bytes, len);
}

struct change {
	struct tree *t;
	struct node *folder;
	struct qc_image *img;
};

static int begin(struct change *c)
{
	int r;

	if (c->t->look.ro || c->t->look.cow || !node_has_snapshots(c->folder))
		return -EROFS;
	r = image_file_open(c->t, c->folder->view->image, QC_OPEN_WRITE, &c->img);
	return r == -ESTALE ? -ENOENT : r;
}

/* After a success the folder is as the image is now; if it cannot be read, as
 * it was, and is read again when somebody looks. */
static void end(struct change *c, int r)
{
	if (!r)
		view_read(c->t, c->folder, c->img);
	c->folder->view->is_read = false;
	qc_close(c->img);
}

static int row_of(struct change *c, const char *name, struct view_entry **out)
{
	int r = view_read(c->t, c->folder, c->img);

	*out = r ? NULL : view_entries_find(&c->folder->view->rows, name);
	return r ? r : *out ? 0 : -ENOENT;
}

int snapshot_dir_create(struct tree *t, struct node *folder, const char *name, struct node **out)
{
	struct change c = { t, folder, NULL };
	struct view_entry *row;
	char *bytes;
	size_t len;
	int r = name_for(name, &bytes, &len);

	if (r)
		return r;
	pthread_mutex_lock(&folder->lock);
	r = begin(&c);
	if (!r) {
		r = qc_snapshot_take(c.img, bytes, len);
		end(&c, r);
		row = r ? NULL : view_entries_find(&folder->view->rows, name);
		if (!r)
			r = row ? view_node_of(t, folder, row, out) : -EIO;
	}
	pthread_mutex_unlock(&folder->lock);
	free(bytes);
	return r;
}

int snapshot_dir_remove(struct tree *t, struct node *folder, const char *name)
{
	struct change c = { t, folder, NULL };
	struct view_entry *row;
	int r;

	pthread_mutex_lock(&folder->lock);
	r = begin(&c);
	if (!r) {
		r = row_of(&c, name, &row);
		if (!r)
			r = qc_snapshot_delete(c.img, row->snapshot);
		end(&c, r);
	}
	pthread_mutex_unlock(&folder->lock);
	return r;
}

int snapshot_dir_rename(struct tree *t, struct node *folder, const char *name, const char *to)
{
	struct change c = { t, folder, NULL };
	struct view_entry *row;
	char *bytes;
	size_t len;
	int r = name_for(to, &bytes, &len);

	if (r)
		return r;
	pthread_mutex_lock(&folder->lock);
	r = begin(&c);
	if (!r) {
		r = row_of(&c, name, &row);
		if (!r && view_entries_find(&folder->view->rows, to))
			r = -EEXIST;
		if (!r)
			r = qc_snapshot_rename(c.img, row->snapshot, bytes, len);
		end(&c, r);
	}
	pthread_mutex_unlock(&folder->lock);
	free(bytes);
	return r;
}
