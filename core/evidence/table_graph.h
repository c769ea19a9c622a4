/* SPDX-License-Identifier: MIT */
/* table_graph.h - which lost tables reference which clusters. */
#ifndef QC_TABLE_GRAPH_H
#define QC_TABLE_GRAPH_H

#include "evidence/cluster_use.h"
#include "rescue/lost_tables.h"

struct qc_residue;

struct qc_table_graph {
	struct qc_lost_tables lost;
	struct qc_tables *t;
	const struct qc_cluster_use *u;
	struct qc_residue *out;
	/* One bit for each cluster. */
	uint8_t *tables, *located, *live_l2, *has_l1, *named, *named_twice, *nested;
	uint32_t *own; /* of each table: clusters that no other one references */
	uint8_t *buf; /* one table */
};

static inline void qc_table_graph_add(const struct qc_table_graph *x, uint8_t *set, uint64_t host)
{
	uint64_t c = host >> x->t->shift;

	if (c < x->t->n)
		set[c / 8] |= (uint8_t)(1u << c % 8);
}

static inline bool qc_table_graph_has(const struct qc_table_graph *x, const uint8_t *set, uint64_t host)
{
	uint64_t c = host >> x->t->shift;

	return c < x->t->n && set[c / 8] >> c % 8 & 1;
}

/* Reads the table at a host offset into x->buf.  Returns false if it cannot be read. */
bool qc_table_graph_read(struct qc_table_graph *x, uint64_t host);

/* Calls @fn for each cluster that an L2 table references. */
void qc_table_graph_for_each_target(struct qc_table_graph *x, uint64_t host,
				    void (*fn)(struct qc_table_graph *x, uint64_t target, void *arg),
				    void *arg);

/* Returns the lost table at a host offset; NULL: there is none. */
const struct qc_lost_table *qc_table_graph_find(const struct qc_table_graph *x, uint64_t host);

/*
 * qc_table_graph_find_nested() - mark the tables that are guest data: a disk stores another image
 *
 * The tables of deleted snapshots are known from x->has_l1, and are never nested.  Of two others,
 * the one with more clusters that no other one references is not nested.  If both have as many, neither is.
 * Return: 0; -ENOMEM
 */
qc_err qc_table_graph_find_nested(struct qc_table_graph *x);

#endif
