/* SPDX-License-Identifier: MIT */
#include "views/snapshot_dir.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tree/raw_name.h"
#include "util/hash_bytes.h"
#include "views/entry_change.h"
#include "views/snapshot_files.h"
#include "views/snapshot_names.h"

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
	.writable = true,
};

/* ---- changes ---------------------------------------------------------------- */

/* Converts a name in the mount to the name in the image, to be freed. */
static int parse_snapshot_name(const char *shown, char **bytes, size_t *len)
{
	if (strlen(shown) > RAW_NAME_MAX)
		return -ENAMETOOLONG;
	return snapshot_name_unescape(shown, bytes, len);
}

static int take_snapshot(struct tree *t, struct node *dir, const char *name,
			 const struct tree_maker *by, struct node **out)
{
	struct entry_change c;
	char *bytes;
	size_t len;
	int r = parse_snapshot_name(name, &bytes, &len);

	(void)by;
	if (r)
		return r;
	r = entry_change_begin(&c, t, dir);
	if (!r)
		r = entry_change_end_new(&c, qc_snapshot_take(c.img, bytes, len), name, out);
	free(bytes);
	return r;
}

/* Deletes it with the files in it, which cannot be removed by themselves. */
static int remove_snapshot_dir(struct tree *t, struct node *dir, const char *name)
{
	struct entry_change c;
	const void *snapshot;
	int r = entry_change_begin(&c, t, dir);

	if (r)
		return r;
	r = entry_change_find(&c, name, &snapshot);
	if (!r)
		r = qc_snapshot_delete(c.img, snapshot);
	return entry_change_end(&c, r);
}

static int rename_snapshot_dir(struct tree *t, struct node *dir, const char *name,
			       struct node *to_dir, const char *to)
{
	struct entry_change c;
	const void *snapshot;
	char *bytes = NULL;
	size_t len;
	int r = entry_change_check_rename(t, dir, to_dir);

	if (!r)
		r = parse_snapshot_name(to, &bytes, &len);
	if (r)
		return r;
	r = entry_change_begin(&c, t, dir);
	if (!r) {
		r = entry_change_find(&c, name, &snapshot);
		if (!r && entry_dir_find(dir, to))
			r = -EEXIST;
		if (!r)
			r = qc_snapshot_rename(c.img, snapshot, bytes, len);
		r = entry_change_end(&c, r);
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
	.getattr = entry_dir_getattr,
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
