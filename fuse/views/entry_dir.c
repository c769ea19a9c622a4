/* SPDX-License-Identifier: MIT */
#include "views/entry_dir.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tree/image_attr.h"
#include "tree/image_file.h"
#include "views/view_attr.h"

/* node.data of the directory; all under its lock. */
struct entry_dir {
	const struct entry_dir_kind *kind;
	struct dir_entries entries;
	bool is_read;		 /* the entries are those of an image that is: */
	struct identity read_of;
	int64_t read_at; /* view_now_ms() */
};

/* ---- order ------------------------------------------------------------------ */

static int compare_entry_names(const void *a, const void *b)
{
	return strcmp(((const struct dir_entry *)a)->shown, ((const struct dir_entry *)b)->shown);
}

static int compare_entry_keys(const void *a, const void *b)
{
	const struct dir_entry *x = *(struct dir_entry *const *)a;
	const struct dir_entry *y = *(struct dir_entry *const *)b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return compare_entry_names(x, y);
}

/* Sorts the entries, and changes keys so that no two are the same. */
static int sort_entries(struct dir_entries *e)
{
	e->by_key = calloc(e->n + 1, sizeof(*e->by_key));
	if (!e->by_key)
		return -ENOMEM;
	if (e->n)
		qsort(e->at, e->n, sizeof(*e->at), compare_entry_names);
	for (size_t i = 0; i < e->n; i++) {
		e->at[i].key >>= 1; /* leaves room to count up */
		e->by_key[i] = &e->at[i];
	}
	if (e->n)
		qsort(e->by_key, e->n, sizeof(struct dir_entry *), compare_entry_keys);
	for (size_t i = 1; i < e->n; i++)
		if (e->by_key[i]->key <= e->by_key[i - 1]->key)
			e->by_key[i]->key = e->by_key[i - 1]->key + 1;
	return 0;
}

static struct dir_entry *find_entry_by_key(const struct dir_entries *e, uint64_t key)
{
	size_t low = 0, high = e->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (e->by_key[mid]->key < key)
			low = mid + 1;
		else
			high = mid;
	}
	return low < e->n && e->by_key[low]->key == key ? e->by_key[low] : NULL;
}

struct dir_entry *entry_dir_find(struct node *dir, const char *name)
{
	const struct dir_entries *e = &((struct entry_dir *)dir->data)->entries;
	struct dir_entry key = { .shown = (char *)name };

	return e->n ? bsearch(&key, e->at, e->n, sizeof(key), compare_entry_names) : NULL;
}

static void free_entries(struct dir_entries *e)
{
	for (size_t i = 0; e->at && i < e->n; i++) {
		free(e->at[i].shown);
		entry_data_put(e->at[i].data);
	}
	free(e->at);
	free(e->by_key);
	*e = (struct dir_entries){ 0 };
}

/* ---- reading ---------------------------------------------------------------- */

/* Nodes go from the old entries to the new ones of the same keys. */
static void replace_entries(struct entry_dir *d, struct dir_entries *new)
{
	for (size_t i = 0; i < d->entries.n; i++) {
		struct node *n = d->entries.at[i].node;
		struct dir_entry *e = n ? find_entry_by_key(new, n->key) : NULL;

		if (e) {
			e->node = n;
			if (d->kind->update)
				d->kind->update(n, entry_data_ref(e->data));
		} else if (n) {
			n->detached = true;
		}
	}
	free_entries(&d->entries);
	d->entries = *new;
}

static int read_from_image(struct entry_dir *d, struct qc_image *img)
{
	struct dir_entries new = { 0 };
	int r = d->kind->read(img, &new);

	if (!r)
		r = sort_entries(&new);
	if (r)
		free_entries(&new);
	else
		replace_entries(d, &new);
	return r == -EINVAL ? -EIO : r;
}

static bool is_still_valid(const struct entry_dir *d, const struct identity *id)
{
	return d->is_read && identity_same_content(&d->read_of, id) &&
	       (!d->kind->valid_ms || view_now_ms() - d->read_at < d->kind->valid_ms);
}

int entry_dir_read(struct tree *t, struct node *dir, struct qc_image *img)
{
	struct entry_dir *d = dir->data;
	struct qc_image *opened = NULL;
	struct identity id;
	struct stat st;
	int r = image_attr_stat_file(t, dir->origin, &st);

	if (r)
		return r == -ESTALE ? -ENOENT : r;
	id = identity_of(&st);
	if (!img && is_still_valid(d, &id))
		return 0;
	if (!img)
		r = image_file_open(t, dir->origin, 0, &opened);
	if (!r)
		r = read_from_image(d, img ? img : opened);
	d->is_read = !r && identity_times_reliable(&id);
	d->read_of = id;
	d->read_at = view_now_ms();
	if (opened)
		qc_close(opened);
	return r;
}

void entry_dir_expire(struct node *dir)
{
	((struct entry_dir *)dir->data)->is_read = false;
}

/* ---- nodes ------------------------------------------------------------------ */

int entry_dir_ref_node(struct tree *t, struct node *dir, struct dir_entry *e, struct node **out)
{
	const struct entry_dir *d = dir->data;
	int r;

	if (e->node) {
		node_ref(e->node);
	} else {
		r = d->kind->make(t, dir, e, &e->node);
		if (r)
			return r;
		e->node->key = e->key;
	}
	*out = e->node;
	return 0;
}

bool entry_dir_entry_unused(struct tree *t, struct node *n)
{
	struct entry_dir *d = n->held->data;

	(void)t;
	if (!n->detached)
		find_entry_by_key(&d->entries, n->key)->node = NULL;
	return true;
}

int entry_dir_node_new(struct tree *t, const struct node_ops *ops, bool is_dir, struct node *dir,
		       const struct dir_entry *e, struct node **out)
{
	struct node *n = view_new_below(t, ops, is_dir, dir, &e->key, sizeof(e->key));

	if (!n)
		return -ENOMEM;
	n->data = entry_data_ref(e->data);
	*out = n;
	return 0;
}

void *entry_dir_node_data(struct node *n)
{
	void *data;

	pthread_mutex_lock(&n->attr_lock);
	data = entry_data_ref(n->data);
	pthread_mutex_unlock(&n->attr_lock);
	return data;
}

void entry_dir_node_update(struct node *n, void *data)
{
	void *old;

	pthread_mutex_lock(&n->attr_lock);
	old = n->data;
	n->data = data;
	pthread_mutex_unlock(&n->attr_lock);
	entry_data_put(old);
}

void entry_dir_node_free(struct node *n)
{
	entry_data_put(n->data);
}

/* ---- the directory ------------------------------------------------------------ */

struct node *entry_dir_new(struct tree *t, const struct node_ops *ops,
			   const struct entry_dir_kind *kind, struct name *view,
			   struct node *image)
{
	struct entry_dir *d = calloc(1, sizeof(*d));
	struct node *n = d ? view_new(t, ops, true, view, image) : NULL;

	if (!n) {
		free(d);
		return NULL;
	}
	d->kind = kind;
	n->data = d;
	return n;
}

void entry_dir_free(struct node *dir)
{
	struct entry_dir *d = dir->data;

	if (!d)
		return;
	free_entries(&d->entries);
	free(d);
}

/* ---- operations ------------------------------------------------------------- */

int entry_dir_lookup(struct tree *t, struct node *dir, const char *name, struct node **out)
{
	struct dir_entry *e;
	int r;

	pthread_mutex_lock(&dir->dir.lock);
	r = entry_dir_read(t, dir, NULL);
	e = r ? NULL : entry_dir_find(dir, name);
	if (!r)
		r = e ? entry_dir_ref_node(t, dir, e, out) : -ENOENT;
	pthread_mutex_unlock(&dir->dir.lock);
	return r;
}

static int list_entries(struct tree *t, struct node *dir, struct listing *l)
{
	struct dir_entries *e = &((struct entry_dir *)dir->data)->entries;
	struct node *n;
	int r;

	/* Even if the entries are valid: another program may have locked the image since. */
	if (!((struct entry_dir *)dir->data)->kind->costly)
		entry_dir_expire(dir);
	r = entry_dir_read(t, dir, NULL);
	if (r)
		return r;
	r = listing_reserve(l, e->n);
	for (size_t i = 0; !r && i < e->n; i++) {
		if (e->at[i].hidden)
			continue;
		r = entry_dir_ref_node(t, dir, &e->at[i], &n);
		if (!r)
			r = listing_append(l, n, e->at[i].shown);
	}
	return r;
}

int entry_dir_list(struct tree *t, struct node *dir, struct listing *out)
{
	int r;

	pthread_mutex_lock(&dir->dir.lock);
	r = list_entries(t, dir, out);
	pthread_mutex_unlock(&dir->dir.lock);
	if (r)
		listing_free(t, out);
	return r;
}

int entry_dir_getattr(struct tree *t, struct node *dir, struct stat *st)
{
	const struct entry_dir *d = dir->data;
	int r = view_attr_begin(t, dir, st);

	if (!r)
		view_attr_make_dir(t, d->kind->writable, st);
	return view_attr_end(t, dir, r, st);
}
