/* SPDX-License-Identifier: MIT */
/*
 * find_header.c - each refcount table that is found gives a cluster size and a width; each L1 table
 * of that cluster size then makes one trial header, which is judged by its verdicts.
 */
#include "rescue/find_header.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/range.h"
#include "format/l2_entry.h"
#include "metadata/refcount.h"
#include "rescue/lost_disk_size.h"
#include "rescue/lost_snapshots.h"
#include "rescue/table_scan.h"
#include "rescue/table_test.h"
#include "rescue/verdicts.h"

enum {
	TRIALS_MAX = 64,
	REFTABLES_MAX = 4096, /* that are opened */
	TABLE_CLUSTERS_MAX = 8, /* of a refcount table */
};

/* The best header so far. */
struct header_search {
	struct qc_file *file;
	struct qc_salvage salvage;
	struct qc_budget *budget;
	unsigned int cluster_bits; /* 0: any */
	struct qc_table_scan scan;
	struct qc_header best;
	uint64_t best_score; /* referenced clusters that agree */
	uint64_t missing, referenced;
	bool proved, tie;
	bool table_proved; /* a trial with the refcount table that is tried now was proved */
	unsigned int trials, reftables;
};

/* ---- refcount tables --------------------------------------------------------- */

static void ignore_block(void *arg, uint64_t index, uint64_t entry)
{
	(void)index, (void)entry;
	*(bool *)arg = true;
}

static bool is_counted_once(struct qc_refcounts *c, uint64_t off)
{
	uint64_t count;

	return !qc_refcounts_get(c, off >> c->cluster_bits, &count) && count == 1;
}

/* The first refcount block of a refcount table. */
struct first_block {
	uint64_t off;	  /* host offset */
	struct be64 word; /* its first 64 bits, which hold at least one refcount */
};

/* Reads the first block of a refcount table.  Costs two small reads for all cluster sizes and
 * widths, and rejects most sectors. */
static bool read_first_block(struct header_search *s, uint64_t table, struct first_block *b)
{
	uint8_t raw[8];
	size_t got;

	if (qc_file_read(s->file, table, raw, sizeof(raw), &got))
		return false;
	b->off = be64_at(raw);
	return b->off && b->off % SECTOR == 0 && b->off < s->scan.file_bytes &&
	       !qc_file_read(s->file, b->off, &b->word, sizeof(b->word), &got);
}

/* Opens the refcounts that a trial header locates.  To be closed also after a failure. */
static bool open_trial_refcounts(struct header_search *s, const struct qc_header *h,
				 struct qc_refcounts *c)
{
	struct qc_reason ignored;
	bool invalid = false;

	return !qc_refcounts_open_damaged(c, s->file, h, s->budget, ignore_block, &invalid,
					  &ignored) && !invalid;
}

/* Returns true if the table that a trial header locates counts the header, itself and its first
 * block once each. */
static bool is_refcount_table(struct header_search *s, const struct qc_header *h,
			      const struct first_block *b)
{
	struct qc_refcounts c;
	bool found;

	if (b->off % geom_cluster(&h->geom) ||
	    qc_refcount_word_get(&b->word, h->refcount_order, 0) != 1 ||
	    s->reftables++ >= REFTABLES_MAX)
		return false;
	found = open_trial_refcounts(s, h, &c) && is_counted_once(&c, 0) &&
		is_counted_once(&c, h->reftable_offset) && is_counted_once(&c, b->off);
	qc_refcounts_close(&c);
	return found;
}

/* ---- L1 tables --------------------------------------------------------------- */

/* Returns true if a cluster may be a part of an L1 table. */
static bool is_l1_cluster(struct header_search *s, const struct geom *g, uint64_t off,
			  uint8_t *cluster, uint8_t *buf)
{
	size_t got;

	return !qc_file_read(s->file, off, cluster, geom_cluster(g), &got) &&
	       qc_table_test_l1(s->file, g, s->scan.file_bytes, cluster, buf);
}

/* ---- the rest of the header ---------------------------------------------------- */

/* Finds the snapshot table: its clusters are counted once, and no table references them yet.
 * *size: of the disk when the last snapshot was taken. */
static void find_snapshots(struct header_search *s, struct qc_header *h,
			   const struct qc_verdicts *v, uint64_t *size)
{
	uint64_t cluster = geom_cluster(&h->geom);
	struct qc_refcounts counts;
	bool opened = open_trial_refcounts(s, h, &counts);

	for (uint64_t c = 1; opened && c < v->n && c * cluster < s->scan.file_bytes; c++) {
		if (qc_verdicts_is_referenced(v, c) || !is_counted_once(&counts, c * cluster))
			continue;
		h->snapshots = qc_lost_snapshots_count(s->file, &h->geom, s->scan.file_bytes,
						       c * cluster, size);
		h->snapshots_offset = h->snapshots ? c * cluster : 0;
		if (h->snapshots)
			break;
	}
	qc_refcounts_close(&counts);
}

static void find_luks(const struct header_search *s, struct qc_header *h)
{
	uint8_t raw[4];
	size_t got;

	if (!s->scan.luks || s->scan.luks % geom_cluster(&h->geom) ||
	    qc_file_read(s->file, s->scan.luks + 104, raw, 4, &got))
		return;
	h->crypt = CRYPT_LUKS;
	h->has_luks_extension = true;
	h->luks_offset = s->scan.luks;
	h->luks_bytes = be32_at(raw) * (uint64_t)SECTOR;
	if (!range_inside(h->luks_offset, h->luks_bytes, round_up(s->scan.file_bytes, geom_cluster(&h->geom))))
		h->crypt = CRYPT_NONE;
}

struct compression_search {
	struct header_search *s;
	struct qc_header *h;
};

/* A qc_metadata_fn: finds the method of the first compressed cluster, and ends the walk there. */
static qc_err find_compression(void *arg, struct qc_metadata_item *item)
{
	static const uint8_t zstd_magic[] = { 0x28, 0xb5, 0x2f, 0xfd };
	struct compression_search *c = arg;
	struct l2_entry e;
	uint8_t raw[4];
	size_t got;

	for (uint64_t i = 0; item->bytes && i < UINT64_C(1) << c->h->geom.l2_bits; i++) {
		if (l2_entry_at(&c->h->geom, item->bytes, i, &e) || e.kind != QC_COMPRESSED)
			continue;
		if (!qc_file_read(c->s->file, e.host.v, raw, sizeof(raw), &got) &&
		    !memcmp(raw, zstd_magic, sizeof(raw))) {
			c->h->compression = COMPRESSION_ZSTD;
			c->h->incompatible |= INCOMPAT_COMPRESSION;
		}
		return -ECANCELED;
	}
	return 0;
}

static void set_compression(struct header_search *s, struct qc_header *h)
{
	struct qc_metadata md = { .file = &s->salvage.front.file, .head = h };
	struct compression_search c = { s, h };

	(void)qc_metadata_for_each(&md, QC_WALK_READ_L2, find_compression, &c);
}

/* ---- trials --------------------------------------------------------------------- */

static qc_err judge_once(struct header_search *s, const struct qc_header *h, struct qc_verdicts *v)
{
	qc_salvage_init(&s->salvage, s->file);
	return qc_verdicts_new(&s->salvage, h, s->budget, v);
}

/* Returns true if no cluster has more references than its refcount says, and all tables were read.
 * A snapshot table adds references, so it cannot mend that. */
static bool agrees_so_far(const struct qc_verdicts *v)
{
	return !v->behind && !v->unread && !v->is_cut;
}

/* Makes the refcount table longer while the cluster behind it is counted, and nothing references
 * it.  Then looks for a snapshot table. */
static qc_err judge_trial(struct header_search *s, struct qc_header *h, struct qc_verdicts *v)
{
	uint64_t snapshot_size = 0;
	qc_err r = judge_once(s, h, v);

	while (!r && v->missing && h->reftable_clusters < TABLE_CLUSTERS_MAX) {
		struct qc_header longer = *h;
		struct qc_verdicts w;

		longer.reftable_clusters++;
		r = judge_once(s, &longer, &w);
		if (r || w.missing >= v->missing || w.behind > v->behind) {
			if (!r)
				qc_verdicts_free(&w);
			break;
		}
		qc_verdicts_free(v);
		*v = w;
		*h = longer;
	}
	if (!r && v->missing && agrees_so_far(v)) {
		find_snapshots(s, h, v, &snapshot_size);
		if (h->snapshots) {
			qc_verdicts_free(v);
			r = judge_once(s, h, v);
		}
	}
	if (!r)
		h->size = qc_lost_disk_size(s->file, h, snapshot_size);
	return r;
}

static void keep_better(struct header_search *s, const struct qc_header *h,
			const struct qc_verdicts *v)
{
	uint64_t score = v->referenced;

	/* Half of all counted clusters must be explained, and none may have too many references. */
	if (!agrees_so_far(v) || v->missing > v->referenced)
		return;
	s->table_proved = s->table_proved || v->proof == QC_PROOF_PROVED;
	if (s->referenced && (v->missing > s->missing ||
			      (v->missing == s->missing && score < s->best_score)))
		return;
	s->tie = s->referenced && v->missing == s->missing && score == s->best_score;
	s->best = *h;
	s->best_score = score;
	s->missing = v->missing;
	s->referenced = v->referenced;
	s->proved = v->proof == QC_PROOF_PROVED;
}

static qc_err try_header(struct header_search *s, const struct qc_header *trial)
{
	struct qc_header h = *trial;
	struct qc_verdicts v;
	qc_err r;

	if (s->trials++ >= TRIALS_MAX)
		return 0;
	find_luks(s, &h);
	r = judge_trial(s, &h, &v);
	if (!r)
		keep_better(s, &h, &v);
	qc_verdicts_free(&v);
	return r == -ENOMEM ? r : 0;
}

/* Tries each run of clusters that may be an L1 table. */
static qc_err try_l1_tables(struct header_search *s, struct qc_header *h)
{
	uint64_t cluster = geom_cluster(&h->geom);
	AUTO_FREE uint8_t *one = malloc(cluster), *two = malloc(cluster);
	qc_err r = one && two ? 0 : -ENOMEM;

	for (size_t i = 0; !r && i < s->scan.n; i++) {
		uint64_t off = s->scan.sector[i], end = off;

		if (off % cluster || off == h->reftable_offset)
			continue;
		while (end < s->scan.file_bytes && end != h->reftable_offset &&
		       is_l1_cluster(s, &h->geom, end, one, two))
			end += cluster;
		if (end == off)
			continue;
		h->geom.l1_offset = off;
		h->geom.l1_entries = (uint32_t)((end - off) / 8);
		r = try_header(s, h);
		while (i + 1 < s->scan.n && s->scan.sector[i + 1] < end)
			i++;
	}
	return r;
}

static qc_err try_geometry(struct header_search *s, struct qc_header *h, bool extended)
{
	unsigned int bits = h->geom.cluster_bits;

	h->geom.layout = extended ? LAYOUT_V3_EXTENDED : LAYOUT_V3;
	h->geom.entry_bits = extended ? 4 : 3;
	h->geom.l2_bits = bits - h->geom.entry_bits;
	h->incompatible = extended ? INCOMPAT_EXTENDED_L2 : 0;
	return try_l1_tables(s, h);
}

/* Tries a sector of the list as a refcount table, with all cluster sizes and widths.  The table
 * begins like one of smaller clusters, too, so none is tried below a size that is proved. */
static qc_err try_refcount_table(struct header_search *s, uint64_t off)
{
	struct first_block first;
	qc_err r = 0;

	if (!read_first_block(s, off, &first))
		return 0;
	s->table_proved = false;
	for (unsigned int bits = CLUSTER_BITS_MAX; !r && bits >= CLUSTER_BITS_MIN; bits--) {
		if (s->table_proved)
			break;
		if (s->cluster_bits && bits != s->cluster_bits)
			continue;
		if (off % (UINT64_C(1) << bits) || s->scan.file_bytes < UINT64_C(3) << bits)
			continue;
		for (unsigned int order = 0; !r && order <= 6; order++) {
			struct qc_header h = {
				.version = 3, .reftable_offset = off, .reftable_clusters = 1,
				.refcount_order = order, .geom = { .cluster_bits = bits },
			};

			if (!is_refcount_table(s, &h, &first))
				continue;
			r = try_geometry(s, &h, false);
			if (!r && bits >= 14)
				r = try_geometry(s, &h, true);
		}
	}
	return r;
}

/* ---------------------------------------------------------------------------------- */

static qc_err finish_search(struct header_search *s, struct qc_header *h, struct qc_reason *why)
{
	if (!s->referenced)
		return qc_fail(why, -EMEDIUMTYPE, "the header is lost, and no tables were found whose "
			       "references agree with refcounts");
	if (s->tie)
		return qc_fail(why, -EMEDIUMTYPE, "the header is lost, and several tables agree equally "
			       "well with the refcounts: there is no choice between them");
	*h = s->best;
	set_compression(s, h);
	qc_fail(why, 0, "header found by content: clusters of %" PRIu64 " bytes, L1 table at 0x%" PRIx64
		", %" PRIu32 " snapshots; the refcounts %s (%" PRIu64 " clusters agree, %" PRIu64
		" are missing)", geom_cluster(&h->geom), h->geom.l1_offset, h->snapshots,
		s->proved ? "prove it" : "do not prove all of it", s->referenced, s->missing);
	return 0;
}

qc_err qc_find_header(struct qc_file *f, struct qc_budget *budget, unsigned int cluster_bits,
		      const struct qc_scan_progress *progress, struct qc_header *h,
		      struct qc_reason *why)
{
	struct header_search s = { .file = f, .budget = budget, .cluster_bits = cluster_bits };
	qc_err r = qc_table_scan_run(&s.scan, f, progress);

	qc_salvage_init(&s.salvage, f);
	for (size_t i = 0; !r && i < s.scan.n && s.trials < TRIALS_MAX; i++)
		r = try_refcount_table(&s, s.scan.sector[i]);
	if (r == -EFBIG)
		r = qc_fail(why, -EMEDIUMTYPE, "the header is lost, and too many sectors look like tables");
	else if (r)
		r = qc_fail_errno(why, r, "cannot search for a lost header");
	else
		r = finish_search(&s, h, why);
	qc_table_scan_free(&s.scan);
	return r;
}
