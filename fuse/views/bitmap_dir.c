/* SPDX-License-Identifier: MIT */
#include "views/bitmap_dir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qcow.h"
#include "tree/node_info.h"
#include "tree/raw_name.h"
#include "util/hash_bytes.h"
#include "views/entry_change.h"
#include "views/snapshot_names.h"
#include "views/view_attr.h"

enum { BITMAPS_MS = 1000, FILE_SUFFIX_BYTES = 4 }; /* ".raw" */

/* Of an entry, and of its node; the node's attr_lock. */
struct bitmap_entry {
	bool is_dir; /* for mkdir, rmdir and rename */
	uint64_t size, dirty_bytes;
	size_t len;
	char name[]; /* in the image */
};

/* ---- entries ---------------------------------------------------------------- */

static struct bitmap_entry *new_bitmap_entry(const struct qc_bitmap *b, uint64_t size, bool is_dir)
{
	struct bitmap_entry *e = entry_data_new(sizeof(*e) + b->name_len + 1);

	if (!e)
		return NULL;
	e->is_dir = is_dir;
	e->size = size;
	e->dirty_bytes = b->dirty_bytes;
	e->len = b->name_len;
	memcpy(e->name, b->name, b->name_len);
	return e;
}

/* Returns the name of a bitmap in the mount, with room for the suffix. */
static char *show_bitmap_name(const struct qc_bitmap *b)
{
	return raw_name_cut(snapshot_name_escape(b->name, b->name_len),
			    RAW_NAME_MAX - FILE_SUFFIX_BYTES);
}

static bool is_name_taken(const struct dir_entries *out, const char *name)
{
	for (size_t i = 0; i < out->n; i++)
		if (!strcmp(out->at[i].shown, name))
			return true;
	return false;
}

/* Adds the file or the directory of a bitmap, unless its name is taken. */
static int add_bitmap_entry(struct dir_entries *out, const struct qc_bitmap *b, uint64_t size,
			    bool is_dir)
{
	struct dir_entry e = { .hidden = is_dir };
	char *shown = show_bitmap_name(b);

	if (!shown || asprintf(&e.shown, "%s%s", shown, is_dir ? "" : ".raw") < 0)
		e.shown = NULL;
	free(shown);
	if (!e.shown)
		return -ENOMEM;
	if (is_name_taken(out, e.shown)) {
		free(e.shown);
		return 0;
	}
	e.key = hash_bytes(is_dir, b->name, b->name_len);
	e.data = new_bitmap_entry(b, size, is_dir);
	out->at[out->n++] = e;
	return e.data ? 0 : -ENOMEM;
}

static int read_bitmap_entries(struct qc_image *img, struct dir_entries *out)
{
	struct qc_bitmaps all;
	int r = qc_list_bitmaps(img, &all);

	if (r == -EINVAL || r == -EFBIG || r == -EIO)
		r = 0; /* damaged: NAME.json says so */
	if (!r)
		r = qc_count_dirty_bytes(img, &all);
	if (!r)
		out->at = calloc(2 * all.n + 1, sizeof(*out->at));
	if (!r && !out->at)
		r = -ENOMEM;
	for (size_t i = 0; !r && i < 2 * all.n; i++) /* files first */
		r = add_bitmap_entry(out, &all.at[i % all.n], qc_size(img), i >= all.n);
	qc_bitmaps_free(&all);
	return r;
}

/* ---- files ------------------------------------------------------------------ */

static int open_viewed_bitmap(struct node *n, struct qc_image *img, struct qc_image **out,
			      struct qc_reason *why)
{
	struct bitmap_entry *e = entry_dir_node_data(n);
	int r = qc_bitmap_open(img, e->name, e->len, out, why);

	entry_data_put(e);
	return r == -ENOENT ? -ESTALE : r;
}

static int open_bitmap_file(struct tree *t, struct node *n, bool write, struct qc_image **out)
{
	return view_open_part(t, n, write, open_viewed_bitmap, out);
}

static int getattr_of_bitmap(struct tree *t, struct node *n, struct stat *st)
{
	struct bitmap_entry *e = entry_dir_node_data(n);
	int r = view_attr_begin(t, n, st);

	if (!r && n->detached)
		r = -ESTALE;
	if (!r && e->is_dir) {
		view_attr_make_dir(t, false, st);
	} else if (!r) {
		view_attr_make_file(e->size, 0444, st);
		st->st_blocks = (blkcnt_t)((e->dirty_bytes + 511) / 512);
	}
	entry_data_put(e);
	return view_attr_end(t, n, r, st);
}

static int get_info_of_bitmap(struct tree *t, struct node *n, struct node_info *out)
{
	struct bitmap_entry *e = entry_dir_node_data(n);

	(void)t;
	out->has_size = out->has_dirty_bytes = true;
	out->size = e->size;
	out->dirty_bytes = e->dirty_bytes;
	entry_data_put(e);
	return n->detached ? -ESTALE : 0;
}

static const struct node_ops bitmap_file_ops = {
	.getattr = getattr_of_bitmap,
	.info = get_info_of_bitmap,
	.open = open_bitmap_file,
	.unused = entry_dir_entry_unused,
	.free = entry_dir_node_free,
};

static int find_nothing(struct tree *t, struct node *dir, const char *name, struct node **out)
{
	(void)t, (void)dir, (void)name, (void)out;
	return -ENOENT;
}

static int list_nothing(struct tree *t, struct node *dir, struct listing *out)
{
	(void)t, (void)dir;
	return listing_reserve(out, 0);
}

static const struct node_ops bitmap_handle_ops = {
	.lookup = find_nothing,
	.list = list_nothing,
	.getattr = getattr_of_bitmap,
	.unused = entry_dir_entry_unused,
	.free = entry_dir_node_free,
};

static int make_bitmap_node(struct tree *t, struct node *dir, const struct dir_entry *e,
			    struct node **out)
{
	const struct bitmap_entry *b = e->data;
	const struct node_ops *ops = b->is_dir ? &bitmap_handle_ops : &bitmap_file_ops;
	int r = entry_dir_node_new(t, ops, b->is_dir, dir, e, out);

	if (!r)
		(*out)->follows_writes = !b->is_dir;
	return r;
}

static const struct entry_dir_kind bitmap_kind = {
	.read = read_bitmap_entries,
	.make = make_bitmap_node,
	.update = entry_dir_node_update,
	.valid_ms = BITMAPS_MS,
	.writable = true,
};

/* ---- changes ---------------------------------------------------------------- */

/* Converts a name of the mount to a name in the image, to be freed. */
static int parse_bitmap_name(const char *shown, char **bytes, size_t *len)
{
	if (strlen(shown) > RAW_NAME_MAX - FILE_SUFFIX_BYTES)
		return -ENAMETOOLONG;
	return snapshot_name_unescape(shown, bytes, len);
}

static int make_bitmap(struct tree *t, struct node *dir, const char *name,
		       const struct tree_maker *by, struct node **out)
{
	struct entry_change c;
	char *bytes;
	size_t len;
	int r = parse_bitmap_name(name, &bytes, &len);

	(void)by;
	if (r)
		return r;
	r = entry_change_begin(&c, t, dir);
	if (!r)
		r = entry_change_end_new(&c, qc_bitmap_add(c.img, bytes, len, 0, true), name, out);
	free(bytes);
	return r;
}

/* Removes a bitmap by the name of its directory or its file. */
static int remove_bitmap_dir(struct tree *t, struct node *dir, const char *name)
{
	struct entry_change c;
	const void *found;
	int r = entry_change_begin(&c, t, dir);

	if (r)
		return r;
	r = entry_change_find(&c, name, &found);
	if (!r) {
		const struct bitmap_entry *e = found;

		r = qc_bitmap_remove(c.img, e->name, e->len);
	}
	return entry_change_end(&c, r);
}

/* Takes the suffix off the new name of a file. */
static int cut_file_suffix(char *to)
{
	size_t len = strlen(to);

	if (len <= FILE_SUFFIX_BYTES || strcmp(to + len - FILE_SUFFIX_BYTES, ".raw") != 0)
		return -EPERM;
	to[len - FILE_SUFFIX_BYTES] = 0;
	return 0;
}

static int rename_shown_bitmap(struct entry_change *c, const char *name, const char *to)
{
	char *shown = strdup(to), *bytes = NULL;
	const struct bitmap_entry *e;
	const void *found = NULL;
	size_t len;
	int r = shown ? entry_change_find(c, name, &found) : -ENOMEM;

	e = found;
	if (!r && !e->is_dir)
		r = cut_file_suffix(shown);
	if (!r)
		r = parse_bitmap_name(shown, &bytes, &len);
	if (!r)
		r = qc_bitmap_rename(c->img, e->name, e->len, bytes, len);
	free(bytes);
	free(shown);
	return r;
}

static int rename_bitmap_dir(struct tree *t, struct node *dir, const char *name,
			     struct node *to_dir, const char *to)
{
	struct entry_change c;
	int r = entry_change_check_rename(t, dir, to_dir);

	if (!r)
		r = entry_change_begin(&c, t, dir);
	return r ? r : entry_change_end(&c, rename_shown_bitmap(&c, name, to));
}

/* ---- the directory ---------------------------------------------------------- */

static const struct node_ops bitmap_dir_ops = {
	.lookup = entry_dir_lookup,
	.list = entry_dir_list,
	.mkdir = make_bitmap,
	.rmdir = remove_bitmap_dir,
	.rename = rename_bitmap_dir,
	.getattr = entry_dir_getattr,
	.free = entry_dir_free,
};

static struct node *new_bitmap_dir(struct tree *t, struct name *view, struct node *image)
{
	return entry_dir_new(t, &bitmap_dir_ops, &bitmap_kind, view, image);
}

const struct view_provider bitmap_dir_views = {
	.suffix = ".bitmaps",
	.make = new_bitmap_dir,
};
