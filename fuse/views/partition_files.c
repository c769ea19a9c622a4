/* SPDX-License-Identifier: MIT */
/*
 * partition_files.c - the byte range of a partition's node never changes: if the table changes,
 * the name gets a new node, and the old one is detached.
 *
 * Locks: partition_state.lock, then those of the tree (tree/tree_fields.h).
 */
#include "views/partition_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tree/image_attr.h"
#include "tree/image_file.h"
#include "tree/mirror_dir.h"
#include "tree/raw_name.h"
#include "views/partition_table.h"
#include "views/view.h"
#include "views/view_attr.h"

/* Of one name of an image. */
struct partition_state {
	pthread_mutex_t lock;	  /* one thread reads the table at a time; guards all fields; taken
				   * before all locks of tree_fields.h */
	bool is_read;		  /* the names are true for an image that is: */
	struct identity read_of;
	unsigned int write_version;
	bool unreadable;	  /* the image could not be opened: */
	unsigned int opened;	  /* image.opened then; later there may be a key */
};

/* ---- nodes ------------------------------------------------------------------ */

static int open_partition(struct tree *t, struct node *n, bool write, struct qc_image **out)
{
	if (n->detached)
		return -ESTALE;
	return image_file_open_cow(t, n->origin, write ? QC_OPEN_WRITE : 0, out);
}

static int getattr_of_partition(struct tree *t, struct node *n, struct stat *st)
{
	int r = view_attr_begin(t, n, st);

	if (!r && n->detached)
		r = -ESTALE;
	if (!r) {
		view_attr_make_file(n->range.len, t->config.ro ? 0444 : 0666, st);
		if (t->config.cow)
			st->st_mode |= S_IWUSR;
	}
	return view_attr_end(t, n, r, st);
}

static const struct node_ops partition_ops = {
	.getattr = getattr_of_partition,
	.open = open_partition,
};

static struct node *make_partition_node(struct tree *t, struct name *view, struct node *image)
{
	const struct partition *p = view->data;
	struct node *n = view_new(t, &partition_ops, false, view, image);

	if (!n)
		return NULL;
	n->range = (struct byte_range){ p->start, p->len };
	n->shares_writes = true;
	return n;
}

/* ---- names; tree.lock is held ----------------------------------------------- */

static struct name *find_partition_name(struct name *of, unsigned int number)
{
	struct name *v = of->views;

	while (v && (v->provider != &partition_files_views ||
		     ((struct partition *)v->data)->number != number))
		v = v->next_view;
	return v;
}

static bool is_same_partition(const struct partition *a, const struct partition *b)
{
	return a->number == b->number && a->start == b->start && a->len == b->len;
}

/* Without memory the partition is not shown until the next reading. */
static void show_partition(struct tree *t, struct name *of, const struct partition *p)
{
	struct name *v = find_partition_name(of, p->number);
	struct partition *copy;
	char suffix[24];

	if (v && !v->gone && is_same_partition(v->data, p))
		return;
	copy = malloc(sizeof(*copy));
	if (!copy)
		return;
	*copy = *p;
	snprintf(suffix, sizeof(suffix), ".p%u.raw", p->number);
	if (v)
		name_replace_view(t, v, copy);
	else if (!name_add_view(t, of, &partition_files_views, suffix, copy))
		free(copy);
}

static bool has_number(const struct partition *part, size_t n, unsigned int number)
{
	for (size_t i = 0; i < n; i++)
		if (part[i].number == number)
			return true;
	return false;
}

static void show_partitions(struct tree *t, struct name *of, const struct partition *part,
			    size_t n)
{
	for (struct name *v = of->views; v; v = v->next_view)
		if (v->provider == &partition_files_views && !v->gone &&
		    !has_number(part, n, ((struct partition *)v->data)->number))
			name_remove_view(t, v);
	for (size_t i = 0; i < n; i++)
		show_partition(t, of, &part[i]);
}

/* ---- reading ---------------------------------------------------------------- */

/* Reads the table; an unreadable image has no partitions.  *final: the same file will give the
 * same next time.  Returns -errno if that is not known, for want of memory or descriptors. */
static int read_partitions(struct tree *t, struct node *image, struct partition_state *s,
			   struct partition part[PART_MAX], size_t *n, bool *final)
{
	struct qc_reason why;
	struct qc_image *img;
	int r = image_file_open_first(t, image, &img, &why);

	s->unreadable = r;
	s->opened = image->image.opened;
	*n = 0;
	*final = true;
	if (!r) {
		r = partition_table_read(img, part, n);
		qc_close(img);
	} else {
		*final = why.cause != QC_CAUSE_LOCKED && r != -ESTALE;
	}
	if (r == -ENOMEM || r == -EMFILE || r == -ENFILE)
		return r;
	if (r)
		*n = 0;
	return 0;
}

static void refresh_locked(struct tree *t, struct name *of, struct node *image,
			   struct partition_state *s)
{
	struct partition part[PART_MAX];
	unsigned int version;
	struct identity id;
	struct stat st;
	bool final;
	size_t n;

	if (image_attr_stat_file(t, image, &st))
		return;
	id = identity_of(&st);
	version = image_file_write_version(image); /* a later write may be missed by the reading */
	if (s->is_read && s->write_version == version && identity_same_content(&s->read_of, &id) &&
	    !(s->unreadable && s->opened != image->image.opened))
		return;
	s->is_read = false;
	if (read_partitions(t, image, s, part, &n, &final))
		return;
	pthread_mutex_lock(&t->lock);
	if (of->node == image)
		show_partitions(t, of, part, n);
	pthread_mutex_unlock(&t->lock);
	/* The times of a block device do not show writes. */
	s->is_read = final && S_ISREG(st.st_mode) && identity_times_reliable(&id);
	s->read_of = id;
	s->write_version = version;
}

static struct partition_state *get_state(struct tree *t, void **state)
{
	struct partition_state *s;

	pthread_mutex_lock(&t->lock);
	if (!*state) {
		s = calloc(1, sizeof(*s));
		if (s)
			pthread_mutex_init(&s->lock, NULL);
		*state = s;
	}
	s = *state;
	pthread_mutex_unlock(&t->lock);
	return s;
}

static void refresh_partitions(struct tree *t, struct name *of, struct node *image, void **state)
{
	struct partition_state *s = get_state(t, state);

	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	refresh_locked(t, of, image, s);
	pthread_mutex_unlock(&s->lock);
}

static void free_partition_state(void *state)
{
	struct partition_state *s = state;

	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* ---- lookups ---------------------------------------------------------------- */

/* Returns the .pN.raw that a name ends in; NULL: none. */
static const char *find_partition_suffix(const char *name)
{
	const char *dot = NULL;

	for (const char *p = strstr(name, ".p"); p; p = strstr(p + 1, ".p"))
		dot = p;
	if (!dot || dot == name || dot[2] == '0' || !strspn(dot + 2, "0123456789") ||
	    strcmp(dot + 2 + strspn(dot + 2, "0123456789"), ".raw"))
		return NULL;
	return dot;
}

/* Removes the suffix, given in `like`, from a name's end. */
static bool remove_suffix(char *name, const char *like)
{
	size_t len = strlen(name), n = strlen(like);

	if (len <= n || strcmp(name + len - n, like))
		return false;
	name[len - n] = 0;
	return true;
}

/* The suffix stands there several times where shorter names were taken.  From a name that was
 * cut the image's name cannot be told: then all images of the directory are read. */
static void refresh_for_lookup(struct tree *t, struct node *dir, const char *name)
{
	const char *suffix = find_partition_suffix(name);
	char *stem = suffix ? strdup(name) : NULL, *raw;

	if (stem && strstr(name, "%~") && strlen(name) + 4 > RAW_NAME_MAX) {
		mirror_dir_refresh_views(t, &partition_files_views, dir);
		free(stem);
		return;
	}
	while (stem && remove_suffix(stem, suffix)) {
		if (asprintf(&raw, "%s.raw", stem) < 0)
			break;
		mirror_dir_refresh_view_of(t, &partition_files_views, dir, raw);
		free(raw);
	}
	free(stem);
}

const struct view_provider partition_files_views = {
	.writes_image = true,
	.make = make_partition_node,
	.refresh = refresh_partitions,
	.refresh_for = refresh_for_lookup,
	.free_state = free_partition_state,
};
