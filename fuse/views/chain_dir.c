/* SPDX-License-Identifier: MIT */
#include "views/chain_dir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tree/image_info.h"
#include "tree/raw_name.h"
#include "util/hash_bytes.h"
#include "views/entry_dir.h"
#include "views/snapshot_names.h"
#include "views/view_attr.h"

/* The kernel caches attributes and names for as long. */
enum { CHAIN_MS = 1000 };

/* Of an entry, and of its node; the node's attr_lock. */
struct chain_layer {
	unsigned int number; /* 0: the image itself */
	bool alone;	     /* without the layers below it */
	uint64_t size;	     /* of the disk as seen from this layer */
	char path[];	     /* of the layer's file */
};

/* ---- entries ---------------------------------------------------------------- */

/* Returns N-FILE.raw, or N-FILE.own.raw for the layer alone. */
static char *make_layer_name(unsigned int number, bool alone, const char *path)
{
	const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
	char *escaped = raw_name_cut(snapshot_name_escape(file, strlen(file)), RAW_NAME_MAX - 16);
	char *name;

	if (!escaped || asprintf(&name, "%u-%s%s.raw", number, escaped, alone ? ".own" : "") < 0)
		name = NULL;
	free(escaped);
	return name;
}

static int read_layer(struct qc_image *img, unsigned int number, bool alone, struct dir_entry *e)
{
	const char *path = qc_layer_path(img, number);
	struct chain_layer *l = entry_data_new(sizeof(*l) + strlen(path) + 1);
	struct qc_image *from;
	struct qc_reason why;
	int r;

	if (!l)
		return -ENOMEM;
	e->data = l;
	r = qc_open_chain_from(img, number, &from, &why);
	if (r)
		return r;
	l->number = number;
	l->alone = alone;
	l->size = qc_size(from);
	strcpy(l->path, path);
	qc_close(from);
	e->shown = make_layer_name(number, alone, path);
	e->key = hash_bytes(number | (uint64_t)alone << 32, path, strlen(path));
	return e->shown ? 0 : -ENOMEM;
}

static int read_chain(struct qc_image *img, struct dir_entries *out)
{
	int r = 0;

	out->n = 2 * qc_depth(img);
	out->at = calloc(out->n + 1, sizeof(*out->at));
	if (!out->at)
		return -ENOMEM;
	for (unsigned int i = 0; !r && i < out->n; i++)
		r = read_layer(img, i / 2, i % 2, &out->at[i]);
	return r;
}

/* ---- files ------------------------------------------------------------------ */

/* Fails if the chain was changed since its directory was read. */
static int open_from_layer(struct node *n, struct qc_image *img, struct qc_image **out,
			   struct qc_reason *why)
{
	struct chain_layer *l = entry_dir_node_data(n);
	int r = -ESTALE;

	if (l->number < qc_depth(img) && !strcmp(l->path, qc_layer_path(img, l->number)))
		r = l->alone ? qc_open_layer_alone(img, l->number, out, why) :
			       qc_open_chain_from(img, l->number, out, why);
	entry_data_put(l);
	return r;
}

static int open_layer_file(struct tree *t, struct node *n, bool write, struct qc_image **out)
{
	return view_open_part(t, n, write, open_from_layer, out);
}

static int getattr_of_layer(struct tree *t, struct node *n, struct stat *st)
{
	struct chain_layer *l = entry_dir_node_data(n);
	int r = view_attr_begin(t, n, st);

	if (!r && n->detached)
		r = -ESTALE;
	if (!r)
		view_attr_make_file(l->size, 0444, st);
	entry_data_put(l);
	return view_attr_end(t, n, r, st);
}

static int get_info_of_layer(struct tree *t, struct node *n, struct node_info *out)
{
	struct chain_layer *l = entry_dir_node_data(n);
	int r = image_info_of_layer(t, n->origin, l->number, l->path, out);

	out->has_size = true;
	out->size = l->size;
	entry_data_put(l);
	return r;
}

static const struct node_ops layer_ops = {
	.getattr = getattr_of_layer,
	.info = get_info_of_layer,
	.open = open_layer_file,
	.unused = entry_dir_entry_unused,
	.free = entry_dir_node_free,
};

static int make_layer_node(struct tree *t, struct node *dir, const struct dir_entry *e,
			   struct node **out)
{
	const struct chain_layer *l = e->data;
	int r = entry_dir_node_new(t, &layer_ops, false, dir, e, out);

	if (!r) /* the first layer is the image as it is written */
		(*out)->follows_writes = l->number == 0;
	return r;
}

/* ---- the directory ---------------------------------------------------------- */

static const struct entry_dir_kind chain_kind = {
	.read = read_chain,
	.make = make_layer_node,
	.update = entry_dir_node_update,
	.valid_ms = CHAIN_MS,
};

static const struct node_ops chain_ops = {
	.lookup = entry_dir_lookup,
	.list = entry_dir_list,
	.getattr = entry_dir_getattr,
	.free = entry_dir_free,
};

static struct node *make_chain_node(struct tree *t, struct name *view, struct node *image)
{
	return entry_dir_new(t, &chain_ops, &chain_kind, view, image);
}

const struct view_provider chain_dir_views = {
	.suffix = ".chain",
	.make = make_chain_node,
};
