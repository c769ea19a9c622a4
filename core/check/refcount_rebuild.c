/* SPDX-License-Identifier: MIT */
/*
 * refcount_rebuild.c - three passes over all tables, each in windows of bounded memory.
 *
 * The first pass finds the areas that need a block.  The second one finds a run of clusters for
 * the blocks and the table.  It counts beyond the end of the file: a damaged entry may reference
 * clusters there, and the file must not grow into them.  The third one writes the refcounts.
 */
#include "check/refcount_rebuild.h"

#include <errno.h>
#include <string.h>

#include "base/range.h"
#include "layer/context_fields.h"
#include "update/autoclear.h"
#include "update/new_refcounts.h"

enum { CHUNK_BYTES = 64 * 1024, ROOM_MIN = 1024 };

struct rebuild {
	struct qc_writer *w;
	bool keep_damage;
	uint64_t *tables;
	struct qc_metadata others; /* all metadata but the old refcounts */
	struct qc_new_refcounts new;
	uint64_t first, n; /* the run of new clusters */
	bool is_block_device;
};

/* @md says if the old refcounts are counted, too. */
static qc_err open_rebuild_count(const struct rebuild *b, const struct qc_metadata *md,
				 struct qc_reference_count *m)
{
	qc_err r = qc_reference_count_open(m, md);

	m->ignore_copied = true;
	m->ignore_damage = m->keep_damaged = b->keep_damage;
	m->needs_all = true;
	return r;
}

static qc_err run_rebuild_count(const struct rebuild *b, struct qc_reference_count *m, uint64_t first)
{
	qc_err r = qc_reference_count_run(m, first);

	*b->tables += m->l2_tables;
	m->l2_tables = 0;
	return r ? r : qc_context_interrupted(b->w->layer->ctx);
}

/* ---- which blocks are needed ------------------------------------------------------ */

static qc_err find_areas_of_window(struct rebuild *b, const struct qc_reference_count *m)
{
	uint64_t most = qc_refcount_max(b->new.order);
	qc_err r = 0;

	for (uint64_t c = m->first; !r && c < qc_reference_count_end(m); c++) {
		uint64_t references = qc_reference_count_of(m, c);

		if (!references)
			continue;
		if (qc_reference_conflict(m, c))
			return -EIO;
		r = references > most ? -EOVERFLOW : qc_new_refcounts_need(&b->new, c);
	}
	return r;
}

static qc_err find_areas(struct rebuild *b)
{
	struct qc_reference_count m;
	qc_err r = open_rebuild_count(b, &b->others, &m);

	for (uint64_t first = 0; !r && first < m.n; first += QC_REF_WINDOW) {
		r = run_rebuild_count(b, &m, first);
		if (!r)
			r = find_areas_of_window(b, &m);
	}
	qc_reference_count_close(&m);
	return r;
}

/* ---- where they go ------------------------------------------------------------------ */

static uint64_t count_needed_clusters(const struct rebuild *b)
{
	uint64_t n = qc_new_refcounts_table_need(&b->new);

	for (size_t i = 0; i < b->new.areas; i++)
		n += b->new.block[i] != 0;
	return n;
}

/* Continues a run of clusters without references that ends before the window, and returns true
 * if it is long enough. */
static bool continue_run(struct rebuild *b, const struct qc_reference_count *m, uint64_t *len)
{
	for (uint64_t c = m->first; *len < b->n && c < qc_reference_count_end(m); c++) {
		if (qc_reference_count_of(m, c))
			*len = 0;
		else if (!(*len)++)
			b->first = c;
	}
	return *len >= b->n;
}

/* Finds b->n contiguous clusters that nothing references, not even the old refcounts. */
static qc_err find_unused_run(struct rebuild *b)
{
	struct qc_reference_count m;
	qc_err r = open_rebuild_count(b, &b->w->metadata, &m);
	uint64_t first = b->is_block_device ? 1 : m.n, len = 0;
	bool found = false;

	if (!r && !b->is_block_device)
		r = qc_reference_count_extend(&m, m.n + 2 * b->n + ROOM_MIN);
	for (; !r && !found && first < m.n; first += QC_REF_WINDOW) {
		r = run_rebuild_count(b, &m, first);
		found = !r && continue_run(b, &m, &len);
	}
	qc_reference_count_close(&m);
	return r || found ? r : -EFBIG;
}

/* Gives the table the first clusters of the run, and each block one of the others. */
static void assign_new_clusters(struct rebuild *b)
{
	uint64_t next = b->first;

	b->new.table.v = next << b->w->alloc.cluster_bits;
	b->new.table_clusters = qc_new_refcounts_table_need(&b->new);
	next += b->new.table_clusters;
	for (size_t i = 0; i < b->new.areas; i++)
		if (b->new.block[i])
			b->new.block[i] = next++ << b->w->alloc.cluster_bits;
}

/* Repeats until the run has room: the new clusters need refcounts, too. */
static qc_err locate_new_clusters(struct rebuild *b)
{
	qc_err r = 0;

	while (!r && b->n < count_needed_clusters(b)) {
		b->n = count_needed_clusters(b);
		r = find_unused_run(b);
		for (uint64_t i = 0; !r && i < b->n; i++)
			r = qc_new_refcounts_need(&b->new, b->first + i);
	}
	if (!r && qc_new_refcounts_table_need(&b->new) << b->w->alloc.cluster_bits > REFTABLE_BYTES_MAX)
		r = -EFBIG;
	if (!r)
		assign_new_clusters(b);
	return r;
}

/* ---- writing -------------------------------------------------------------------------- */

static bool is_new_cluster(const struct rebuild *b, uint64_t cluster)
{
	return cluster >= b->first && cluster - b->first < b->n;
}

/* Writes the refcounts of @n clusters from @first on: a part of one block. */
static qc_err write_chunk(const struct rebuild *b, const struct qc_reference_count *m, uint64_t first,
			  uint64_t n, struct be64 *words)
{
	unsigned int bits = qc_new_refcounts_area_bits(&b->new);
	uint64_t block = b->new.block[first >> bits], at = first & ((UINT64_C(1) << bits) - 1);

	memset(words, 0, (n << b->new.order) / 8);
	for (uint64_t c = first; c < min_u64(first + n, qc_reference_count_end(m)); c++) {
		uint64_t refcount = qc_reference_count_of(m, c) + is_new_cluster(b, c);

		if (refcount)
			qc_refcount_word_set(words, b->new.order, c - first, refcount);
	}
	return qc_file_write(b->w->file, block + (at << b->new.order) / 8, words,
			     (n << b->new.order) / 8);
}

/* Writes the parts of all blocks that the window covers.  The last block is written to its end. */
static qc_err write_window(const struct rebuild *b, const struct qc_reference_count *m,
			   struct be64 *words)
{
	unsigned int bits = qc_new_refcounts_area_bits(&b->new);
	uint64_t end = qc_reference_count_end(m), all = (uint64_t)b->new.areas << bits;
	uint64_t n = min_u64(UINT64_C(1) << bits, (uint64_t)CHUNK_BYTES * 8 >> b->new.order);
	qc_err r = 0;

	for (uint64_t c = m->first; !r && c < (end == m->n ? all : end); c += n)
		if (c >> bits < b->new.areas && b->new.block[c >> bits])
			r = write_chunk(b, m, c, n, words);
	return r;
}

static qc_err write_blocks(struct rebuild *b)
{
	AUTO_FREE struct be64 *words = malloc(CHUNK_BYTES);
	struct qc_reference_count m;
	qc_err r = open_rebuild_count(b, &b->others, &m);
	uint64_t end = m.end;

	if (!r && !words)
		r = -ENOMEM;
	if (!r && b->first + b->n > m.n)
		r = qc_reference_count_extend(&m, b->first + b->n);
	m.end = end; /* a reference beyond the old end of the file stays one */
	for (uint64_t first = 0; !r && first < m.n; first += QC_REF_WINDOW) {
		r = run_rebuild_count(b, &m, first);
		if (!r)
			r = write_window(b, &m, words);
	}
	qc_reference_count_close(&m);
	return r;
}

UNCHECKED static qc_err switch_refcounts(struct rebuild *b)
{
	struct qc_reason ignored;
	qc_err r;

	qc_lock(&b->w->checkpoint_lock);
	qc_lock(&b->w->alloc.lock);
	r = qc_new_refcounts_switch(&b->new, &ignored);
	b->w->alloc.never_written = max_u64(b->w->alloc.never_written, b->first + b->n);
	qc_unlock(&b->w->alloc.lock);
	qc_unlock(&b->w->checkpoint_lock);
	return r;
}

qc_err qc_refcount_rebuild(struct qc_writer *w, bool keep_damage, uint64_t *tables,
			   bool *has_written)
{
	struct rebuild b = {
		.w = w, .keep_damage = keep_damage, .tables = tables, .others = w->metadata,
	};
	struct qc_file_stat now;
	qc_err r = qc_file_stat(w->file, &now);

	b.others.refcounts = NULL;
	b.is_block_device = now.is_block_device;
	qc_new_refcounts_init(&b.new, w, w->layer->head.refcount_order);
	if (!r)
		r = find_areas(&b);
	if (!r)
		r = locate_new_clusters(&b);
	*has_written = !r;
	if (!r)
		r = qc_autoclear_clear(w);
	if (!r)
		r = write_blocks(&b);
	if (!r)
		r = switch_refcounts(&b);
	qc_new_refcounts_free(&b.new);
	return r;
}
