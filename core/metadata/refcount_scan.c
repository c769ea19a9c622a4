/* SPDX-License-Identifier: MIT */
#include "metadata/refcount_scan.h"

#include <errno.h>
#include <string.h>

#include "base/range.h"

static uint64_t block_bytes(const struct qc_refcount_scan *s)
{
	return UINT64_C(1) << s->refcounts->cluster_bits;
}

qc_err qc_refcount_scan_open(struct qc_refcount_scan *s, const struct qc_refcounts *r)
{
	*s = (struct qc_refcount_scan){ .refcounts = r };
	s->block = malloc(block_bytes(s));
	return s->block ? 0 : -ENOMEM;
}

void qc_refcount_scan_close(struct qc_refcount_scan *s)
{
	free(s->block);
}

/* Reads block number @i of the table, and lets the kernel read the next one. */
static qc_err load_scanned_block(struct qc_refcount_scan *s, uint64_t i)
{
	const struct qc_refcounts *r = s->refcounts;
	size_t got;
	qc_err e = qc_file_read(r->file, r->table[i], s->block, block_bytes(s), &got);

	s->offset = e ? 0 : r->table[i];
	if (i + 1 < r->entries && r->table[i + 1])
		qc_file_prefetch(r->file, r->table[i + 1], block_bytes(s));
	return e;
}

/* Decodes @n refcounts from number @first of the block on. */
static void decode_refcounts(const struct qc_refcount_scan *s, uint64_t first, size_t n,
			     uint64_t *counts)
{
	const struct be64 *block = s->block;
	const uint8_t *bytes = (const uint8_t *)block + 2 * first;
	unsigned int order = s->refcounts->order;

	if (order == 4) { /* as in nearly all images */
		for (size_t i = 0; i < n; i++)
			counts[i] = (uint64_t)bytes[2 * i] << 8 | bytes[2 * i + 1];
		return;
	}
	for (size_t i = 0; i < n; i++)
		counts[i] = qc_refcount_word_get(block, order, first + i);
}

/* Reads refcounts that one block covers. */
static qc_err read_from_block(struct qc_refcount_scan *s, uint64_t cluster, size_t n,
			      uint64_t *counts)
{
	const struct qc_refcounts *r = s->refcounts;
	unsigned int bits = qc_refcounts_block_bits(r);
	uint64_t i = cluster >> bits;
	qc_err e;

	if (i >= r->entries || !r->table[i]) {
		memset(counts, 0, n * sizeof(*counts));
		return 0;
	}
	if (s->offset != r->table[i]) {
		e = load_scanned_block(s, i);
		if (e)
			return e;
	}
	decode_refcounts(s, cluster & ((UINT64_C(1) << bits) - 1), n, counts);
	return 0;
}

qc_err qc_refcount_scan_read(struct qc_refcount_scan *s, uint64_t cluster, size_t n,
			     uint64_t *counts)
{
	uint64_t per_block = UINT64_C(1) << qc_refcounts_block_bits(s->refcounts), part;
	qc_err e = 0;

	for (; !e && n; cluster += part, counts += part, n -= part) {
		part = min_u64(n, per_block - cluster % per_block);
		e = read_from_block(s, cluster, part, counts);
	}
	return e;
}
