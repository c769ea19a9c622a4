/* SPDX-License-Identifier: MIT */
#include "views/view_entries.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "views/snapshot_names.h"

/* ---- numbers ---------------------------------------------------------------- */

/* Those of mirrored files and folders are below. */
static const uint64_t FIRST_INO = UINT64_C(1) << 62;

static uint64_t mix(uint64_t h, const void *data, size_t n)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * UINT64_C(0x100000001b3);
	h ^= h >> 32;
	h *= UINT64_C(0xd6e8feb86659fd93);
	return h ^ h >> 32;
}

static uint64_t snapshot_number(uint64_t seed, const struct qc_snapshot *s)
{
	uint64_t v[] = { (uint64_t)s->date_s, s->date_ns, s->l1_offset, s->id_len };

	return mix(mix(seed, v, sizeof(v)), s->id, s->id_len);
}

static uint64_t layer_number(uint64_t seed, unsigned int n, const char *path)
{
	return mix(mix(seed, &n, sizeof(n)), path, strlen(path));
}

/* ---- order ------------------------------------------------------------------ */

static int by_shown(const void *a, const void *b)
{
	return strcmp(((const struct view_entry *)a)->shown, ((const struct view_entry *)b)->shown);
}

static int by_ino(const void *a, const void *b)
{
	const struct view_entry *x = *(struct view_entry *const *)a, *y = *(struct view_entry *const *)b;

	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return by_shown(x, y);
}

/* Brings them in order, and sees to it that no two have one number. */
static int put_in_order(struct view_entries *r)
{
	uint64_t next = FIRST_INO;

	qsort(r->at, r->n, sizeof(*r->at), by_shown);
	r->by_ino = calloc(r->n + 1, sizeof(*r->by_ino));
	if (!r->by_ino)
		return -ENOMEM;
	for (size_t i = 0; i < r->n; i++) {
		r->at[i].ino = FIRST_INO | (r->at[i].ino & (FIRST_INO - 1) & ~(uint64_t)(INO_STEP - 1));
		r->by_ino[i] = &r->at[i];
	}
	qsort(r->by_ino, r->n, sizeof(struct view_entry *), by_ino);
	for (size_t i = 0; i < r->n; i++) {
		if (r->by_ino[i]->ino < next)
			r->by_ino[i]->ino = next;
		next = r->by_ino[i]->ino + INO_STEP;
	}
	return 0;
}

struct view_entry *view_entries_find(const struct view_entries *r, const char *shown)
{
	struct view_entry key = { .shown = (char *)shown };

	return r->n ? bsearch(&key, r->at, r->n, sizeof(key), by_shown) : NULL;
}

static int at_number(const void *key, const void *p)
{
	uint64_t want = *(const uint64_t *)key, ino = (*(struct view_entry *const *)p)->ino;

	return (want > ino) - (want < ino);
}

struct view_entry *view_entries_find_ino(const struct view_entries *r, uint64_t ino)
{
	struct view_entry **found = NULL;

	if (r->n)
		found = bsearch(&ino, r->by_ino, r->n, sizeof(struct view_entry *), at_number);
	return found ? *found : NULL;
}

/* ---- reading ---------------------------------------------------------------- */

void view_entries_free(struct view_entries *r)
{
	for (size_t i = 0; r->at && i < r->n; i++) {
		free(r->at[i].shown);
		free(r->at[i].path);
	}
	free(r->at);
	free(r->by_ino);
	qc_snapshots_free(&r->snapshots);
	*r = (struct view_entries){ 0 };
}

static int finish(struct view_entries *r, int error, struct view_entries *out)
{
	if (!error)
		error = put_in_order(r);
	if (error)
		view_entries_free(r);
	else
		*out = *r;
	return error;
}

int view_entries_of_snapshots(struct qc_image *img, uint64_t seed, struct view_entries *out)
{
	struct view_entries rows = { 0 };
	char **names = NULL;
	int r = qc_list_snapshots(img, &rows.snapshots);

	if (!r)
		r = snapshot_names(&rows.snapshots, &names);
	if (!r) {
		rows.at = calloc(rows.snapshots.n + 1, sizeof(*rows.at));
		r = rows.at ? 0 : -ENOMEM;
	}
	for (size_t i = 0; !r && i < rows.snapshots.n; i++) {
		const struct qc_snapshot *s = &rows.snapshots.at[i];

		rows.at[i] = (struct view_entry){ .shown = names[i], .snapshot = s,
					   .ino = snapshot_number(seed, s) };
		names[i] = NULL;
		rows.n++;
	}
	snapshot_names_free(names, rows.snapshots.n);
	return finish(&rows, r, out);
}

/* N-FILE.raw */
static char *layer_name(unsigned int n, const char *path)
{
	const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
	char *escaped = snapshot_name_cut(snapshot_name_escape(file, strlen(file)), SHOWN_MAX - 16), *name;

	if (!escaped || asprintf(&name, "%u-%s.raw", n, escaped) < 0)
		name = NULL;
	free(escaped);
	return name;
}

static int read_layer(struct qc_image *img, unsigned int n, uint64_t seed, struct view_entry *row)
{
	const char *path = qc_layer_path(img, n);
	struct qc_image *from;
	struct qc_reason why;
	int r = qc_open_chain_from(img, n, &from, &why);

	if (r)
		return r;
	*row = (struct view_entry){ .shown = layer_name(n, path), .layer = n, .size = qc_size(from),
			     .path = strdup(path), .ino = layer_number(seed, n, path) };
	qc_close(from);
	return row->shown && row->path ? 0 : -ENOMEM;
}

int view_entries_of_chain(struct qc_image *img, uint64_t seed, struct view_entries *out)
{
	struct view_entries rows = { .n = qc_depth(img) };
	int r = 0;

	rows.at = calloc(rows.n + 1, sizeof(*rows.at));
	if (!rows.at)
		r = -ENOMEM;
	for (unsigned int n = 0; !r && n < rows.n; n++)
		r = read_layer(img, n, seed, &rows.at[n]);
	return finish(&rows, r, out);
}
