/* SPDX-License-Identifier: MIT */
/*
 * snapshot_dir.c - the directory is read again through the changed image at once, under its
 * lock: another reader sees all of a change or nothing.
 */
#include "views/snapshot_dir.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tree/image_file.h"
#include "tree/raw_name.h"
#include "util/hash_bytes.h"
#include "views/entry_dir.h"
#include "views/snapshot_files.h"
#include "views/snapshot_names.h"
#include "views/view_attr.h"

/* ---- entries ---------------------------------------------------------------- */

/* A snapshot keeps its key under another name; one that is taken anew gets another key. */
static uint64_t hash_snapshot(const struct qc_snapshot *s)
{
	uint64_t v[] = { (uint64_t)s->date_s, s->date_ns, s->l1_offset, s->id_len };

	return hash_bytes(hash_bytes(0, v, sizeof(v)), s->id, s->id_len);
}

static int fill_entries(const struct qc_snapshots *all, char **names, struct dir_entries *out)
{
	out->at = calloc(all->n + 1, sizeof(*out->at));
	if (!out->at)
		return -ENOMEM;
	for (size_t i = 0; i < all->n; i++) {
		struct dir_entry *e = &out->at[out->n++];

		e->shown = names[i];
		names[i] = NULL;
		e->key = hash_snapshot(&all->at[i]);
		e->data = snapshot_files_copy(&all->at[i]);
		if (!e->data)
			return -ENOMEM;
	}
	return 0;
}

static int list_snapshot_entries(struct qc_image *img, struct dir_entries *out)
{
	struct qc_snapshots all = { 0 };
	char **names = NULL;
	int r = qc_list_snapshots(img, &all);

	if (!r)
		r = snapshot_names(&all, &names);
	if (!r)
		r = fill_entries(&all, names, out);
	snapshot_names_free(names, all.n);
	qc_snapshots_free(&all);
	return r;
}

static const struct entry_dir_kind snapshot_kind = {
	.read = list_snapshot_entries,
	.make = snapshot_files_make_dir,
	.update = snapshot_files_update,
};

static int getattr_of_snapshots(struct tree *t, struct node *dir, struct stat *st)
{
	int r = view_attr_begin(t, dir, st);

	if (!r)
		view_attr_make_dir(t, true, st);
	return view_attr_end(t, dir, r, st);
}

/* ---- changes ---------------------------------------------------------------- */

struct change {
	struct tree *t;
	struct node *dir;
	struct qc_image *img;
};

/* Converts a name in the mount to the name in the image, to be freed. */
static int parse_snapshot_name(const char *shown, char **bytes, size_t *len)
{
	if (strlen(shown) > RAW_NAME_MAX)
		return -ENAMETOOLONG;
	return snapshot_name_unescape(shown, bytes, len);
}

/* Locks the directory, and opens the image for writing. */
static int begin_change(struct change *c, struct tree *t, struct node *dir)
{
	int r;

	*c = (struct change){ .t = t, .dir = dir };
	if (t->config.ro || t->config.cow)
		return -EROFS;
	pthread_mutex_lock(&dir->dir.lock);
	r = image_file_open(t, dir->origin, QC_OPEN_WRITE, &c->img);
	if (r)
		pthread_mutex_unlock(&dir->dir.lock);
	return r == -ESTALE ? -ENOENT : r;
}

/* After a success the entries are read again through the image.  If that fails they stay as
 * they were until the next reader. */
static void read_changed(struct change *c)
{
	entry_dir_read(c->t, c->dir, c->img);
}

static void end_change(struct change *c)
{
	entry_dir_expire(c->dir);
	qc_close(c->img);
	pthread_mutex_unlock(&c->dir->dir.lock);
}

/* Finds a snapshot by its name in the mount, as the image has it now. */
static int find_snapshot(struct change *c, const char *name, const struct qc_snapshot **out)
{
	int r = entry_dir_read(c->t, c->dir, c->img);
	struct dir_entry *e = r ? NULL : entry_dir_find(c->dir, name);

	*out = e ? e->data : NULL;
	return r ? r : e ? 0 : -ENOENT;
}

static int take_snapshot(struct tree *t, struct node *dir, const char *name,
			 const struct tree_maker *by, struct node **out)
{
	struct change c;
	struct dir_entry *e;
	char *bytes;
	size_t len;
	int r = parse_snapshot_name(name, &bytes, &len);

	(void)by;
	if (r)
		return r;
	r = begin_change(&c, t, dir);
	if (!r) {
		r = qc_snapshot_take(c.img, bytes, len);
		if (!r) {
			read_changed(&c);
			e = entry_dir_find(dir, name);
			r = e ? entry_dir_ref_node(t, dir, e, out) : -EIO;
		}
		end_change(&c);
	}
	free(bytes);
	return r;
}

/* Deletes it with the files in it, which cannot be removed by themselves. */
static int remove_snapshot_dir(struct tree *t, struct node *dir, const char *name)
{
	const struct qc_snapshot *s;
	struct change c;
	int r = begin_change(&c, t, dir);

	if (r)
		return r;
	r = find_snapshot(&c, name, &s);
	if (!r) {
		r = qc_snapshot_delete(c.img, s);
		if (!r)
			read_changed(&c);
	}
	end_change(&c);
	return r;
}

static int rename_snapshot_dir(struct tree *t, struct node *dir, const char *name,
			   struct node *to_dir, const char *to)
{
	const struct qc_snapshot *s;
	struct change c;
	char *bytes;
	size_t len;
	int r;

	if (t->config.ro)
		return -EROFS;
	if (to_dir != dir) /* a copy would be needed, and mv(1) must not try one */
		return -EPERM;
	r = parse_snapshot_name(to, &bytes, &len);
	if (r)
		return r;
	r = begin_change(&c, t, dir);
	if (!r) {
		r = find_snapshot(&c, name, &s);
		if (!r && entry_dir_find(dir, to))
			r = -EEXIST;
		if (!r) {
			r = qc_snapshot_rename(c.img, s, bytes, len);
			if (!r)
				read_changed(&c);
		}
		end_change(&c);
	}
	free(bytes);
	return r;
}

/* ---- the directory ---------------------------------------------------------- */

static const struct node_ops snapshot_dir_ops = {
	.lookup = entry_dir_lookup,
	.list = entry_dir_list,
	.mkdir = take_snapshot,
	.rmdir = remove_snapshot_dir,
	.rename = rename_snapshot_dir,
	.getattr = getattr_of_snapshots,
	.free = entry_dir_free,
};

static struct node *make_snapshot_dir(struct tree *t, struct name *view, struct node *image)
{
	return entry_dir_new(t, &snapshot_dir_ops, &snapshot_kind, view, image);
}

const struct view_provider snapshot_dir_views = {
	.suffix = ".snapshots",
	.make = make_snapshot_dir,
};
