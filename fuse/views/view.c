/* SPDX-License-Identifier: MIT */
#include "views/view.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tree/image_file.h"
#include "views/partition_files.h"

/* The kernel may know a chain for as long, too. */
enum { CHAIN_MS = 1000 };

/* ---- nodes ------------------------------------------------------------------ */

struct node *view_new(struct tree *t, struct node *parent, struct node *above,
		      enum view_kind kind, char *shown)
{
	bool folder = kind == VIEW_SNAPSHOTS || kind == VIEW_CHAIN || kind == VIEW_SNAPSHOT;
	struct node *n = node_new(t, parent, "", shown, folder);

	if (!n)
		return NULL;
	n->view = calloc(1, sizeof(*n->view));
	if (!n->view) {
		node_free(n);
		return NULL;
	}
	n->view->kind = kind;
	n->view->above = above;
	n->view->image = above->view ? above->view->image : above;
	return n;
}

void view_free(struct node *n)
{
	struct view *v = n->view;

	for (size_t i = 0; i < v->rows.n; i++)
		if (v->rows.at[i].node)
			node_free(v->rows.at[i].node);
	for (int i = 0; i < 2; i++)
		if (v->file[i])
			node_free(v->file[i]);
	view_entries_free(&v->rows);
	free(v->snapshot);
	free(v->path);
	shared_buf_put(v->text);
	free(v);
}

void view_detach(struct node *n)
{
	n->view->gone = true;
	n->detached = true;
	n->next = n->parent->replaced;
	n->parent->replaced = n;
}

void view_ref(struct node *n)
{
	if (!n->references)
		node_ref(n->view->above);
	node_ref(n);
}

void view_release(struct node *n)
{
	struct view *v = n->view, *up = n->parent->view;
	struct view_entry *row;

	if (n->detached) {
		node_drop_if_unused(n);
		return;
	}
	switch (v->kind) {
	case VIEW_INFO:
		shared_buf_put(v->text);
		v->text = NULL;
		return; /* the image has it */
	case VIEW_SNAPSHOTS:
	case VIEW_CHAIN:
	case VIEW_PART:
		return;
	case VIEW_SNAPSHOT:
	case VIEW_LAYER:
		row = view_entries_find_ino(&up->rows, n->ino);
		row->node = NULL;
		break;
	case VIEW_DISK:
	case VIEW_VMSTATE:
		up->file[v->kind == VIEW_VMSTATE] = NULL;
		break;
	}
	node_free(n);
}

/* ---- those of an image ------------------------------------------------------ */

static bool is_wanted(const struct tree *t, int kind)
{
	return kind == VIEW_SNAPSHOTS ? t->look.snapshots :
	       kind == VIEW_CHAIN     ? t->look.chain :
					t->look.info;
}

static int add_parts(const struct tree *t, struct node *image)
{
	if (t->look.partitions)
		image->parts = partition_files_new();
	return t->look.partitions && !image->parts ? -ENOMEM : 0;
}

int views_add(struct tree *t, struct node *image)
{
	static const char *const endings[] = { ".snapshots", ".chain", ".json" };

	for (int kind = 0; kind < IMAGE_VIEWS; kind++) {
		struct node *n;
		char *shown;

		if (!is_wanted(t, kind))
			continue;
		shown = node_free_name(image->parent, image->shown, endings[kind]);
		n = view_new(t, image->parent, image, (enum view_kind)kind, shown);
		image->view_of[kind] = n;
		if (!n || node_index_view(image->parent, n))
			return -ENOMEM;
	}
	return add_parts(t, image);
}

int views_transfer(struct tree *t, struct node *image, struct node *old)
{
	for (int kind = 0; kind < IMAGE_VIEWS; kind++) {
		struct node *was = old->view_of[kind];

		if (!was)
			continue;
		image->view_of[kind] = view_new(t, image->parent, image, (enum view_kind)kind,
						strdup(was->shown));
		if (!image->view_of[kind])
			return -ENOMEM;
	}
	if (add_parts(t, image))
		return -ENOMEM;
	for (int kind = 0; kind < IMAGE_VIEWS; kind++)
		if (image->view_of[kind])
			node_index_view(image->parent, image->view_of[kind]);
	if (old->parts)
		partition_files_detach(old);
	return 0;
}

/* ---- rows ------------------------------------------------------------------- */

int64_t view_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct qc_snapshot *view_entry_copy_snapshot(const struct qc_snapshot *s)
{
	struct qc_snapshot *copy = malloc(sizeof(*copy) + s->id_len + s->name_len + 2);
	char *text = (char *)(copy + 1);

	if (!copy)
		return NULL;
	*copy = *s;
	copy->id = memcpy(text, s->id, s->id_len + 1);
	copy->name = memcpy(text + s->id_len + 1, s->name, s->name_len + 1);
	return copy;
}

/* What a node knows of its row. */
static int tell(struct node *n, const struct view_entry *row)
{
	struct qc_snapshot *old, *copy;

	if (!row->snapshot) {
		if (!n->view->path)
			n->view->path = strdup(row->path);
		n->view->layer = row->layer;
		n->view->size = row->size;
		return n->view->path ? 0 : -ENOMEM;
	}
	copy = view_entry_copy_snapshot(row->snapshot);
	if (!copy)
		return -ENOMEM;
	pthread_mutex_lock(&n->facts);
	old = n->view->snapshot;
	n->view->snapshot = copy;
	pthread_mutex_unlock(&n->facts);
	free(old);
	return 0;
}

/* Nodes go from the old rows to the new ones. */
static void adopt(struct node *folder, struct view_entries *new)
{
	struct view_entries *old = &folder->view->rows;

	for (size_t i = 0; i < old->n; i++) {
		struct node *n = old->at[i].node;
		struct view_entry *row = n ? view_entries_find_ino(new, n->ino) : NULL;

		if (n && row && !tell(n, row))
			row->node = n;
		else if (n)
			view_detach(n);
	}
	view_entries_free(old);
	*old = *new;
}

static int read_rows(struct tree *t, struct node *folder, struct qc_image *img)
{
	struct view *v = folder->view;
	uint64_t seed = t->seed + v->image->ino * UINT64_C(0x9e3779b97f4a7c15);
	struct view_entries rows;
	int r = v->kind == VIEW_CHAIN ? view_entries_of_chain(img, seed, &rows) :
					view_entries_of_snapshots(img, seed, &rows);

	if (!r)
		adopt(folder, &rows);
	return r == -EINVAL ? -EIO : r;
}

int view_read(struct tree *t, struct node *folder, struct qc_image *img)
{
	struct view *v = folder->view;
	struct qc_image *mine = NULL;
	struct identity id;
	struct stat st;
	int r = image_file_stat(t, v->image, &st);

	if (r)
		return r == -ESTALE ? -ENOENT : r;
	id = identity_of(&st);
	if (!img && v->is_read && identity_same_content(&v->read_of, &id) &&
	    (v->kind == VIEW_SNAPSHOTS || view_now_ms() - v->read_at < CHAIN_MS))
		return 0;
	if (!img)
		r = image_file_open(t, v->image, 0, &mine);
	if (!r)
		r = read_rows(t, folder, img ? img : mine);
	v->is_read = !r && identity_times_reliable(&id);
	v->read_of = id;
	v->read_at = view_now_ms();
	if (mine)
		qc_close(mine);
	return r;
}

int view_node_of(struct tree *t, struct node *folder, struct view_entry *row, struct node **out)
{
	enum view_kind kind = folder->view->kind == VIEW_CHAIN ? VIEW_LAYER : VIEW_SNAPSHOT;
	struct node *n = row->node;

	if (!n) {
		n = view_new(t, folder, folder, kind, strdup(row->shown));
		if (n && tell(n, row)) {
			node_free(n);
			n = NULL;
		}
		if (!n)
			return -ENOMEM;
		n->ino = row->ino;
		row->node = n;
	}
	view_ref(n);
	*out = n;
	return 0;
}

/* ---- in a snapshot's folder ------------------------------------------------- */

static const char *const files[] = { "disk.raw", "vmstate" };

static bool has_file(struct node *folder, int which)
{
	bool yes;

	pthread_mutex_lock(&folder->facts);
	yes = which == 0 || folder->view->snapshot->vmstate_bytes;
	pthread_mutex_unlock(&folder->facts);
	return yes && !folder->view->gone;
}

static int file_node(struct tree *t, struct node *folder, int which, struct node **out)
{
	struct node **place = &folder->view->file[which];

	if (!has_file(folder, which))
		return -ENOENT;
	if (!*place) {
		*place = view_new(t, folder, folder, which ? VIEW_VMSTATE : VIEW_DISK,
				  strdup(files[which]));
		if (!*place)
			return -ENOMEM;
		(*place)->ino = folder->ino + 1 + (uint64_t)which;
	}
	view_ref(*place);
	*out = *place;
	return 0;
}

/* ---- names ------------------------------------------------------------------ */

static int lookup_locked(struct tree *t, struct node *folder, const char *name,
			 struct node **out)
{
	struct view_entry *row;
	int r;

	if (folder->view->kind == VIEW_SNAPSHOT) {
		for (int i = 0; i < 2; i++)
			if (!strcmp(name, files[i]))
				return file_node(t, folder, i, out);
		return -ENOENT;
	}
	r = view_read(t, folder, NULL);
	if (r)
		return r;
	row = view_entries_find(&folder->view->rows, name);
	return row ? view_node_of(t, folder, row, out) : -ENOENT;
}

int view_lookup(struct tree *t, struct node *folder, const char *name, struct node **out)
{
	int r;

	pthread_mutex_lock(&folder->lock);
	r = lookup_locked(t, folder, name, out);
	pthread_mutex_unlock(&folder->lock);
	return r;
}

static int append(struct listing *l, int error, struct node *n, const char *name)
{
	if (error == -ENOENT)
		return 0;
	if (error)
		return error;
	l->node[l->n] = n;
	l->name[l->n] = strdup(name);
	return l->name[l->n++] ? 0 : -ENOMEM;
}

static int list_locked(struct tree *t, struct node *folder, struct listing *l)
{
	struct view_entries *rows = &folder->view->rows;
	bool is_snapshot = folder->view->kind == VIEW_SNAPSHOT;
	struct node *node;
	size_t n;
	int r = 0;

	if (!is_snapshot) {
		/* Even if it was read before: somebody may have it by now. */
		folder->view->is_read = false;
		r = view_read(t, folder, NULL);
	}
	if (r)
		return r;
	n = is_snapshot ? 2 : rows->n;
	l->node = calloc(n + 1, sizeof(*l->node));
	l->name = calloc(n + 1, sizeof(*l->name));
	if (!l->node || !l->name)
		return -ENOMEM;
	for (size_t i = 0; !r && i < n; i++) {
		r = is_snapshot ? file_node(t, folder, (int)i, &node) :
				  view_node_of(t, folder, &rows->at[i], &node);
		r = append(l, r, node, is_snapshot ? files[i] : rows->at[i].shown);
	}
	return r;
}

int view_list(struct tree *t, struct node *folder, struct listing *out)
{
	int r;

	pthread_mutex_lock(&folder->lock);
	r = list_locked(t, folder, out);
	pthread_mutex_unlock(&folder->lock);
	if (r)
		tree_list_free(t, out);
	return r;
}
