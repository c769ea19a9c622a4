/* SPDX-License-Identifier: MIT */
#include "views/piece_dir.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "qcow.h"
#include "views/entry_dir.h"
#include "views/view_attr.h"

/* Of an entry, and of its node; the node's attr_lock. */
struct piece_entry {
	uint64_t table; /* host offset */
	uint64_t size;	/* of its part of the disk */
};

/* ---- entries ---------------------------------------------------------------- */

static int read_piece(struct qc_image *img, uint64_t table, struct dir_entry *e)
{
	struct piece_entry *p = entry_data_new(sizeof(*p));
	struct qc_image *piece;
	struct qc_reason why;
	int r;

	if (!p)
		return -ENOMEM;
	e->data = p;
	r = qc_rescue_open_piece(img, table, &piece, &why);
	if (r)
		return r;
	p->table = table;
	p->size = qc_size(piece);
	qc_close(piece);
	e->key = table;
	if (asprintf(&e->shown, "l2-0x%" PRIx64 ".raw", table) < 0)
		e->shown = NULL;
	return e->shown ? 0 : -ENOMEM;
}

static int read_pieces_of_image(struct qc_image *img, struct dir_entries *out)
{
	uint64_t *table;
	size_t n;
	int r = qc_rescue_list_pieces(img, &table, &n);

	if (r)
		return r;
	out->at = calloc(n + 1, sizeof(*out->at));
	r = out->at ? 0 : -ENOMEM;
	for (size_t i = 0; !r && i < n; i++)
		r = read_piece(img, table[i], &out->at[out->n++]);
	free(table);
	return r;
}

/* ---- files ------------------------------------------------------------------ */

static int open_piece_part(struct node *n, struct qc_image *img, struct qc_image **out,
			   struct qc_reason *why)
{
	struct piece_entry *p = entry_dir_node_data(n);
	int r = qc_rescue_open_piece(img, p->table, out, why);

	entry_data_put(p);
	return r == -ENOENT ? -ESTALE : r;
}

static int open_piece_file(struct tree *t, struct node *n, bool write, struct qc_image **out)
{
	return view_open_part(t, n, write, open_piece_part, out);
}

static int getattr_of_piece(struct tree *t, struct node *n, struct stat *st)
{
	struct piece_entry *p = entry_dir_node_data(n);
	int r = view_attr_begin(t, n, st);

	if (!r && n->detached)
		r = -ESTALE;
	if (!r)
		view_attr_make_file(p->size, 0444, st);
	entry_data_put(p);
	return view_attr_end(t, n, r, st);
}

static const struct node_ops piece_ops = {
	.getattr = getattr_of_piece,
	.open = open_piece_file,
	.unused = entry_dir_entry_unused,
	.free = entry_dir_node_free,
};

static int make_piece_node(struct tree *t, struct node *dir, const struct dir_entry *e,
			   struct node **out)
{
	return entry_dir_node_new(t, &piece_ops, false, dir, e, out);
}

/* ---- the directory ---------------------------------------------------------- */

static const struct entry_dir_kind piece_kind = {
	.read = read_pieces_of_image,
	.make = make_piece_node,
	.update = entry_dir_node_update,
};

static const struct node_ops piece_dir_ops = {
	.lookup = entry_dir_lookup,
	.list = entry_dir_list,
	.getattr = entry_dir_getattr,
	.free = entry_dir_free,
};

static struct node *make_piece_dir(struct tree *t, struct name *view, struct node *image)
{
	return entry_dir_new(t, &piece_dir_ops, &piece_kind, view, image);
}

const struct view_provider piece_dir_views = {
	.suffix = ".pieces",
	.make = make_piece_dir,
};
