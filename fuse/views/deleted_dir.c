/* SPDX-License-Identifier: MIT */
/*
 * deleted_dir.c - the image file is searched when the directory is first used, and again only
 * after the file has changed.  All entries share the list that the search has made.
 */
#include "views/deleted_dir.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qcow.h"
#include "tree/raw_name.h"
#include "util/hash_bytes.h"
#include "views/entry_dir.h"
#include "views/snapshot_files.h"
#include "views/snapshot_names.h"
#include "views/view_attr.h"

/* Data of an entry.  The snapshot is first, for snapshot_files.c. */
struct deleted_entry {
	struct qc_snapshot s;
	struct qc_deleted_list *list; /* data that all entries share */
	size_t index;
	uint64_t size;
};

/* ---- entries ---------------------------------------------------------------------- */

static void release_list(void *list)
{
	qc_deleted_list_free(list);
}

static void release_deleted_entry(void *entry)
{
	entry_data_put(((struct deleted_entry *)entry)->list);
}

static struct deleted_entry *make_entry_data(struct qc_deleted_list *list, size_t i)
{
	struct deleted_entry *e = entry_data_new(sizeof(*e));

	if (!e)
		return NULL;
	e->s = list->at[i].s;
	if (!e->s.id)
		e->s.id = e->s.name = "";
	e->list = entry_data_ref(list);
	e->index = i;
	e->size = list->at[i].size;
	entry_data_on_free(e, release_deleted_entry);
	return e;
}

/* Returns a name with an offset in the image file, or NULL without memory. */
static char *format_name(const char *before, uint64_t host, const char *behind)
{
	char *name;

	return asprintf(&name, "%s@0x%" PRIx64 "%s", before, host, behind) < 0 ? NULL : name;
}

/* Returns NAME@ID.  @more: another snapshot has the same name and id, and so the offset of the
 * entry is added. */
static char *name_of_snapshot(const struct qc_deleted *d, bool more)
{
	char *name = snapshot_name_escape(d->s.name, d->s.name_len);
	char *id = snapshot_name_escape(d->s.id, d->s.id_len), *out = NULL;
	char offset[24] = "";

	if (more)
		snprintf(offset, sizeof(offset), "@0x%" PRIx64, d->host);
	if (!name || !id || asprintf(&out, "%s@%s%s", name, id, offset) < 0)
		out = NULL;
	free(name);
	free(id);
	return raw_name_cut(out, RAW_NAME_MAX);
}

static char *name_of_deleted(const struct qc_deleted *d)
{
	switch (d->kind) {
	case QC_DELETED_SNAPSHOT:
		return name_of_snapshot(d, false);
	case QC_DELETED_L1_TABLE:
		return format_name("l1", d->host, "");
	case QC_DELETED_L2_TABLE:
		return format_name("l2", d->host, ".raw");
	case QC_DELETED_COMPRESSED:
		break;
	}
	return format_name("packed", d->host, ".raw");
}

static int compare_shown_names(const void *a, const void *b)
{
	return strcmp(((const struct dir_entry *)a)->shown, ((const struct dir_entry *)b)->shown);
}

/* Gives each of several entries with one name a longer name. */
static int tell_names_apart(struct dir_entries *e)
{
	size_t run;

	if (e->n)
		qsort(e->at, e->n, sizeof(*e->at), compare_shown_names);
	for (size_t at = 0; at < e->n; at += run) {
		for (run = 1; at + run < e->n && !strcmp(e->at[at].shown, e->at[at + run].shown);)
			run++;
		for (size_t i = at; run > 1 && i < at + run; i++) {
			const struct deleted_entry *d = e->at[i].data;

			free(e->at[i].shown);
			e->at[i].shown = name_of_snapshot(&d->list->at[d->index], true);
			if (!e->at[i].shown)
				return -ENOMEM;
		}
	}
	return 0;
}

static int fill_deleted_entries(struct qc_deleted_list *list, struct dir_entries *out)
{
	out->at = calloc(list->n + 1, sizeof(*out->at));
	if (!out->at)
		return -ENOMEM;
	for (size_t i = 0; i < list->n; i++) {
		const struct qc_deleted *d = &list->at[i];
		uint64_t v[] = { d->kind, d->host, (uint64_t)d->s.date_s, d->s.l1_offset };
		struct dir_entry *e = &out->at[out->n++];

		e->key = hash_bytes(0, v, sizeof(v));
		e->shown = name_of_deleted(d);
		e->data = make_entry_data(list, i);
		if (!e->shown || !e->data)
			return -ENOMEM;
	}
	return tell_names_apart(out);
}

static int list_deleted_entries(struct qc_image *img, struct dir_entries *out)
{
	struct qc_deleted_list *list = entry_data_new(sizeof(*list));
	int r = list ? qc_list_deleted(img, list) : -ENOMEM;

	if (list)
		entry_data_on_free(list, release_list);
	if (!r)
		r = fill_deleted_entries(list, out);
	entry_data_put(list);
	return r;
}

/* ---- files ------------------------------------------------------------------------ */

/* For snapshot_files_kind. */
static int open_deleted_snapshot(struct qc_image *img, const struct qc_snapshot *s,
				 enum qc_part part, struct qc_image **out, struct qc_reason *why)
{
	const struct deleted_entry *e = (const struct deleted_entry *)s;

	return qc_open_deleted(img, e->list, e->index, part, out, why);
}

static const struct snapshot_files_kind deleted_disks = {
	.open = open_deleted_snapshot,
	.has_map = true,
};

/* A view_part_fn. */
static int open_deleted_part(struct node *n, struct qc_image *img, struct qc_image **out,
			     struct qc_reason *why)
{
	struct deleted_entry *e = entry_dir_node_data(n);
	int r = qc_open_deleted(img, e->list, e->index, QC_PART_DISK, out, why);

	entry_data_put(e);
	return r;
}

static int open_deleted_file(struct tree *t, struct node *n, bool write, struct qc_image **out)
{
	return view_open_part(t, n, write, open_deleted_part, out);
}

static int getattr_of_deleted_file(struct tree *t, struct node *n, struct stat *st)
{
	struct deleted_entry *e = entry_dir_node_data(n);
	int r = view_attr_begin(t, n, st);

	if (!r && n->detached)
		r = -ESTALE;
	if (!r)
		view_attr_make_file(e->size, 0444, st);
	entry_data_put(e);
	return view_attr_end(t, n, r, st);
}

static const struct node_ops deleted_file_ops = {
	.getattr = getattr_of_deleted_file,
	.open = open_deleted_file,
	.unused = entry_dir_entry_unused,
	.free = entry_dir_node_free,
};

static int make_deleted_node(struct tree *t, struct node *dir, const struct dir_entry *e,
			     struct node **out)
{
	const struct deleted_entry *d = e->data;

	switch (d->list->at[d->index].kind) {
	case QC_DELETED_SNAPSHOT:
	case QC_DELETED_L1_TABLE:
		return snapshot_files_make(t, dir, e, &deleted_disks, out);
	case QC_DELETED_L2_TABLE:
	case QC_DELETED_COMPRESSED:
		break;
	}
	return entry_dir_node_new(t, &deleted_file_ops, false, dir, e, out);
}

static void update_deleted_node(struct node *n, void *data)
{
	if (node_is_dir(n))
		snapshot_files_update(n, data);
	else
		entry_dir_node_update(n, data);
}

/* ---- the directory ---------------------------------------------------------------- */

static const struct entry_dir_kind deleted_kind = {
	.read = list_deleted_entries,
	.make = make_deleted_node,
	.update = update_deleted_node,
	.costly = true,
};

static const struct node_ops deleted_dir_ops = {
	.lookup = entry_dir_lookup,
	.list = entry_dir_list,
	.getattr = entry_dir_getattr,
	.free = entry_dir_free,
};

static struct node *make_deleted_dir(struct tree *t, struct name *view, struct node *image)
{
	return entry_dir_new(t, &deleted_dir_ops, &deleted_kind, view, image);
}

const struct view_provider deleted_dir_views = {
	.suffix = ".deleted",
	.make = make_deleted_dir,
};
