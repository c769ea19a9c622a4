/* SPDX-License-Identifier: MIT */
/*
 * view_attr.c - what a view's node is: its attributes, its bytes.
 *
 * Owner and mode are those of the image file, less the bits for writing, but of
 * partitions, and of NAME.snapshots, where folders may be made.  A snapshot's times are its date.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tree/image_file.h"
#include "info/image_json.h"
#include "views/partition_files.h"
#include "views/view.h"

/* ---- NAME.json -------------------------------------------------------------- */

/* For so long it is not made anew, and its size is what was said of it. */
enum { INFO_MS = 1000 };

bool node_is_text(const struct node *n)
{
	return n->view && n->view->kind == VIEW_INFO;
}

/* Who opens it gets what was there when its size was last asked for, if that was
 * just now; and who asks for the size of an open one gets the size of that. */
static struct shared_buf *known_text(struct view *v, bool opening)
{
	int64_t now = view_now_ms();

	if (!v->text || now >= (opening ? v->made + INFO_MS : v->stays))
		return NULL;
	if (opening)
		v->stays = now + INFO_MS;
	return shared_buf_ref(v->text);
}

static struct shared_buf *text_of(struct tree *t, struct node *n, bool opening)
{
	struct view *v = n->view;
	struct shared_buf *x, *old;
	size_t len = 0;
	char *bytes;

	pthread_mutex_lock(&n->facts);
	x = known_text(v, opening);
	pthread_mutex_unlock(&n->facts);
	if (x)
		return x;
	bytes = info_json(t, v->image, &len);
	x = shared_buf_new(bytes, len);
	if (!x)
		return NULL;
	pthread_mutex_lock(&n->facts);
	old = v->text;
	v->text = shared_buf_ref(x);
	v->made = view_now_ms();
	v->stays = v->made + INFO_MS;
	pthread_mutex_unlock(&n->facts);
	shared_buf_put(old);
	return x;
}

int tree_open_text(struct tree *t, struct node *n, struct shared_buf **out)
{
	struct stat st;
	int r = image_file_stat(t, n->view->image, &st);

	if (r)
		return r;
	*out = text_of(t, n, true);
	return *out ? 0 : -ENOMEM;
}

/* ---- attributes ------------------------------------------------------------- */

static int snapshot_facts(struct node *snapshot, struct stat *st, uint64_t *disk,
			  uint64_t *vmstate)
{
	const struct qc_snapshot *s;
	struct timespec date;

	pthread_mutex_lock(&snapshot->facts);
	s = snapshot->view->snapshot;
	date.tv_sec = (time_t)s->date_s;
	date.tv_nsec = s->date_ns < 1000000000 ? s->date_ns : 0;
	*disk = s->size - s->size % 512;
	*vmstate = s->vmstate_bytes;
	pthread_mutex_unlock(&snapshot->facts);
	st->st_atim = st->st_mtim = st->st_ctim = date;
	return snapshot->view->gone ? -ESTALE : 0;
}

static void folder_facts(const struct tree *t, bool changing, struct stat *st)
{
	mode_t read = st->st_mode & 0444, write = st->st_mode & 0222;

	st->st_mode = S_IFDIR | read | read >> 2;
	if (changing && !t->look.ro && !t->look.cow)
		st->st_mode |= write;
	st->st_nlink = 2;
	st->st_size = 0;
	st->st_blocks = 0;
}

/* It takes no more than the image, nor more than all of it would. */
static void file_facts(uint64_t size, mode_t mask, struct stat *st)
{
	uint64_t most;

	if (size > INT64_MAX)
		size = 0; /* impossible, and so is opening it */
	most = size / 512 + (size % 512 > 0);
	st->st_mode = S_IFREG | (st->st_mode & mask);
	st->st_nlink = 1;
	st->st_size = (off_t)size;
	if ((uint64_t)st->st_blocks > most)
		st->st_blocks = (blkcnt_t)most;
}

static int text_facts(struct tree *t, struct node *n, struct stat *st)
{
	struct shared_buf *x = text_of(t, n, false);

	if (!x)
		return -ENOMEM;
	file_facts(x->len, 0444, st);
	shared_buf_put(x);
	return 0;
}

static int facts_of(struct tree *t, struct node *n, struct stat *st)
{
	uint64_t disk, vmstate;
	int r = 0;

	switch (n->view->kind) {
	case VIEW_SNAPSHOTS:
	case VIEW_CHAIN:
		folder_facts(t, n->view->kind == VIEW_SNAPSHOTS, st);
		break;
	case VIEW_INFO:
		r = text_facts(t, n, st);
		break;
	case VIEW_SNAPSHOT:
		r = snapshot_facts(n, st, &disk, &vmstate);
		folder_facts(t, false, st);
		break;
	case VIEW_DISK:
	case VIEW_VMSTATE:
		r = snapshot_facts(n->parent, st, &disk, &vmstate);
		file_facts(n->view->kind == VIEW_DISK ? disk : vmstate, 0444, st);
		break;
	case VIEW_LAYER:
		r = n->view->gone ? -ESTALE : 0;
		file_facts(n->view->size, 0444, st);
		break;
	case VIEW_PART:
		r = n->view->gone ? -ESTALE : 0;
		file_facts(n->view->size, t->look.ro ? 0444 : 0666, st);
		if (t->look.cow)
			st->st_mode |= S_IWUSR;
		break;
	}
	return r;
}

int view_stat(struct tree *t, struct node *n, struct stat *st)
{
	int r = image_file_stat(t, n->view->image, st);

	if (!r)
		r = facts_of(t, n, st);
	if (!r)
		image_file_fill_attr(t, n, st);
	else if (!n->folder && r != -ENOMEM)
		r = image_file_last_attr(n, st);
	return r;
}

/* ---- opening ---------------------------------------------------------------- */

static bool is_part(const struct node *n)
{
	return n->view && n->view->kind == VIEW_PART;
}

struct byte_range node_window(const struct node *n)
{
	return is_part(n) ? (struct byte_range){ n->view->start, n->view->size } :
			    (struct byte_range){ 0, UINT64_MAX };
}

atomic_bool *node_written_mark(const struct node *n)
{
	const struct node *image = is_part(n) ? n->view->image : n;

	return image->parts ? &image->parts->written : NULL;
}

bool node_follows_writes(const struct node *n)
{
	if (!n->view)
		return n->parts;
	return is_part(n) || (n->view->kind == VIEW_LAYER && !n->view->layer);
}

static int open_of_snapshot(struct node *n, struct qc_image *img, struct qc_image **out,
			    struct qc_reason *why)
{
	struct node *snapshot = n->parent;
	struct qc_snapshot *s = NULL;
	int r;

	pthread_mutex_lock(&snapshot->facts);
	if (!snapshot->view->gone)
		s = view_entry_copy_snapshot(snapshot->view->snapshot);
	pthread_mutex_unlock(&snapshot->facts);
	if (!s)
		return snapshot->view->gone ? -ESTALE : -ENOMEM;
	r = qc_snapshot_open(img, s, n->view->kind == VIEW_VMSTATE ? QC_PART_VMSTATE : QC_PART_DISK,
			     out, why);
	free(s);
	return r == -ENOENT ? -ESTALE : r;
}

/* The chain may have been changed since its folder was read. */
static int open_layer(struct node *n, struct qc_image *img, struct qc_image **out,
		      struct qc_reason *why)
{
	unsigned int i = n->view->layer;

	if (n->view->gone || i >= qc_depth(img) || strcmp(n->view->path, qc_layer_path(img, i)))
		return -ESTALE;
	return qc_open_chain_from(img, i, out, why);
}

int view_open(struct tree *t, struct node *n, bool write, struct qc_image **out)
{
	struct qc_reason why = { 0 };
	struct qc_image *img;
	int r;

	if (write && !is_part(n))
		return -EROFS;
	if (n->view->gone)
		return -ESTALE;
	if (is_part(n))
		return image_file_open_cow(t, n->view->image, write ? QC_OPEN_WRITE : 0, out);
	r = image_file_open(t, n->view->image, 0, &img);
	if (r)
		return r;
	if (n->view->kind == VIEW_LAYER)
		r = open_layer(n, img, out, &why);
	else
		r = open_of_snapshot(n, img, out, &why);
	qc_close(img);
	return r && r != -ESTALE && r != -ENOMEM ? image_file_report(n->view->image, r, &why) : r;
}
