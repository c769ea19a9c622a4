/* SPDX-License-Identifier: MIT */
/*
 * snapshot_open.c - list the snapshots of an open image, and open one to read it.
 *
 * A snapshot, its VM state, and the chain from a lower layer on are images of their own
 * that share the layers of the open image.  Fields of the snapshot table are checked when
 * the snapshot is opened.  An open snapshot is pinned in its layer: it cannot be deleted.
 */
#include <errno.h>
#include <string.h>

#include "base/range.h"
#include "format/snapshot_table.h"
#include "image/image.h"

/* ---- the list ------------------------------------------------------------- */

/* Reads the snapshot table as a request in flight, so that it does not move. */
static qc_err read_snapshot_table(struct qc_layer *l, struct qc_snapshot_table *out)
{
	const struct qc_header *h = &l->head;
	struct qc_inflight_token token = qc_inflight_begin(&l->inflight);
	qc_err r = qc_snapshot_table_read(l->file, h->snapshots_offset, h->snapshots, l->size, out);

	qc_inflight_end(&l->inflight, token);
	if (r != -EIO && r != -EINVAL)
		return r;
	return qc_layer_report_damage(l, "cannot list snapshots: the snapshot table is damaged");
}

/* Copies @n bytes to *to, with a NUL behind them, and moves *to. */
static const char *append_text(char **to, const char *from, size_t n)
{
	char *at = memcpy(*to, from, n);

	at[n] = 0;
	*to += n + 1;
	return at;
}

static qc_err copy_snapshots(const struct qc_snapshot_table *t, struct qc_snapshots *out)
{
	char *text;

	/* The fixed part of an entry has more bytes than the two NULs. */
	*out = (struct qc_snapshots){ t->n, calloc(t->n + 1, sizeof(*out->at)), NULL };
	text = out->text = malloc(t->len + 1);
	if (!out->at || !text) {
		qc_snapshots_free(out);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < t->n; i++) {
		struct qc_snapshot *s = &out->at[i];

		*s = t->entry[i].s;
		s->id = append_text(&text, s->id, s->id_len);
		s->name = append_text(&text, s->name, s->name_len);
	}
	return 0;
}

qc_err qc_list_snapshots(struct qc_image *img, struct qc_snapshots *out)
{
	struct qc_layer *l = img->layer[0];
	struct qc_snapshot_table t;
	qc_err r;

	*out = (struct qc_snapshots){ 0 };
	if (l->head.version == 1)
		return 0;
	r = read_snapshot_table(l, &t);
	if (r)
		return r;
	r = copy_snapshots(&t, out);
	qc_snapshot_table_free(&t);
	return r;
}

void qc_snapshots_free(struct qc_snapshots *s)
{
	free(s->at);
	free(s->text);
	*s = (struct qc_snapshots){ 0 };
}

/* ---- opening -------------------------------------------------------------- */

qc_err qc_open_chain_from(struct qc_image *img, unsigned int n, struct qc_image **out,
			  struct qc_reason *why)
{
	struct qc_image *v;

	if (img->headers_only || n >= img->depth)
		return qc_fail(why, -EINVAL, "the chain has %u files", img->depth);
	v = qc_open_share(img);
	if (!v)
		return qc_fail(why, -ENOMEM, "out of memory");
	v->top = n;
	*out = v;
	return 0;
}

qc_err qc_open_layer_alone(struct qc_image *img, unsigned int n, struct qc_image **out,
			   struct qc_reason *why)
{
	qc_err r = qc_open_chain_from(img, n, out, why);

	if (r)
		return r;
	(*out)->bottom = n + 1;
	(*out)->backing_missing = false;
	return 0;
}

const char *qc_layer_path(const struct qc_image *img, unsigned int n)
{
	return img->layer[n]->path;
}

/* Checks the fields of a snapshot against the file and the limits of the format. */
static qc_err check_snapshot(const struct qc_layer *l, const struct qc_snapshot *s,
			     struct qc_reason *why)
{
	const struct geom *g = &l->head.geom;
	struct qc_file_stat now;
	qc_err r = qc_file_stat(l->file, &now);

	if (r)
		return qc_fail_errno(why, r, NULL);
	if (!qc_snapshot_entry_is_valid(s, geom_cluster(g), now.size))
		return qc_fail(why, -EIO,
			       "the L1 table of the snapshot is impossible (delete it: qcowfs "
			       "snapshot -d)");
	if (s->size > INT64_MAX ||
	    s->vmstate_bytes > (uint64_t)INT64_MAX - s->size - geom_l1_span(g) ||
	    geom_l1_need(g, s->size) > s->l1_entries)
		return qc_fail(
			why, -EIO,
			"the size of the snapshot is impossible (delete it: qcowfs snapshot -d)");
	return 0;
}

/* Makes the image read the snapshot, and pins it.  VM state is behind the disk, from the
 * next L1 entry on, and only in the image itself, not in its backing files. */
static void select_snapshot(struct qc_image *v, const struct qc_snapshot *s, enum qc_part part)
{
	const struct geom *g = &v->layer[0]->head.geom;

	v->root = (struct qc_l1_table){ .l1_offset = s->l1_offset, .l1_entries = s->l1_entries };
	v->size = s->size - s->size % SECTOR;
	if (part == QC_PART_VMSTATE) {
		v->base = geom_l1_need(g, s->size) * geom_l1_span(g);
		v->size = s->vmstate_bytes;
		v->bottom = 1;
	}
	v->of_snapshot = true;
	v->pin.l1_offset = s->l1_offset;
	qc_layer_pin_snapshot(v->layer[0], &v->pin);
}

/* Grades the disk of the snapshot, with its VM state, if the image is to be rescued. */
static qc_err grade_snapshot(struct qc_image *v, struct qc_reason *why)
{
	qc_err r;

	if (!v->grades[0])
		return 0;
	r = qc_grade_disk(v->layer[0], &v->root, v->base + v->size, &v->own_grades);
	v->grades[0] = v->own_grades;
	return r ? qc_fail_errno(why, r, "cannot read its tables") : 0;
}

struct snapshot_part {
	const struct qc_snapshot *s;
	enum qc_part part;
};

/* Looks the snapshot up and pins it.  A qc_view_fn. */
static qc_err find_and_select(struct qc_image *v, const void *arg, struct qc_reason *why)
{
	const struct snapshot_part *p = arg;
	struct qc_layer *l = v->layer[0];
	const struct qc_header *h = &l->head;
	struct qc_snapshot_table t;
	qc_err r = qc_snapshot_table_read(l->file, h->snapshots_offset, h->snapshots, l->size, &t);

	if (r)
		return qc_fail(why, r,
			       "the snapshot table is damaged (qcowfs check may repair it)");
	if (qc_snapshot_table_find(&t, p->s) < t.n)
		r = check_snapshot(l, p->s, why);
	else
		r = qc_fail(why, -ENOENT, "the snapshot does not exist any more");
	if (!r)
		select_snapshot(v, p->s, p->part);
	qc_snapshot_table_free(&t);
	return r;
}

qc_err qc_snapshot_open(struct qc_image *img, const struct qc_snapshot *s, enum qc_part part,
			struct qc_image **out, struct qc_reason *why)
{
	struct qc_image *v;
	qc_err r = qc_open_view(img, find_and_select, &(struct snapshot_part){ s, part }, &v, why);

	if (r)
		return r;
	r = grade_snapshot(v, why);
	if (r)
		qc_close(v);
	else
		*out = v;
	return r;
}
