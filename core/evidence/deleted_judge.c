/* SPDX-License-Identifier: MIT */
#include "evidence/deleted_judge.h"

#include <errno.h>
#include <string.h>

#include "base/range.h"

/* Of a cluster.  PLAIN and those behind it are set only for clusters that the disk claims. */
enum {
	CLAIMED = 1, /* an entry of the disk references it */
	TWICE = 2,   /* two do, and it is no compressed data */
	PLAIN = 4,   /* the image has a table there, or data that is not compressed */
	SAME = 8,    /* the image references it at the same guest offset */
	OTHER = 16,  /* another deleted disk references it, and was not there at the same time */
};

enum { OTHER_TABLES_MAX = 1 << 20 };

/* ---- flags ------------------------------------------------------------------------ */

static void claim(struct qc_deleted_judge *j, uint64_t host, uint64_t len, bool compressed)
{
	uint64_t end = min_u64(div_up(host + len, UINT64_C(1) << j->t->shift), j->t->n);

	for (uint64_t c = host >> j->t->shift; c < end; c++)
		j->flags[c] |= j->flags[c] & CLAIMED && !compressed ? TWICE : CLAIMED;
}

static void set_flags(struct qc_deleted_judge *j, uint64_t host, uint64_t len, uint8_t flags)
{
	uint64_t end = min_u64(div_up(host + len, UINT64_C(1) << j->t->shift), j->t->n);

	for (uint64_t c = host >> j->t->shift; c < end; c++)
		if (j->flags[c] & CLAIMED)
			j->flags[c] |= flags;
}

/* Returns the flags that any cluster of a range has.  *referenced: so is one of them, by the
 * image. */
static uint8_t any_flags(const struct qc_deleted_judge *j, uint64_t host, uint64_t len,
			 bool *referenced)
{
	uint64_t end = min_u64(div_up(host + len, UINT64_C(1) << j->t->shift), j->t->n);
	uint8_t flags = 0;

	*referenced = false;
	for (uint64_t c = host >> j->t->shift; c < end; c++) {
		flags |= j->flags[c];
		if (qc_cluster_use_of(j->use, c) & QC_USE_REFERENCED)
			*referenced = true;
	}
	return flags;
}

/* ---- tables of the disk ------------------------------------------------------------- */

static uint64_t bytes_of(const struct geom *g, const struct l2_entry *e)
{
	return e->kind == QC_COMPRESSED ? e->compressed_len : geom_cluster(g);
}

/* Returns the L2 table of the disk at an index of its L1 table; 0: it has none.  A table without
 * an L1 table is at any index. */
static uint64_t table_of_disk(const struct qc_deleted_judge *j, uint64_t index)
{
	struct hoff table;

	if (j->root.l2_offset)
		return j->root.l2_offset;
	if (index >= j->root.l1_entries || l1_decode(&j->t->md.head->geom, be64_at(j->l1 + 8 * index), &table))
		return 0;
	return table.v;
}

/* Reads a table of the disk.  Returns false if it has no bytes that can be read. */
static bool load_table_of_disk(struct qc_deleted_judge *j, uint64_t table)
{
	size_t got;

	if (!table || table >= j->t->file_bytes)
		return false;
	if (j->l2_at == table)
		return true;
	j->l2_at = UINT64_MAX;
	if (qc_file_read(j->t->md.file, table, j->l2, geom_l2_bytes(&j->t->md.head->geom), &got))
		return false;
	j->l2_at = table;
	return true;
}

static void claim_clusters_of_table(struct qc_deleted_judge *j)
{
	const struct geom *g = &j->t->md.head->geom;

	for (uint64_t i = 0; i < UINT64_C(1) << g->l2_bits; i++) {
		struct l2_entry e;

		if (!l2_entry_at(g, j->l2, i, &e) && e.host.v && !g->external)
			claim(j, e.host.v, bytes_of(g, &e), e.kind == QC_COMPRESSED);
	}
}

/* Claims all clusters of the disk.  A hostile L1 table has more L2 tables than the file has room
 * for; the grades end there, too. */
static void claim_disk(struct qc_deleted_judge *j)
{
	uint64_t bytes = geom_l2_bytes(&j->t->md.head->geom);
	uint64_t left = div_up(j->t->file_bytes, bytes) + 1;
	uint64_t n = j->root.l2_offset ? 1 : j->root.l1_entries;

	for (uint64_t i = 0; i < n && left; i++) {
		uint64_t table = table_of_disk(j, i);

		if (!table)
			continue;
		left--;
		claim(j, table, bytes, false);
		if (load_table_of_disk(j, table))
			claim_clusters_of_table(j);
	}
}

/* ---- comparing ---------------------------------------------------------------------- */

/* Returns the flags for a cluster that another disk references, too. */
static uint8_t flags_of_claim(const struct qc_deleted_judge *j, bool same, bool compressed)
{
	if (j->is_other)
		return same && j->coexisted ? 0 : OTHER;
	return (same ? SAME : 0) | (compressed ? 0 : PLAIN);
}

static void compare_entries(struct qc_deleted_judge *j, const uint8_t *bytes, uint64_t table)
{
	const struct geom *g = &j->t->md.head->geom;
	bool has_table = load_table_of_disk(j, table);

	for (uint64_t i = 0; i < UINT64_C(1) << g->l2_bits; i++) {
		struct l2_entry e, mine = { 0 };
		bool same;

		if (l2_entry_at(g, bytes, i, &e) || !e.host.v)
			continue;
		same = has_table && !l2_entry_at(g, j->l2, i, &mine) && mine.host.v == e.host.v;
		set_flags(j, e.host.v, bytes_of(g, &e),
			  flags_of_claim(j, same, e.kind == QC_COMPRESSED));
	}
}

/* A qc_metadata_fn: compares an item of the image, or of another deleted disk. */
static qc_err compare_item(void *arg, struct qc_metadata_item *item)
{
	struct qc_deleted_judge *j = arg;
	uint64_t table;
	bool referenced;

	if (item->invalid)
		return 0;
	if (item->kind != QC_METADATA_L2_TABLE) {
		set_flags(j, item->off, item->len, PLAIN);
		return 0;
	}
	if (j->is_other) {
		any_flags(j, item->off, item->len, &referenced);
		if (referenced) /* it is not a table of that disk any more */
			return 0;
		if (!j->others_left)
			return -ECANCELED;
		j->others_left--;
	}
	table = table_of_disk(j, item->index);
	set_flags(j, item->off, item->len, flags_of_claim(j, table == item->off, false));
	if (item->bytes && !j->t->md.head->geom.external)
		compare_entries(j, item->bytes, table);
	return 0;
}

static qc_err compare_other(struct qc_deleted_judge *j, const struct qc_l1_table *l1)
{
	uint64_t bytes = l1->l1_entries * UINT64_C(8);
	AUTO_FREE uint8_t *content = malloc(bytes + 1);
	size_t got;
	qc_err r;

	if (!content)
		return -ENOMEM;
	if (qc_file_read(j->t->md.file, l1->l1_offset, content, bytes, &got))
		return 0;
	r = qc_metadata_for_each_l2(&j->t->md, l1, content, QC_WALK_READ_L2, compare_item, j);
	return r == -EIO ? 0 : r;
}

/* Compares a table whose guest offset is not known: none of its clusters is at the same one. */
static qc_err compare_lone_table(struct qc_deleted_judge *j, uint64_t host)
{
	const struct geom *g = &j->t->md.head->geom;
	AUTO_FREE uint8_t *bytes = malloc(geom_l2_bytes(g));
	size_t got;

	if (!bytes)
		return -ENOMEM;
	if (!j->others_left)
		return -ECANCELED;
	j->others_left--;
	if (!qc_file_read(j->t->md.file, host, bytes, geom_l2_bytes(g), &got))
		compare_entries(j, bytes, 0);
	return 0;
}

/* Compares the disk with the other deleted disks.  At most 1 Mi tables of them are read. */
static qc_err compare_others(struct qc_deleted_judge *j, const struct qc_residue *r,
			     const struct qc_snapshot *snapshot)
{
	qc_err error = 0;

	j->is_other = true;
	for (size_t i = 0; !error && i < r->entries.n; i++) {
		const struct qc_snapshot *s = &r->entries.at[i].s;
		struct qc_l1_table l1 = { .l1_offset = s->l1_offset, .l1_entries = s->l1_entries };

		if (r->entries.at[i].repeated || s->l1_offset == j->root.l1_offset)
			continue;
		j->coexisted = snapshot && qc_residue_entries_coexisted(&r->entries, s, snapshot);
		error = compare_other(j, &l1);
	}
	j->coexisted = false;
	for (size_t i = 0; !error && i < r->nl1; i++)
		if (r->l1[i].l1_offset != j->root.l1_offset)
			error = compare_other(j, &r->l1[i]);
	for (size_t i = 0; !error && i < r->nl2; i++)
		if (r->l2[i] != j->root.l2_offset)
			error = compare_lone_table(j, r->l2[i]);
	return error == -ECANCELED ? 0 : error;
}

/* ---- judging ------------------------------------------------------------------------ */

/* Returns true if all of a range is a hole of the file system. */
static bool is_punched(struct qc_deleted_judge *j, uint64_t host, uint64_t len)
{
	struct qc_extent e;

	if (host < j->extent_at || host - j->extent_at >= j->extent_len) {
		if (qc_file_extent(j->t->md.file, host, &e) || !e.len)
			e = (struct qc_extent){ len, true };
		j->extent_at = host;
		j->extent_len = e.len;
		j->extent_is_data = e.data;
	}
	return !j->extent_is_data && j->extent_len - (host - j->extent_at) >= len;
}

static enum qc_grade_reason judge_data(void *arg, uint64_t host, uint64_t len, bool compressed)
{
	struct qc_deleted_judge *j = arg;
	bool referenced;
	uint8_t flags = any_flags(j, host, len, &referenced);

	if (referenced && flags & PLAIN && !(flags & SAME))
		return QC_REASON_REUSED;
	if (referenced)
		return flags & SAME || compressed ? QC_REASON_SHARED_NOW : QC_REASON_REUSED;
	if (is_punched(j, host, range_clamp(host, len, j->t->file_bytes)))
		return QC_REASON_PUNCHED;
	return flags & (TWICE | OTHER) || !j->others_left ? QC_REASON_CLAIMED_TWICE :
							    QC_REASON_NONE;
}

static enum qc_grade_reason judge_table_of_disk(void *arg, uint64_t host, uint64_t len)
{
	struct qc_deleted_judge *j = arg;
	uint64_t cluster = UINT64_C(1) << j->t->shift, bytes = range_clamp(host, len, j->t->file_bytes);
	bool referenced;
	uint8_t flags = any_flags(j, host, len, &referenced);

	if (referenced)
		return flags & SAME ? QC_REASON_SHARED_NOW : QC_REASON_REUSED;
	for (uint64_t at = 0; at < bytes; at += cluster)
		if (is_punched(j, host + at, min_u64(cluster, bytes - at)))
			return QC_REASON_PUNCHED;
	if (j->t->md.head->geom.external)
		return QC_REASON_SHARED_NOW; /* guest offsets are offsets in the data file */
	return flags & (TWICE | OTHER) || !j->others_left ? QC_REASON_CLAIMED_TWICE :
							    QC_REASON_NONE;
}

/* ------------------------------------------------------------------------------------- */

static qc_err prepare_judge(struct qc_deleted_judge *j)
{
	uint64_t bytes = j->root.l1_entries * UINT64_C(8);
	size_t got;

	j->l1 = calloc(bytes + 1, 1);
	j->l2 = malloc(geom_l2_bytes(&j->t->md.head->geom));
	j->flags = calloc(j->t->n + 1, 1);
	if (!j->l1 || !j->l2 || !j->flags)
		return -ENOMEM;
	return bytes ? qc_file_read(j->t->md.file, j->root.l1_offset, j->l1, bytes, &got) : 0;
}

qc_err qc_deleted_judge_new(struct qc_tables *t, const struct qc_cluster_use *use,
			    const struct qc_residue *r, const struct qc_l1_table *root,
			    const struct qc_snapshot *snapshot, struct qc_deleted_judge *out)
{
	qc_err error;

	*out = (struct qc_deleted_judge){
		.judge = { .of_data = judge_data, .of_table = judge_table_of_disk, .arg = out,
			   .of_absent = *t->md.head->backing ? QC_REASON_BASE_UNKNOWN :
							       QC_REASON_NONE },
		.t = t,
		.use = use,
		.root = *root,
		.l2_at = UINT64_MAX,
		.others_left = OTHER_TABLES_MAX,
	};
	error = prepare_judge(out);
	if (error)
		return error;
	claim_disk(out);
	error = qc_metadata_for_each(&t->md, QC_WALK_READ_L2, compare_item, out);
	return error ? error : compare_others(out, r, snapshot);
}

void qc_deleted_judge_free(struct qc_deleted_judge *j)
{
	free(j->l1);
	free(j->l2);
	free(j->flags);
	*j = (struct qc_deleted_judge){ 0 };
}
