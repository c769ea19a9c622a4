/* SPDX-License-Identifier: MIT */
#include "evidence/table_graph.h"

#include <errno.h>

bool qc_table_graph_read(struct qc_table_graph *x, uint64_t host)
{
	size_t got;

	return !qc_file_read(x->t->md.file, host, x->buf, geom_l2_bytes(&x->t->md.head->geom), &got);
}

void qc_table_graph_for_each_target(struct qc_table_graph *x, uint64_t host,
			    void (*fn)(struct qc_table_graph *x, uint64_t target, void *arg), void *arg)
{
	const struct geom *g = &x->t->md.head->geom;

	if (!qc_table_graph_read(x, host))
		return;
	for (uint64_t i = 0; i < UINT64_C(1) << g->l2_bits; i++) {
		struct l2_entry e;

		if (!l2_entry_at(g, x->buf, i, &e) && e.host.v)
			fn(x, e.host.v, arg);
	}
}

static int compare_offset_of_table(const void *key, const void *table)
{
	uint64_t off = *(const uint64_t *)key, at = ((const struct qc_lost_table *)table)->off;

	return (off > at) - (off < at);
}

const struct qc_lost_table *qc_table_graph_find(const struct qc_table_graph *x, uint64_t host)
{
	if (!x->lost.n || !qc_table_graph_has(x, x->tables, host))
		return NULL;
	return bsearch(&host, x->lost.table, x->lost.n, sizeof(*x->lost.table),
		       compare_offset_of_table);
}

/* ---- nested tables -------------------------------------------------------------- */

static void count_target(struct qc_table_graph *x, uint64_t target, void *arg)
{
	(void)arg;
	qc_table_graph_add(x, qc_table_graph_has(x, x->named, target) ? x->named_twice : x->named, target);
}

static void count_own_target(struct qc_table_graph *x, uint64_t target, void *own)
{
	*(uint32_t *)own += !qc_table_graph_has(x, x->named_twice, target);
}

/* Marks a table that is data of a deleted snapshot. */
static void mark_data_of_snapshot(struct qc_table_graph *x, uint64_t target, void *arg)
{
	(void)arg;
	if (!qc_table_graph_has(x, x->has_l1, target))
		qc_table_graph_add(x, x->nested, target);
}

/* Marks the tables that another one references as data, if that has more clusters that no
 * third one references. */
static void mark_nested_target(struct qc_table_graph *x, uint64_t target, void *own)
{
	const struct qc_lost_table *t = qc_table_graph_find(x, target);

	if (!t || qc_table_graph_has(x, x->has_l1, target))
		return;
	if ((t->kind != QC_LOST_L2_TABLE || x->own[t - x->lost.table] < *(uint32_t *)own))
		qc_table_graph_add(x, x->nested, target);
}

static int compare_own_targets(const void *a, const void *b, void *own)
{
	uint32_t p = ((uint32_t *)own)[*(const uint32_t *)a];
	uint32_t q = ((uint32_t *)own)[*(const uint32_t *)b];

	return (p < q) - (p > q);
}

/* Counts for each L2 table the clusters that no other one references.  The table with the most is
 * looked at first: it cannot be nested itself. */
static void count_own_targets(struct qc_table_graph *x, uint32_t *order, size_t *n)
{
	*n = 0;
	for (size_t i = 0; i < x->lost.n; i++)
		if (x->lost.table[i].kind == QC_LOST_L2_TABLE)
			qc_table_graph_for_each_target(x, x->lost.table[i].off, count_target, NULL);
	for (size_t i = 0; i < x->lost.n; i++) {
		if (x->lost.table[i].kind != QC_LOST_L2_TABLE)
			continue;
		qc_table_graph_for_each_target(x, x->lost.table[i].off, count_own_target, &x->own[i]);
		order[(*n)++] = (uint32_t)i;
	}
	if (*n)
		qsort_r(order, *n, sizeof(*order), compare_own_targets, x->own);
}

qc_err qc_table_graph_find_nested(struct qc_table_graph *x)
{
	AUTO_FREE uint32_t *order = malloc((x->lost.n + 1) * sizeof(*order));
	size_t n;

	x->own = calloc(x->lost.n + 1, sizeof(*x->own));
	if (!order || !x->own)
		return -ENOMEM;
	if (x->t->md.head->geom.external)
		return 0;
	count_own_targets(x, order, &n);
	for (size_t i = 0; i < n; i++)
		if (qc_table_graph_has(x, x->has_l1, x->lost.table[order[i]].off))
			qc_table_graph_for_each_target(x, x->lost.table[order[i]].off, mark_data_of_snapshot, NULL);
	for (size_t i = 0; i < n; i++) {
		uint64_t off = x->lost.table[order[i]].off;

		if (!qc_table_graph_has(x, x->nested, off) && !qc_table_graph_has(x, x->has_l1, off))
			qc_table_graph_for_each_target(x, off, mark_nested_target, &x->own[order[i]]);
	}
	return 0;
}
