/* SPDX-License-Identifier: MIT */
#include "views/snapshot_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tree/image_attr.h"
#include "tree/image_file.h"
#include "tree/image_info.h"
#include "util/shared_buf.h"
#include "views/view_attr.h"

enum { DISK, VMSTATE, MAP, FILES };

static const char *const file_names[FILES] = { "disk.raw", "vmstate", "disk.map" };

/* node.data of a snapshot's directory. */
struct snapshot_node {
	const struct snapshot_files_kind *kind;
	struct qc_snapshot *snapshot; /* attr_lock; data of the entry */
	struct node *file[FILES];     /* the directory's lock; NULL: without a reference */
};

struct qc_snapshot *snapshot_files_copy(const struct qc_snapshot *s)
{
	struct qc_snapshot *copy = entry_data_new(sizeof(*copy) + s->id_len + s->name_len + 2);
	char *text = (char *)(copy + 1);

	if (!copy)
		return NULL;
	*copy = *s;
	copy->id = memcpy(text, s->id, s->id_len + 1);
	copy->name = memcpy(text + s->id_len + 1, s->name, s->name_len + 1);
	return copy;
}

/* Returns the snapshot of a directory's node, with one reference. */
static struct qc_snapshot *get_snapshot(struct node *dir)
{
	struct snapshot_node *sn = dir->data;
	struct qc_snapshot *s;

	pthread_mutex_lock(&dir->attr_lock);
	s = entry_data_ref(sn->snapshot);
	pthread_mutex_unlock(&dir->attr_lock);
	return s;
}

void snapshot_files_update(struct node *n, void *snapshot)
{
	struct snapshot_node *sn = n->data;
	void *old;

	pthread_mutex_lock(&n->attr_lock);
	old = sn->snapshot;
	sn->snapshot = snapshot;
	pthread_mutex_unlock(&n->attr_lock);
	entry_data_put(old);
}

/* ---- attributes ------------------------------------------------------------- */

/* A disk without an id has no date: its times are those of the image file. */
static void set_snapshot_times(const struct qc_snapshot *s, struct stat *st)
{
	struct timespec date = { (time_t)s->date_s, s->date_ns < 1000000000 ? s->date_ns : 0 };

	if (!s->id_len)
		return;
	st->st_atim = st->st_mtim = st->st_ctim = date;
}

static int getattr_of_snapshot(struct tree *t, struct node *dir, struct stat *st)
{
	struct qc_snapshot *s = get_snapshot(dir);
	int r = view_attr_begin(t, dir, st);

	if (!r && dir->detached)
		r = -ESTALE;
	if (!r) {
		set_snapshot_times(s, st);
		view_attr_make_dir(t, false, st);
	}
	entry_data_put(s);
	return view_attr_end(t, dir, r, st);
}

/* The size of disk.map is not known before it is opened, as that of files in /proc. */
static uint64_t size_of_file(const struct qc_snapshot *s, unsigned int which)
{
	return which == DISK ? s->size - s->size % 512 : which == VMSTATE ? s->vmstate_bytes : 0;
}

static int getattr_of_file(struct tree *t, struct node *n, struct stat *st)
{
	struct qc_snapshot *s = get_snapshot(n->held);
	int r = view_attr_begin(t, n, st);

	if (!r && n->held->detached)
		r = -ESTALE;
	if (!r) {
		set_snapshot_times(s, st);
		view_attr_make_file(size_of_file(s, (unsigned int)n->key), 0444, st);
	}
	entry_data_put(s);
	return view_attr_end(t, n, r, st);
}

/* ---- files ------------------------------------------------------------------ */

static const struct snapshot_files_kind *kind_of_file(const struct node *n)
{
	return ((const struct snapshot_node *)n->held->data)->kind;
}

static int open_from_snapshot(struct node *n, struct qc_image *img, struct qc_image **out,
			      struct qc_reason *why)
{
	struct qc_snapshot *s = get_snapshot(n->held);
	int r = -ESTALE;

	if (!n->held->detached)
		r = kind_of_file(n)->open(img, s, n->key == VMSTATE ? QC_PART_VMSTATE : QC_PART_DISK,
					  out, why);
	entry_data_put(s);
	return r == -ENOENT ? -ESTALE : r;
}

static int open_snapshot_file(struct tree *t, struct node *n, bool write, struct qc_image **out)
{
	return view_open_part(t, n, write, open_from_snapshot, out);
}

static int open_map(struct tree *t, struct node *n, struct shared_buf **out)
{
	struct qc_image *disk;
	char *text;
	size_t len;
	int r = view_open_part(t, n, false, open_from_snapshot, &disk);

	if (r)
		return r;
	r = qc_rescue_map(disk, &text, &len);
	qc_close(disk);
	if (r)
		return r;
	*out = shared_buf_new(text, len);
	return *out ? 0 : -ENOMEM;
}

/* Adds the ID, and for a disk its size. */
static int add_snapshot_info(struct node *dir, bool disk, struct node_info *out)
{
	struct qc_snapshot *s = get_snapshot(dir);

	out->snapshot_id = strdup(s->id);
	out->has_size = disk;
	out->size = s->size - s->size % 512;
	entry_data_put(s);
	return out->snapshot_id ? 0 : -ENOMEM;
}

static int get_info_of_file(struct tree *t, struct node *n, struct node_info *out)
{
	int r = n->key == DISK ? image_info_get(t, n->origin, out) : 0;

	return r ? r : add_snapshot_info(n->held, n->key == DISK, out);
}

static int get_info_of_snapshot(struct tree *t, struct node *dir, struct node_info *out)
{
	(void)t;
	return add_snapshot_info(dir, false, out);
}

static bool file_is_unused(struct tree *t, struct node *n)
{
	struct snapshot_node *sn = n->held->data;

	(void)t;
	sn->file[n->key] = NULL;
	return true;
}

static const struct node_ops file_ops = {
	.getattr = getattr_of_file,
	.info = get_info_of_file,
	.open = open_snapshot_file,
	.unused = file_is_unused,
};

static const struct node_ops map_ops = {
	.getattr = getattr_of_file,
	.open_text = open_map,
	.unused = file_is_unused,
};

static bool has_file(const struct snapshot_node *sn, const struct qc_snapshot *s,
		     unsigned int which)
{
	return which == DISK || (which == VMSTATE ? s->vmstate_bytes > 0 : sn->kind->has_map);
}

/* Returns the node of a file with one more reference.  The directory's lock is held. */
static int ref_file_node(struct tree *t, struct node *dir, unsigned int which, struct node **out)
{
	struct snapshot_node *sn = dir->data;
	struct qc_snapshot *s = get_snapshot(dir);
	bool exists = !dir->detached && has_file(sn, s, which);

	entry_data_put(s);
	if (!exists)
		return -ENOENT;
	if (sn->file[which]) {
		node_ref(sn->file[which]);
	} else {
		sn->file[which] = view_new_below(t, which == MAP ? &map_ops : &file_ops, false, dir,
						 file_names[which], strlen(file_names[which]));
		if (!sn->file[which])
			return -ENOMEM;
		sn->file[which]->key = which;
	}
	*out = sn->file[which];
	return 0;
}

/* ---- the directory ---------------------------------------------------------- */

static int lookup_file(struct tree *t, struct node *dir, const char *name, struct node **out)
{
	int r = -ENOENT;

	pthread_mutex_lock(&dir->dir.lock);
	for (unsigned int i = 0; i < FILES; i++)
		if (!strcmp(name, file_names[i]))
			r = ref_file_node(t, dir, i, out);
	pthread_mutex_unlock(&dir->dir.lock);
	return r;
}

static int list_files(struct tree *t, struct node *dir, struct listing *out)
{
	int r = listing_reserve(out, FILES);

	pthread_mutex_lock(&dir->dir.lock);
	for (unsigned int i = 0; !r && i < FILES; i++) {
		struct node *n;

		r = ref_file_node(t, dir, i, &n);
		if (!r)
			r = listing_append(out, n, file_names[i]);
		else if (r == -ENOENT)
			r = 0;
	}
	pthread_mutex_unlock(&dir->dir.lock);
	if (r)
		listing_free(t, out);
	return r;
}

static void free_snapshot_node(struct node *dir)
{
	struct snapshot_node *sn = dir->data;

	if (sn)
		entry_data_put(sn->snapshot);
	free(sn);
}

static const struct node_ops snapshot_ops = {
	.lookup = lookup_file,
	.list = list_files,
	.getattr = getattr_of_snapshot,
	.info = get_info_of_snapshot,
	.unused = entry_dir_entry_unused,
	.free = free_snapshot_node,
};

int snapshot_files_make(struct tree *t, struct node *dir, const struct dir_entry *e,
			const struct snapshot_files_kind *kind, struct node **out)
{
	struct snapshot_node *sn = calloc(1, sizeof(*sn));
	struct node *n = NULL;

	if (sn)
		n = view_new_below(t, &snapshot_ops, true, dir, &e->key, sizeof(e->key));
	if (!n) {
		free(sn);
		return -ENOMEM;
	}
	sn->kind = kind;
	sn->snapshot = entry_data_ref(e->data);
	n->data = sn;
	*out = n;
	return 0;
}

static const struct snapshot_files_kind live_kind = { .open = qc_snapshot_open };

int snapshot_files_make_dir(struct tree *t, struct node *dir, const struct dir_entry *e,
			    struct node **out)
{
	return snapshot_files_make(t, dir, e, &live_kind, out);
}
