/* SPDX-License-Identifier: MIT */
/*
 * residue.c - tells the tables that the search has found apart.
 *
 *	nested table	an L2 table references it as guest data: a disk that stores another image
 *	L1 table	of a deleted snapshot, or of an earlier disk
 *	L2 table	with an L1 table, or without
 *
 * Tables that reference each other in a circle are not told apart: all of them are kept.  The
 * depth is fixed, so a hostile image costs no more than a few reads of each table.
 */
#include "evidence/residue.h"

#include <errno.h>
#include <string.h>

#include "base/range.h"
#include "qcow_array.h"
#include "rescue/lost_tables.h"

struct table_graph {
	struct qc_lost_tables lost;
	struct qc_tables *t;
	const struct qc_cluster_use *u;
	struct qc_residue *out;
	uint8_t *has_l1, *named, *nested; /* one bit for each cluster */
	uint8_t *buf; /* one table */
};

/* ---- sets of clusters ----------------------------------------------------------- */

static void add_to_set(const struct table_graph *x, uint8_t *set, uint64_t host)
{
	uint64_t c = host >> x->t->shift;

	if (c < x->t->n)
		set[c / 8] |= (uint8_t)(1u << c % 8);
}

static bool is_in_set(const struct table_graph *x, const uint8_t *set, uint64_t host)
{
	uint64_t c = host >> x->t->shift;

	return c < x->t->n && set[c / 8] >> c % 8 & 1;
}

/* A qc_is_referenced_fn. */
static bool is_cluster_referenced(const void *use, uint64_t cluster)
{
	const struct qc_cluster_use *u = use;

	return cluster < u->n && qc_cluster_use_of(u, cluster) & QC_USE_REFERENCED;
}

/* ---- nested tables -------------------------------------------------------------- */

static bool read_table(struct table_graph *x, uint64_t host)
{
	size_t got;

	return !qc_file_read(x->t->md.file, host, x->buf, geom_l2_bytes(&x->t->md.head->geom), &got);
}

/* Calls @fn for each cluster that an L2 table references. */
static void for_each_target(struct table_graph *x, uint64_t host,
			    void (*fn)(struct table_graph *x, uint64_t target, void *arg), void *arg)
{
	const struct geom *g = &x->t->md.head->geom;

	if (!read_table(x, host))
		return;
	for (uint64_t i = 0; i < UINT64_C(1) << g->l2_bits; i++) {
		struct l2_entry e;

		if (!l2_entry_at(g, x->buf, i, &e) && e.host.v)
			fn(x, e.host.v, arg);
	}
}

static void add_target(struct table_graph *x, uint64_t target, void *set)
{
	add_to_set(x, set, target);
}

static void find_nested_tables(struct table_graph *x)
{
	const struct qc_lost_table *at = x->lost.table;

	if (x->t->md.head->geom.external)
		return;
	for (size_t i = 0; i < x->lost.n; i++)
		if (at[i].kind == QC_LOST_L2_TABLE)
			for_each_target(x, at[i].off, add_target, x->named);
	for (size_t i = 0; i < x->lost.n; i++)
		if (at[i].kind == QC_LOST_L2_TABLE && !is_in_set(x, x->named, at[i].off))
			for_each_target(x, at[i].off, add_target, x->nested);
}

/* ---- snapshots ------------------------------------------------------------------ */

/* Reads the entries of all tables, and those behind the end of the live one: it may have
 * overwritten a longer one. */
static qc_err read_all_entries(struct table_graph *x, const struct qc_snapshot_table *live)
{
	const struct qc_header *h = x->t->md.head;
	uint64_t cluster = geom_cluster(&h->geom), end;
	qc_err r = 0;

	for (size_t i = 0; !r && i < x->lost.n; i++)
		if (x->lost.table[i].kind == QC_LOST_SNAPSHOT_TABLE &&
		    !is_in_set(x, x->nested, x->lost.table[i].off))
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

static qc_err find_deleted_entries(struct table_graph *x)
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
static void mark_tables_of_l1(struct table_graph *x, uint64_t off, uint64_t bytes)
{
	const struct geom *g = &x->t->md.head->geom;
	uint64_t step = geom_l2_bytes(g);

	for (uint64_t at = 0; at < bytes; at += step) {
		if (!read_table(x, off + at))
			continue;
		for (uint64_t i = 0; i < min_u64(step, bytes - at); i += 8) {
			struct hoff table;

			if (!l1_decode(g, be64_at(x->buf + i), &table) && table.v)
				add_to_set(x, x->has_l1, table.v);
		}
	}
}

/* Marks the tables of all deleted snapshots, and the clusters of their L1 tables in @located.  If L1
 * tables overlap, no more bytes are read than the file has. */
static void mark_tables_of_entries(struct table_graph *x, uint8_t *located)
{
	uint64_t left = x->t->file_bytes;

	for (size_t i = 0; i < x->out->entries.n; i++) {
		const struct qc_residue_entry *e = &x->out->entries.at[i];
		uint64_t bytes = e->s.l1_entries * UINT64_C(8);

		if (e->repeated || bytes > left)
			continue;
		left -= bytes;
		mark_tables_of_l1(x, e->s.l1_offset, bytes);
		for (uint64_t at = 0; at < bytes; at += geom_cluster(&x->t->md.head->geom))
			add_to_set(x, located, e->s.l1_offset + at);
	}
}

/* Appends an L1 table.  One that continues the last one makes that longer. */
static qc_err add_l1_cluster(struct table_graph *x, uint64_t host)
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

static qc_err keep_l1_tables(struct table_graph *x)
{
	uint8_t *located = x->named; /* which is not needed any more */
	qc_err r = 0;

	memset(located, 0, x->t->n / 8 + 1);
	mark_tables_of_entries(x, located);
	for (size_t i = 0; !r && i < x->lost.n; i++) {
		const struct qc_lost_table *o = &x->lost.table[i];

		if (o->kind == QC_LOST_L1_TABLE && !is_in_set(x, located, o->off) &&
		    !is_in_set(x, x->nested, o->off))
			r = add_l1_cluster(x, o->off);
	}
	for (size_t i = 0; !r && i < x->out->nl1; i++)
		mark_tables_of_l1(x, x->out->l1[i].l1_offset, x->out->l1[i].l1_entries * UINT64_C(8));
	return r;
}

/* ---- L2 tables ------------------------------------------------------------------ */

static void note_free_target(struct table_graph *x, uint64_t target, void *found)
{
	uint64_t c = target >> x->t->shift;

	if (c < x->u->n && !is_cluster_referenced(x->u, c))
		*(bool *)found = true;
}

/* Keeps L2 tables without an L1 table.  One that references only clusters in use, as an old
 * refcount table does, has no bytes that are not in another file. */
static qc_err keep_l2_tables(struct table_graph *x)
{
	struct qc_residue *out = x->out;
	uint64_t end = 0; /* of the last one: in version 1 a table may seem to begin in another */
	qc_err r = 0;

	for (size_t i = 0; !r && i < x->lost.n && !x->t->md.head->geom.external; i++) {
		const struct qc_lost_table *o = &x->lost.table[i];
		bool found = false;

		if (o->off < end || o->kind != QC_LOST_L2_TABLE || is_in_set(x, x->has_l1, o->off) ||
		    is_in_set(x, x->nested, o->off))
			continue;
		for_each_target(x, o->off, note_free_target, &found);
		if (!found)
			continue;
		r = array_reserve(&out->l2, &out->l2_room, out->nl2 + 1, sizeof(*out->l2));
		if (!r)
			out->l2[out->nl2++] = o->off;
		end = o->off + geom_l2_bytes(&x->t->md.head->geom);
	}
	return r;
}

/* --------------------------------------------------------------------------------- */

static qc_err tell_apart(struct table_graph *x)
{
	qc_err r;

	find_nested_tables(x);
	r = find_deleted_entries(x);
	if (!r)
		r = keep_l1_tables(x);
	return r ? r : keep_l2_tables(x);
}

qc_err qc_residue_find(struct qc_tables *t, const struct qc_cluster_use *u,
		       struct qc_residue *out)
{
	const struct geom *g = &t->md.head->geom;
	size_t bytes = (size_t)(t->n / 8 + 1);
	struct table_graph x = {
		.t = t,
		.u = u,
		.out = out,
		.has_l1 = calloc(bytes, 1),
		.named = calloc(bytes, 1),
		.nested = calloc(bytes, 1),
		.buf = malloc(max_u64(geom_l2_bytes(g), geom_cluster(g))),
	};
	qc_err r = x.has_l1 && x.named && x.nested && x.buf ? 0 : -ENOMEM;

	*out = (struct qc_residue){ 0 };
	if (!r)
		r = qc_lost_tables_find(t->md.file, t->md.head, t->md.refcounts,
					  is_cluster_referenced, u, &x.lost);
	if (!r)
		r = tell_apart(&x);
	qc_lost_tables_free(&x.lost);
	free(x.has_l1);
	free(x.named);
	free(x.nested);
	free(x.buf);
	return r;
}

void qc_residue_free(struct qc_residue *r)
{
	qc_residue_entries_free(&r->entries);
	free(r->l1);
	free(r->l2);
	*r = (struct qc_residue){ 0 };
}
