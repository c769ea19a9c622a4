/* SPDX-License-Identifier: MIT */
/*
 * counted.h - a file of clusters of 512 bytes that are counted: a header, a refcount
 * table of one cluster, a block, and nothing else.
 */
#ifndef COUNTED_H
#define COUNTED_H

#include "base/byteorder.h"
#include "format/qcow_layout.h"
#include "ramfile.h"
#include "metadata/refcount.h"

enum { CS = 512, CLUSTER_BITS = 9, TABLE = CS, BLOCK = 2 * CS, ENTRIES = CS / 8 };

static inline uint64_t per_block(unsigned int order)
{
	return (uint64_t)CS * 8 >> order;
}

/* The counter i of a block in the file, found bit by bit as the format has it. */
static inline uint64_t file_count(const uint8_t *block, unsigned int order, uint64_t i)
{
	uint64_t bits = UINT64_C(1) << order, v = 0;

	for (uint64_t k = 0; bits >= 8 && k < bits / 8; k++)
		v = v << 8 | block[i * bits / 8 + k];
	for (uint64_t k = bits; bits < 8 && k-- > 0;)
		v = v << 1 | (block[(i * bits + k) / 8] >> (i * bits + k) % 8 & 1);
	return v;
}

/* The refcount of a cluster in the file, through the refcount table of its header. */
static inline uint64_t counted_in_file(const struct ramfile *m, unsigned int order, uint64_t c)
{
	uint64_t table = be64_at(m->bytes + HEAD_REFTABLE_OFFSET), i = c / per_block(order);
	uint64_t block = i < be32_at(m->bytes + HEAD_REFTABLE_CLUSTERS) * (uint64_t)ENTRIES ?
				 be64_at(m->bytes + table + 8 * i) : 0;

	return block ? file_count(m->bytes + block, order, c % per_block(order)) : 0;
}

static inline void counted_open(struct qc_refcounts *c, struct ramfile *m, unsigned int order,
				struct qc_budget *budget)
{
	struct qc_header h = {
		.geom = { .cluster_bits = CLUSTER_BITS },
		.refcount_order = order,
		.reftable_offset = be64_at(m->bytes + HEAD_REFTABLE_OFFSET),
		.reftable_clusters = be32_at(m->bytes + HEAD_REFTABLE_CLUSTERS),
	};
	struct qc_reason why;

	CHECK(!qc_refcounts_open(c, &m->file, &h, budget, &why));
}

/* The first three clusters are in use. */
static inline void counted_new(struct qc_refcounts *c, struct ramfile *m, unsigned int order,
			       struct qc_budget *budget)
{
	/* As far as its first table can count, and as much again. */
	ram_init(m, 2 * ENTRIES * per_block(order) * CS);
	be64_to(m->bytes + HEAD_REFTABLE_OFFSET, TABLE);
	be32_to(m->bytes + HEAD_REFTABLE_CLUSTERS, 1);
	be64_to(m->bytes + TABLE, BLOCK);
	m->size = BLOCK + CS;
	counted_open(c, m, order, budget);
	for (uint64_t i = 0; i < 3; i++)
		CHECK(!qc_refcounts_set(c, i, 1));
	CHECK(!qc_refcounts_write_blocks(c));
}

static inline void counted_end(struct qc_refcounts *c, struct ramfile *m)
{
	qc_refcounts_close(c);
	free(m->bytes);
}

static inline uint64_t count_of(struct qc_refcounts *c, uint64_t cluster)
{
	uint64_t n = UINT64_MAX;

	CHECK(!qc_refcounts_get(c, cluster, &n));
	return n;
}

/* All to the file, as a checkpoint does it. */
static inline void counted_write(struct qc_refcounts *c)
{
	struct qc_reftable_update e;

	CHECK(!qc_refcounts_write_blocks(c));
	CHECK(!qc_refcounts_take_table_entries(c, &e));
	CHECK(!qc_refcounts_write_table_entries(c, &e, true));
}

#endif
