/* SPDX-License-Identifier: MIT */
/*
 * residue.c - tells the tables that the search has found apart.
 *
 *	nested table	guest data of another table, which has more clusters that no other
 *			one references: a disk stores another image
 *	L1 table	of a deleted snapshot, or of an earlier disk
 *	L2 table	with an L1 table, or without
 *
 * Tables that reference each other in a circle are not told apart: all of them are kept.  The
 * depth is fixed, so a hostile image costs no more than a few reads of each table.
 */
#include "evidence/residue.h"

#include <errno.h>

#include "base/range.h"
#include "evidence/table_graph.h"
#include "qcow_array.h"

/* A qc_is_referenced_fn. */
static bool is_cluster_referenced(const void *use, uint64_t cluster)
{
	const struct qc_cluster_use *u = use;

	return cluster < u->n && qc_cluster_use_of(u, cluster) & QC_USE_REFERENCED;
}

/* ---- snapshots ------------------------------------------------------------------ */

/* Reads the entries of all tables, and those behind the end of the live one: it may have
 * overwritten a longer one. */
static qc_err read_all_entries(struct qc_table_graph *x, const struct qc_snapshot_table *live)
{
	const struct qc_header *h = x->t->md.head;
	uint64_t cluster = geom_cluster(&h->geom), end;
	qc_err r = 0;

	for (size_t i = 0; !r && i < x->lost.n; i++)
		if (x->lost.table[i].kind == QC_LOST_SNAPSHOT_TABLE)
			r = qc_residue_entries_read(x->t, x->lost.table[i].off, cluster,
						    &x->out->entries);
	if (r || !live->n)
		return r;
	end = round_up(h->snapshots_offset + live->len, 8);
	return qc_residue_entries_read(x->t, end, round_up(end, cluster) - end, &x->out->entries);
}

static bool is_live_snapshot(const struct qc_snapshot_table *live, const struct qc_snapshot *s)
{
	for (uint32_t i = 0; i < live->n; i++)
		if (qc_residue_entries_match(&live->entry[i].s, s))
			return true;
	return false;
}

static bool is_repeated(const struct qc_residue_entries *e, size_t n, const struct qc_snapshot *s)
{
	for (size_t i = 0; i < n; i++)
		if (qc_residue_entries_match(&e->at[i].s, s))
			return true;
	return false;
}

/* Drops the entries of snapshots that are still there. */
static void drop_live_entries(struct qc_residue_entries *e, const struct qc_snapshot_table *live)
{
	size_t n = 0;

	for (size_t i = 0; i < e->n; i++) {
		struct qc_residue_entry x = e->at[i];

		if (is_live_snapshot(live, &x.s)) {
			free(x.text);
			continue;
		}
		x.repeated = is_repeated(e, n, &x.s);
		e->at[n++] = x;
	}
	e->n = n;
}

/* Drops the entries that are data of another disk. */
static void drop_nested_entries(struct qc_table_graph *x)
{
	struct qc_residue_entries *e = &x->out->entries;
	size_t n = 0;

	for (size_t i = 0; i < e->n; i++) {
		struct qc_residue_entry entry = e->at[i];

		if (qc_table_graph_has(x, x->nested, entry.host)) {
			free(entry.text);
			continue;
		}
		entry.repeated = is_repeated(e, n, &entry.s);
		e->at[n++] = entry;
	}
	e->n = n;
}

static qc_err find_deleted_entries(struct qc_table_graph *x)
{
	const struct qc_header *h = x->t->md.head;
	struct qc_snapshot_table live = { 0 };
	qc_err r = 0;

	if (h->version == 1)
		return 0;
	if (h->snapshots)
		r = qc_snapshot_table_read(x->t->md.file, h->snapshots_offset, h->snapshots,
					   h->size, &live);
	if (r != -ENOMEM) /* the findings tell that a table is damaged */
		r = read_all_entries(x, &live);
	drop_live_entries(&x->out->entries, &live);
	qc_snapshot_table_free(&live);
	return r;
}

/* ---- L1 tables ------------------------------------------------------------------ */

/* Marks the L2 tables of an L1 table. */
static void mark_tables_of_l1(struct qc_table_graph *x, uint64_t off, uint64_t bytes)
{
	const struct geom *g = &x->t->md.head->geom;
	uint64_t step = geom_l2_bytes(g);

	for (uint64_t at = 0; at < bytes; at += step) {
		if (!qc_table_graph_read(x, off + at))
			continue;
		for (uint64_t i = 0; i < min_u64(step, bytes - at); i += 8) {
			struct hoff table;

			if (!l1_decode(g, be64_at(x->buf + i), &table) && table.v)
				qc_table_graph_add(x, x->has_l1, table.v);
		}
	}
}

/* Marks the tables of all deleted snapshots whose L1 table is there, and the clusters of these L1
 * tables.  If L1 tables overlap, no more bytes are read than the file has. */
static void mark_tables_of_entries(struct qc_table_graph *x)
{
	uint64_t left = x->t->file_bytes;

	for (size_t i = 0; i < x->out->entries.n; i++) {
		const struct qc_residue_entry *e = &x->out->entries.at[i];
		const struct qc_lost_table *t = qc_table_graph_find(x, e->s.l1_offset);
		uint64_t bytes = e->s.l1_entries * UINT64_C(8);

		if (e->repeated || bytes > left || !t || t->kind != QC_LOST_L1_TABLE)
			continue;
		left -= bytes;
		mark_tables_of_l1(x, e->s.l1_offset, bytes);
		for (uint64_t at = 0; at < bytes; at += geom_cluster(&x->t->md.head->geom))
			qc_table_graph_add(x, x->located, e->s.l1_offset + at);
	}
}

/* A qc_metadata_fn. */
static qc_err add_live_l2(void *arg, struct qc_metadata_item *item)
{
	struct qc_table_graph *x = arg;

	if (item->kind == QC_METADATA_L2_TABLE && !item->invalid)
		qc_table_graph_add(x, x->live_l2, item->off);
	return 0;
}

/* Returns true if a cluster references an L2 table, live or lost.  An old refcount table does
 * not. */
static bool has_l2_table(struct qc_table_graph *x, uint64_t host)
{
	const struct geom *g = &x->t->md.head->geom;

	for (uint64_t i = 0; qc_table_graph_read(x, host) && i < geom_cluster(g); i += 8) {
		const struct qc_lost_table *lost;
		struct hoff at;

		if (l1_decode(g, be64_at(x->buf + i), &at) || !at.v)
			continue;
		lost = qc_table_graph_find(x, at.v);
		if (qc_table_graph_has(x, x->live_l2, at.v) ||
		    (lost && lost->kind == QC_LOST_L2_TABLE))
			return true;
	}
	return false;
}

/* Appends an L1 table.  One that continues the last one makes that longer. */
static qc_err add_l1_cluster(struct qc_table_graph *x, uint64_t host)
{
	uint64_t cluster = geom_cluster(&x->t->md.head->geom);
	struct qc_residue *out = x->out;
	struct qc_l1_table *last = out->nl1 ? &out->l1[out->nl1 - 1] : NULL;
	qc_err r;

	if (last && last->l1_offset + last->l1_entries * UINT64_C(8) == host &&
	    last->l1_entries + cluster / 8 <= L1_ENTRIES_MAX) {
		last->l1_entries += (uint32_t)(cluster / 8);
		return 0;
	}
	r = array_reserve(&out->l1, &out->l1_room, out->nl1 + 1, sizeof(*out->l1));
	if (!r)
		out->l1[out->nl1++] = (struct qc_l1_table){
			.l1_offset = host, .l1_entries = (uint32_t)(cluster / 8)
		};
	return r;
}

static qc_err keep_l1_tables(struct qc_table_graph *x)
{
	qc_err r = qc_metadata_for_each(&x->t->md, 0, add_live_l2, x);

	for (size_t i = 0; !r && i < x->lost.n; i++) {
		const struct qc_lost_table *o = &x->lost.table[i];

		if (o->kind == QC_LOST_L1_TABLE && has_l2_table(x, o->off) && !qc_table_graph_has(x, x->located, o->off) &&
		    !qc_table_graph_has(x, x->nested, o->off))
			r = add_l1_cluster(x, o->off);
	}
	for (size_t i = 0; !r && i < x->out->nl1; i++)
		mark_tables_of_l1(x, x->out->l1[i].l1_offset, x->out->l1[i].l1_entries * UINT64_C(8));
	return r;
}

/* ---- L2 tables ------------------------------------------------------------------ */

static void note_free_target(struct qc_table_graph *x, uint64_t target, void *found)
{
	uint64_t c = target >> x->t->shift;

	if (c < x->u->n && !is_cluster_referenced(x->u, c))
		*(bool *)found = true;
}

/* Returns true if the refcount of a cluster is 1 in the first block, which has @n of them. */
static bool is_counted_once_in(const uint8_t *block, unsigned int order, uint64_t cluster, uint64_t n)
{
	uint64_t bytes = UINT64_C(1) << (order - 3), count = 0;

	for (uint64_t i = 0; cluster < n && i < bytes; i++)
		count = count << 8 | block[cluster * bytes + i];
	return count == 1;
}

/* Returns true if the first word of a table locates a refcount block: it counts the header, the
 * table and itself once each.  Widths below 8 bits are not told from guest data. */
static bool is_old_refcount_table(struct qc_table_graph *x, uint64_t host)
{
	unsigned int bits = x->t->md.head->geom.cluster_bits;
	uint64_t block;
	size_t got;

	if (x->t->md.head->version == 1 || !qc_table_graph_read(x, host))
		return false;
	block = be64_at(x->buf);
	if (!block || block & L2_COPIED || block & (geom_cluster(&x->t->md.head->geom) - 1) ||
	    qc_file_read(x->t->md.file, block, x->buf, UINT64_C(1) << bits, &got))
		return false;
	for (unsigned int order = 3; order <= 6; order++) {
		uint64_t n = UINT64_C(1) << (bits + 3 - order);

		if (is_counted_once_in(x->buf, order, 0, n) && is_counted_once_in(x->buf, order, host >> bits, n) &&
		    is_counted_once_in(x->buf, order, block >> bits, n))
			return true;
	}
	return false;
}

/* Keeps L2 tables without an L1 table.  One that references only clusters in use, as an old
 * refcount table does, has no bytes that are not in another file. */
static qc_err keep_l2_tables(struct qc_table_graph *x)
{
	struct qc_residue *out = x->out;
	uint64_t end = 0; /* of the last one: in version 1 a table may seem to begin in another */
	qc_err r = 0;

	for (size_t i = 0; !r && i < x->lost.n && !x->t->md.head->geom.external; i++) {
		const struct qc_lost_table *o = &x->lost.table[i];
		bool found = false;

		if (o->off < end || o->kind != QC_LOST_L2_TABLE || qc_table_graph_has(x, x->has_l1, o->off) ||
		    qc_table_graph_has(x, x->nested, o->off))
			continue;
		qc_table_graph_for_each_target(x, o->off, note_free_target, &found);
		if (!found || is_old_refcount_table(x, o->off))
			continue;
		r = array_reserve(&out->l2, &out->l2_room, out->nl2 + 1, sizeof(*out->l2));
		if (!r)
			out->l2[out->nl2++] = o->off;
		end = o->off + geom_l2_bytes(&x->t->md.head->geom);
	}
	return r;
}

/* --------------------------------------------------------------------------------- */

static qc_err tell_apart(struct qc_table_graph *x)
{
	qc_err r;

	for (size_t i = 0; i < x->lost.n; i++)
		qc_table_graph_add(x, x->tables, x->lost.table[i].off);
	r = find_deleted_entries(x);
	if (r)
		return r;
	mark_tables_of_entries(x);
	r = qc_table_graph_find_nested(x);
	if (r)
		return r;
	drop_nested_entries(x);
	r = keep_l1_tables(x);
	return r ? r : keep_l2_tables(x);
}

static qc_err open_graph(struct qc_table_graph *x)
{
	const struct geom *g = &x->t->md.head->geom;
	size_t bytes = (size_t)(x->t->n / 8 + 1);

	x->tables = calloc(bytes, 1);
	x->located = calloc(bytes, 1);
	x->live_l2 = calloc(bytes, 1);
	x->has_l1 = calloc(bytes, 1);
	x->named = calloc(bytes, 1);
	x->named_twice = calloc(bytes, 1);
	x->nested = calloc(bytes, 1);
	x->buf = malloc(max_u64(geom_l2_bytes(g), geom_cluster(g)));
	return x->tables && x->located && x->live_l2 && x->has_l1 && x->named && x->named_twice &&
	       x->nested && x->buf ? 0 : -ENOMEM;
}

static void close_graph(struct qc_table_graph *x)
{
	qc_lost_tables_free(&x->lost);
	free(x->tables);
	free(x->located);
	free(x->live_l2);
	free(x->has_l1);
	free(x->named);
	free(x->named_twice);
	free(x->nested);
	free(x->own);
	free(x->buf);
}

qc_err qc_residue_find(struct qc_tables *t, const struct qc_cluster_use *u,
		       struct qc_residue *out)
{
	struct qc_table_graph x = { .t = t, .u = u, .out = out };
	qc_err r = open_graph(&x);

	*out = (struct qc_residue){ 0 };
	if (!r)
		r = qc_lost_tables_find(t->md.file, t->md.head, t->md.refcounts,
					is_cluster_referenced, u, &x.lost);
	if (!r)
		r = tell_apart(&x);
	close_graph(&x);
	return r;
}

void qc_residue_free(struct qc_residue *r)
{
	qc_residue_entries_free(&r->entries);
	free(r->l1);
	free(r->l2);
	*r = (struct qc_residue){ 0 };
}
