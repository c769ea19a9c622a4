/* SPDX-License-Identifier: MIT */
/*
 * deleted.c - lists the disks, tables and clusters that the search for residues finds.
 *
 * A disk that is opened is judged anew: its tables are compared with all that the image has now.
 */
#include <errno.h>
#include <string.h>

#include "base/outcome.h"
#include "base/range.h"
#include "evidence/deleted_judge.h"
#include "evidence/dropped_streams.h"
#include "layer/context_fields.h"
#include "image/table_disk.h"
#include "qcow_array.h"

enum { LISTED_MAX = 1 << 16 }; /* of one kind */

struct qc_deleted_search {
	struct qc_residue residue;
	struct qc_dropped_streams streams;
	size_t room;
};

/* ---- the list ----------------------------------------------------------------------- */

static qc_err add_deleted(struct qc_deleted_list *l, const struct qc_deleted *d)
{
	qc_err r = array_reserve(&l->at, &l->search->room, l->n + 1, sizeof(*l->at));

	if (!r)
		l->at[l->n++] = *d;
	return r;
}

/* Returns true if the L1 table of a deleted snapshot may still be there: nothing references its
 * clusters, and the first is no hole of the file system. */
static bool has_l1_table(const struct qc_tables *t, const struct qc_cluster_use *u,
			 const struct qc_snapshot *s)
{
	uint64_t bytes = s->l1_entries * UINT64_C(8);
	uint64_t end = min_u64(div_up(s->l1_offset + bytes, UINT64_C(1) << t->shift), u->n);
	struct qc_extent e;

	for (uint64_t c = s->l1_offset >> t->shift; c < end; c++)
		if (qc_cluster_use_of(u, c) & QC_USE_REFERENCED)
			return false;
	return qc_file_extent(t->md.file, s->l1_offset, &e) || e.data ||
	       e.len < UINT64_C(1) << t->shift;
}

static qc_err list_snapshots(struct qc_deleted_list *l, const struct qc_tables *t,
			     const struct qc_cluster_use *u)
{
	const struct qc_residue_entries *all = &l->search->residue.entries;
	qc_err r = 0;

	for (size_t i = 0; !r && i < all->n; i++) {
		struct qc_deleted d = { .kind = QC_DELETED_SNAPSHOT, .s = all->at[i].s,
					.host = all->at[i].host,
					.size = all->at[i].s.size - all->at[i].s.size % SECTOR };

		if (!all->at[i].repeated && has_l1_table(t, u, &d.s))
			r = add_deleted(l, &d);
	}
	return r;
}

/* Cuts entries that are 0 off the end of an L1 table. */
static qc_err cut_l1_table(struct qc_tables *t, struct qc_l1_table *l1)
{
	uint64_t bytes = l1->l1_entries * UINT64_C(8);
	AUTO_FREE uint8_t *content = malloc(bytes + 1);
	size_t got;
	qc_err r = content ? qc_file_read(t->md.file, l1->l1_offset, content, bytes, &got) : -ENOMEM;

	while (!r && l1->l1_entries > 1 && !be64_at(content + 8 * (l1->l1_entries - 1)))
		l1->l1_entries--;
	return r == -ENOMEM ? r : 0;
}

/* Returns the bytes that @n entries of an L1 table map. */
static uint64_t size_of_entries(const struct geom *g, uint64_t n)
{
	return n > (uint64_t)INT64_MAX / geom_l1_span(g) ? INT64_MAX - INT64_MAX % SECTOR :
							   n * geom_l1_span(g);
}

static qc_err list_l1_tables(struct qc_deleted_list *l, struct qc_tables *t)
{
	const struct qc_residue *res = &l->search->residue;
	qc_err r = 0;

	for (size_t i = 0; !r && i < res->nl1 && i < LISTED_MAX; i++) {
		struct qc_deleted d = { .kind = QC_DELETED_L1_TABLE, .host = res->l1[i].l1_offset };

		r = cut_l1_table(t, &res->l1[i]);
		d.s.l1_offset = res->l1[i].l1_offset;
		d.s.l1_entries = res->l1[i].l1_entries;
		d.size = d.s.size = size_of_entries(&t->md.head->geom, res->l1[i].l1_entries);
		if (!r)
			r = add_deleted(l, &d);
	}
	return r;
}

static qc_err list_others(struct qc_deleted_list *l, const struct geom *g)
{
	const struct qc_deleted_search *s = l->search;
	qc_err r = 0;

	for (size_t i = 0; !r && i < s->residue.nl2 && i < LISTED_MAX; i++)
		r = add_deleted(l, &(struct qc_deleted){ .kind = QC_DELETED_L2_TABLE,
							 .host = s->residue.l2[i],
							 .size = size_of_entries(g, 1) });
	for (size_t i = 0; !r && i < s->streams.n; i++)
		r = add_deleted(l, &(struct qc_deleted){ .kind = QC_DELETED_COMPRESSED,
							 .host = s->streams.at[i].host,
							 .size = geom_cluster(g) });
	l->left_out = s->residue.entries.left_out || s->streams.left_out ||
		      s->residue.nl1 > LISTED_MAX || s->residue.nl2 > LISTED_MAX;
	return r;
}

static qc_err search_and_list(struct qc_layer *layer, struct qc_tables *t,
			      struct qc_deleted_list *l)
{
	struct qc_cluster_use u;
	qc_err r = qc_cluster_use_new(t, &u);

	if (r)
		return r;
	r = qc_residue_find(t, &u, &l->search->residue);
	if (!r)
		r = qc_dropped_streams_find(layer, t, &u, &l->search->streams);
	if (!r)
		r = list_snapshots(l, t, &u);
	if (!r)
		r = list_l1_tables(l, t);
	if (!r)
		r = list_others(l, &t->md.head->geom);
	qc_cluster_use_free(&u);
	return r;
}

static void log_incomplete_list(const struct qc_layer *layer, qc_err r, bool left_out)
{
	if (r == -EFBIG)
		qc_log(&layer->ctx->log, QC_LOG_WARN, "%s: cannot list deleted disks: more than 4 Mi "
		       "clusters look like tables", layer->path);
	else if (!r && left_out)
		qc_log(&layer->ctx->log, QC_LOG_WARN, "%s: deleted disks are not all listed: there "
		       "are more than 65,536 of a kind", layer->path);
}

qc_err qc_list_deleted(struct qc_image *img, struct qc_deleted_list *out)
{
	struct qc_tables t;
	qc_err r = img->headers_only ? -EINVAL : qc_tables_open(&t, img->layer[0]);

	*out = (struct qc_deleted_list){ 0 };
	if (r)
		return qc_no_outcome(r);
	out->search = calloc(1, sizeof(*out->search));
	r = out->search ? search_and_list(img->layer[0], &t, out) : -ENOMEM;
	qc_tables_close(&t);
	log_incomplete_list(img->layer[0], r, out->left_out);
	if (r)
		qc_deleted_list_free(out);
	return qc_no_outcome(r);
}

void qc_deleted_list_free(struct qc_deleted_list *l)
{
	if (l->search) {
		qc_residue_free(&l->search->residue);
		qc_dropped_streams_free(&l->search->streams);
	}
	free(l->search);
	free(l->at);
	*l = (struct qc_deleted_list){ 0 };
}

/* ---- disks ---------------------------------------------------------------------------- */

/* The part of a disk that is graded and opened. */
struct deleted_part {
	struct qc_table_disk disk;
	uint64_t base; /* guest offset of its first byte */
	const struct qc_snapshot *snapshot; /* NULL: it is none */
};

static void select_part(const struct geom *g, const struct qc_deleted *d, enum qc_part part,
			struct deleted_part *out)
{
	*out = (struct deleted_part){ .disk.size = d->size };
	if (d->kind == QC_DELETED_L2_TABLE) {
		out->disk.root.l2_offset = d->host;
		out->disk.own_layer_only = true;
		return;
	}
	out->disk.root.l1_offset = d->s.l1_offset;
	out->disk.root.l1_entries = d->s.l1_entries;
	if (d->kind == QC_DELETED_SNAPSHOT)
		out->snapshot = &d->s;
	if (part == QC_PART_VMSTATE) {
		out->base = geom_l1_need(g, d->s.size) * geom_l1_span(g);
		out->disk.size = d->s.vmstate_bytes;
		out->disk.own_layer_only = true;
	}
}

static qc_err grade_part(struct qc_layer *layer, struct qc_tables *t, const struct qc_residue *r,
			 const struct deleted_part *p, struct qc_grade_map **out)
{
	struct qc_deleted_judge j;
	struct qc_cluster_use u;
	qc_err error = qc_cluster_use_new(t, &u);

	if (error)
		return error;
	error = qc_deleted_judge_new(t, &u, r, &p->disk.root, p->snapshot, &j);
	if (!error)
		error = qc_grade_deleted_disk(layer, &p->disk.root, p->base + p->disk.size,
					      &j.judge, out);
	qc_deleted_judge_free(&j);
	qc_cluster_use_free(&u);
	return error;
}

static qc_err open_judged_disk(struct qc_image *img, const struct qc_residue *r,
			const struct deleted_part *p, struct qc_image **out, struct qc_reason *why)
{
	struct qc_layer *layer = img->layer[0];
	struct qc_table_disk disk = p->disk;
	struct qc_grade_map *grades;
	struct qc_tables t;
	qc_err error = qc_tables_open(&t, layer);

	if (error)
		return error;
	error = grade_part(layer, &t, r, p, &grades);
	qc_tables_close(&t);
	if (error)
		return error;
	disk.size = min_u64(disk.size, (uint64_t)disk.root.l1_entries * geom_l1_span(&layer->head.geom));
	if (disk.root.l2_offset)
		disk.size = p->disk.size;
	error = qc_table_disk_open(img, &disk, out, why);
	if (error) {
		qc_grade_map_free(grades);
		return error;
	}
	(*out)->base = p->base;
	(*out)->size = p->disk.size;
	qc_grade_map_free((*out)->own_grades);
	(*out)->own_grades = grades;
	(*out)->grades[0] = grades;
	return 0;
}

/* ---- compressed clusters ----------------------------------------------------------------- */

static qc_err read_cluster(struct qc_image *img, uint64_t off, uint8_t *buf, size_t len)
{
	memcpy(buf, (const uint8_t *)img->bytes_state + off, len);
	return 0;
}

static qc_err cluster_is_data(struct qc_image *img, uint64_t off, struct qc_extent *out)
{
	*out = (struct qc_extent){ img->size - off, true };
	return 0;
}

static const struct qc_image_bytes_ops cluster_ops = {
	.read = read_cluster,
	.block_status = cluster_is_data,
	.free = free,
};

static qc_err open_cluster(struct qc_image *img, uint64_t host, struct qc_image **out)
{
	struct qc_layer *layer = img->layer[0];
	uint8_t *cluster = malloc(geom_cluster(&layer->head.geom));
	struct qc_image *v = NULL;
	uint32_t len;
	qc_err r = cluster ? qc_dropped_streams_read(layer, host, cluster, &len) : -ENOMEM;

	if (!r)
		v = qc_open_share(img);
	if (!v) {
		free(cluster);
		return r == -EIO ? -ESTALE : r ? r : -ENOMEM;
	}
	v->bytes_ops = &cluster_ops;
	v->bytes_state = cluster;
	v->size = geom_cluster(&layer->head.geom);
	*out = v;
	return 0;
}

/* ------------------------------------------------------------------------------------------ */

qc_err qc_open_deleted(struct qc_image *img, const struct qc_deleted_list *l, size_t i,
		       enum qc_part part, struct qc_image **out, struct qc_reason *why)
{
	const struct qc_deleted *d = &l->at[i];
	struct deleted_part p;
	qc_err r = -EINVAL;

	if (img->headers_only || i >= l->n || img->layer[0]->format != QC_FORMAT_QCOW ||
	    (part == QC_PART_VMSTATE && d->kind != QC_DELETED_SNAPSHOT))
		return qc_fail(why, -EINVAL, "there is no such disk");
	if (d->kind == QC_DELETED_COMPRESSED) {
		r = open_cluster(img, d->host, out);
	} else {
		select_part(&img->layer[0]->head.geom, d, part, &p);
		r = open_judged_disk(img, &l->search->residue, &p, out, why);
	}
	return r && !*why->text ? qc_fail_errno(why, qc_no_outcome(r), "cannot read its tables") : r;
}
