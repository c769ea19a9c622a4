/* SPDX-License-Identifier: MIT */
#include "rescue/verdicts.h"

#include <errno.h>

#include "base/range.h"
#include "base/zeros.h"
#include "check/reference_count.h"

enum { ZERO_CHUNK = 64 * 1024, BEYOND_END_MAX = 1 << 20 };

struct comparison {
	struct qc_reference_count references;
	struct qc_refcounts refcounts;
	struct qc_metadata md;
	struct qc_salvage *file;
	struct qc_verdicts *out;
	uint64_t file_clusters;
	bool has_refcounts, invalid_block;
	bool shared, compressed; /* found references that only refcounts could prove */
};

static void set_verdict(struct qc_verdicts *v, uint64_t cluster, enum qc_verdict verdict)
{
	v->verdict[cluster / 4] |= (uint8_t)((unsigned int)verdict << cluster % 4 * 2);
}

static enum qc_verdict get_verdict(const struct qc_verdicts *v, uint64_t cluster)
{
	return v->verdict[cluster / 4] >> cluster % 4 * 2 & 3;
}

bool qc_verdicts_is_referenced(const struct qc_verdicts *v, uint64_t cluster)
{
	return get_verdict(v, cluster) != QC_VERDICT_NOT_REFERENCED;
}

enum qc_verdict qc_verdicts_find(const struct qc_verdicts *v, uint64_t off, uint64_t len)
{
	enum qc_verdict worst = QC_VERDICT_SOUND;
	uint64_t first = off >> v->bits, end = div_up(off + len, UINT64_C(1) << v->bits);

	for (uint64_t c = first; c < end; c++) {
		enum qc_verdict verdict = c < v->n ? get_verdict(v, c) : QC_VERDICT_DIFFERS;

		if (verdict == QC_VERDICT_NOT_REFERENCED)
			verdict = QC_VERDICT_DIFFERS;
		if (verdict > worst)
			worst = verdict;
	}
	return worst;
}

/* ---- comparing -------------------------------------------------------------- */

static void note_invalid_block(void *arg, uint64_t index, uint64_t entry)
{
	struct comparison *k = arg;

	(void)index, (void)entry;
	k->invalid_block = true;
}

/* In version 1 compressed clusters may begin and end inside a sector. */
static bool may_share_sector(const struct comparison *k, uint64_t cluster)
{
	return k->md.head->version == 1 &&
	       k->references.count[cluster - k->references.first] & QC_REF_COMPRESSED;
}

static qc_err compare_cluster(struct comparison *k, uint64_t cluster)
{
	const struct qc_reference_count *m = &k->references;
	uint32_t kinds = m->count[cluster - m->first];
	uint64_t references = qc_reference_count_of(m, cluster), refcount = references;
	enum qc_verdict verdict = QC_VERDICT_SOUND;
	qc_err r = k->has_refcounts ? qc_refcounts_get(&k->refcounts, cluster, &refcount) : 0;

	if (r)
		return r;
	k->out->referenced += references > 0;
	k->out->missing += refcount > references;
	k->out->behind += refcount < references;
	k->out->is_cut = k->out->is_cut || (references && cluster >= k->file_clusters);
	k->compressed = k->compressed || kinds & QC_REF_COMPRESSED;
	if (kinds & QC_REF_METADATA && kinds & QC_REF_GUEST_DATA && !may_share_sector(k, cluster))
		verdict = QC_VERDICT_CONFLICT;
	else if (refcount != references || (!k->has_refcounts && references > 1 &&
					    !may_share_sector(k, cluster)))
		verdict = QC_VERDICT_DIFFERS;
	k->shared = k->shared || verdict == QC_VERDICT_CONFLICT ||
		    (verdict == QC_VERDICT_DIFFERS && references > 1);
	if (references)
		set_verdict(k->out, cluster, verdict);
	return 0;
}

static qc_err compare_windows(struct comparison *k)
{
	struct qc_reference_count *m = &k->references;
	qc_err r = 0;

	for (uint64_t first = 0; !r && first < m->n; first += QC_REF_WINDOW) {
		r = qc_reference_count_run(m, first);
		for (uint64_t c = first; !r && c < qc_reference_count_end(m); c++)
			r = compare_cluster(k, c);
	}
	return r;
}

/* Counts references, and refcounts, also of clusters behind the end of the file: it may have
 * been cut. */
static uint64_t count_clusters(const struct comparison *k)
{
	const struct qc_refcounts *c = &k->refcounts;
	uint64_t n = k->file_clusters + 1, covered = 0;

	for (uint64_t i = 0; k->has_refcounts && i < c->entries; i++)
		if (c->table[i])
			covered = (i + 1) << qc_refcounts_block_bits(c);
	return max_u64(n, min_u64(covered, 2 * n + BEYOND_END_MAX));
}

static qc_err open_comparison(struct comparison *k, struct qc_budget *budget)
{
	struct qc_reference_count *m = &k->references;
	struct qc_reason ignored;
	qc_err r = 0;

	if (k->md.head->version > 1) {
		r = qc_refcounts_open_damaged(&k->refcounts, &k->file->front.file, k->md.head, budget,
					      note_invalid_block, k, &ignored);
		k->has_refcounts = !r;
		k->md.refcounts = r ? NULL : &k->refcounts;
	}
	if (r != -ENOMEM)
		r = qc_reference_count_open(m, &k->md);
	if (r)
		return r;
	m->ignore_damage = m->exact_end = true;
	k->file_clusters = m->n;
	r = qc_reference_count_extend(m, count_clusters(k));
	if (r)
		return r;
	k->out->n = m->n;
	k->out->bits = m->bits;
	k->out->verdict = calloc(m->n / 4 + 1, 1);
	return k->out->verdict ? 0 : -ENOMEM;
}

/* ---- without refcounts ------------------------------------------------------- */

/* Version 1 has its header and the name of its backing file in sectors that nothing counts. */
static void count_v1_header(struct qc_verdicts *v, const struct qc_header *h)
{
	uint64_t end = max_u64(HEAD1_BYTES, h->backing_len ? h->backing_offset + h->backing_len : 0);

	for (uint64_t c = 0; c < v->n && c << v->bits < end; c++)
		if (get_verdict(v, c) == QC_VERDICT_NOT_REFERENCED)
			set_verdict(v, c, QC_VERDICT_SOUND);
}

/* Sets *zero if a range of the file that nothing references reads as zeros. */
static qc_err check_zero(struct comparison *k, uint64_t off, uint64_t end, bool *zero)
{
	AUTO_FREE uint8_t *buf = malloc(ZERO_CHUNK);
	qc_err r = buf ? 0 : -ENOMEM;

	while (!r && *zero && off < end) {
		struct qc_extent e = { 0 };
		size_t got;

		if (qc_file_extent(&k->file->front.file, off, &e))
			e = (struct qc_extent){ ZERO_CHUNK, true };
		e.len = min_u64(e.len, end - off);
		if (e.data) {
			e.len = min_u64(e.len, ZERO_CHUNK);
			r = qc_file_read(&k->file->front.file, off, buf, (size_t)e.len, &got);
			*zero = !r && qc_is_all_zeros(buf, (size_t)e.len);
		}
		off += e.len;
	}
	return r;
}

static qc_err check_explained(struct comparison *k, uint64_t file_bytes)
{
	struct qc_verdicts *v = k->out;
	bool zero = true;
	qc_err r = 0;

	if (k->md.head->version == 1)
		count_v1_header(v, k->md.head);
	for (uint64_t c = 0, end; !r && zero && c < k->file_clusters; c = end) {
		for (end = c; end < k->file_clusters && !get_verdict(v, end); end++)
			;
		if (end > c)
			r = check_zero(k, c << v->bits, min_u64(end << v->bits, file_bytes), &zero);
		else
			end++;
	}
	v->explained = !r && zero && !k->file->unread;
	return r;
}

/* Compressed clusters share host clusters, of which only the refcount tells how many they are. */
static bool may_be_explained(const struct comparison *k)
{
	const struct qc_verdicts *v = k->out;

	return !v->missing && !v->unread && v->proof != QC_PROOF_PROVED && !k->shared &&
	       (k->md.head->version == 1 || !k->compressed);
}

/* A file that is explained proves the clusters, whose refcounts are too low or not there. */
static void trust_references(struct comparison *k)
{
	struct qc_verdicts *v = k->out;

	if (!v->explained || v->behind == 0)
		return;
	for (uint64_t c = 0; c < v->n; c++)
		if (get_verdict(v, c) == QC_VERDICT_DIFFERS)
			v->verdict[c / 4] ^= (uint8_t)((QC_VERDICT_DIFFERS ^ QC_VERDICT_SOUND)
						       << c % 4 * 2);
}

/* ----------------------------------------------------------------------------- */

/* Returns the bytes of the refcount table and blocks that are behind the end of the file. */
static uint64_t count_cut_refcounts(const struct comparison *k, uint64_t file_bytes)
{
	const struct qc_refcounts *c = &k->refcounts;
	uint64_t cluster = geom_cluster(&k->md.head->geom), cut = 0;

	if (!k->has_refcounts)
		return 0;
	cut = c->entries * 8 - range_clamp(c->table_offset, c->entries * 8, file_bytes);
	for (uint64_t i = 0; i < c->entries; i++)
		if (c->table[i])
			cut += cluster - range_clamp(c->table[i], cluster, file_bytes);
	return cut;
}

static enum qc_proof find_proof(const struct comparison *k)
{
	const struct qc_verdicts *v = k->out;

	if (!k->has_refcounts || k->invalid_block || v->unread)
		return v->missing ? QC_PROOF_MISSING : QC_PROOF_NONE;
	if (v->missing)
		return QC_PROOF_MISSING;
	return v->behind ? QC_PROOF_NOTHING_LOST : QC_PROOF_PROVED;
}

qc_err qc_verdicts_new(struct qc_salvage *file, const struct qc_header *head,
		       struct qc_budget *budget, struct qc_verdicts *out)
{
	struct comparison k = {
		.md = { .file = &file->front.file, .head = head }, .file = file, .out = out
	};
	struct qc_file_stat now;
	qc_err r = qc_file_stat(&file->front.file, &now);

	*out = (struct qc_verdicts){ 0 };
	qc_salvage_reset(file);
	if (!r)
		r = open_comparison(&k, budget);
	if (!r)
		r = compare_windows(&k);
	out->unread = file->unread + (r ? 0 : count_cut_refcounts(&k, now.size));
	if (!r)
		out->proof = find_proof(&k);
	if (!r && may_be_explained(&k))
		r = check_explained(&k, now.size);
	trust_references(&k);
	out->is_cut = out->is_cut || k.references.out_of_range;
	qc_reference_count_close(&k.references);
	if (k.has_refcounts)
		qc_refcounts_close(&k.refcounts);
	if (r)
		qc_verdicts_free(out);
	return r;
}

void qc_verdicts_free(struct qc_verdicts *v)
{
	free(v->verdict);
	*v = (struct qc_verdicts){ 0 };
}
