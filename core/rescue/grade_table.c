/* SPDX-License-Identifier: MIT */
#include "rescue/grade_table.h"

#include <errno.h>

#include "base/range.h"
#include "base/zeros.h"

/* One L2 table, while its entries are graded. */
struct table_grading {
	struct qc_grading *k;
	bool has_damage;
	enum qc_grade_reason of_good; /* the reason of entries without a fault of their own */
};

qc_err qc_grade_table_append(struct qc_grading *k, uint64_t len, enum qc_grade_reason reason)
{
	return qc_grade_map_append(k->out, range_clamp(k->out->end, len, k->size), reason);
}

/* ---- data ------------------------------------------------------------------- */

static uint64_t last_sector_border(uint64_t off)
{
	return off - off % SECTOR;
}

/* Returns the reason for bytes behind the end of the file, in a cluster that begins before it. */
static enum qc_grade_reason reason_of_cut(const struct qc_grading *k)
{
	return !k->v || k->v->is_cut ? QC_REASON_BEHIND_END : QC_REASON_MAYBE_CUT;
}

/* Grades data at a host offset: the part that the file has, and the sectors of it that can be
 * read. */
static qc_err grade_data(struct qc_grading *k, uint64_t host, uint64_t len,
			 enum qc_grade_reason reason)
{
	const struct qc_unread_areas *unread = k->l->data_unread;
	uint64_t in_file = range_clamp(host, len, last_sector_border(k->data_bytes)), rest = in_file;
	qc_err r = 0;

	while (!r && rest) {
		uint64_t n = rest;
		bool is_unread = unread && qc_unread_areas_find(unread, host + in_file - rest, &n);

		n = min_u64(n, rest);
		r = qc_grade_table_append(k, n, is_unread ? QC_REASON_UNREAD_DATA : reason);
		rest -= n;
	}
	if (r || in_file == len)
		return r;
	return qc_grade_table_append(k, len - in_file, in_file || host < k->data_bytes ?
			       reason_of_cut(k) : QC_REASON_BEHIND_END);
}

static enum qc_grade_reason ask_judge(const struct table_grading *t, uint64_t off, uint64_t len,
				      bool compressed)
{
	const struct qc_cluster_judge *j = t->k->judge;
	enum qc_grade_reason reason = j->of_data(j->arg, off, len, compressed);

	return reason == QC_REASON_NONE ? t->of_good : reason;
}

/* Returns the reason for a cluster of the image file: whether its refcount agrees. */
static enum qc_grade_reason reason_of_cluster(const struct table_grading *t, uint64_t off,
					      uint64_t len)
{
	if (t->k->judge)
		return ask_judge(t, off, len, false);
	switch (qc_verdicts_find(t->k->v, off, len)) {
	case QC_VERDICT_CONFLICT:
		return QC_REASON_IS_METADATA;
	case QC_VERDICT_SOUND:
		return t->of_good;
	case QC_VERDICT_DIFFERS:
	case QC_VERDICT_NOT_REFERENCED:
		break;
	}
	return QC_REASON_REFCOUNT_DIFFERS;
}

static enum qc_grade_reason reason_of_absent(const struct table_grading *t)
{
	if (t->has_damage)
		return QC_REASON_ABSENT_IN_DAMAGED_TABLE;
	if (t->of_good != QC_REASON_NONE)
		return t->of_good;
	return t->k->of_absent;
}

/* ---- zeros ------------------------------------------------------------------ */

/* Returns true if a range of the image file is zeros, or cannot be read. */
static bool reads_as_zeros(struct qc_grading *k, uint64_t off, uint64_t len)
{
	uint8_t buf[4096];

	while (len) {
		struct qc_extent e;
		size_t n = (size_t)min_u64(len, sizeof(buf)), got;

		if (off >= k->file_bytes)
			return true;
		if (!qc_file_extent(k->l->file, off, &e) && !e.data) {
			n = 0;
			e.len = min_u64(e.len, len);
			off += e.len;
			len -= e.len;
			continue;
		}
		if (qc_file_read(k->l->file, off, buf, n, &got))
			return true;
		if (!qc_is_all_zeros(buf, n))
			return false;
		off += n;
		len -= n;
	}
	return true;
}

/* One flipped bit makes a cluster read as zeros.  So zeros are sure only if its cluster has no
 * other bytes. */
static enum qc_grade_reason reason_of_zeros(const struct table_grading *t, uint64_t host,
					    uint64_t len, enum qc_grade_reason otherwise)
{
	enum qc_grade_reason cluster;

	if (!host || t->k->g->external || t->k->judge)
		return otherwise;
	cluster = reason_of_cluster(t, host - (host & (geom_cluster(t->k->g) - 1)),
				    geom_cluster(t->k->g));
	if (cluster != t->of_good || otherwise != QC_REASON_NONE)
		return cluster == QC_REASON_IS_METADATA ? QC_REASON_REFCOUNT_DIFFERS :
		       cluster != t->of_good ? cluster : otherwise;
	return reads_as_zeros(t->k, host, len) ? otherwise : QC_REASON_ZERO_OVER_DATA;
}

/* ---- entries ---------------------------------------------------------------- */

static qc_err grade_subclusters(struct table_grading *t, const struct l2_entry *e)
{
	uint64_t size = geom_subcluster(t->k->g);
	qc_err r = 0;

	for (unsigned int i = 0; !r && i < SUBCLUSTERS; i++) {
		uint64_t host = e->host.v ? e->host.v + i * size : 0;
		enum qc_kind kind = subcluster_kind(e, i);

		if (kind == QC_DATA)
			r = grade_data(t->k, host, size, t->k->g->external ? t->of_good :
				       reason_of_cluster(t, e->host.v, geom_cluster(t->k->g)));
		else
			r = qc_grade_table_append(t->k, size,
					    reason_of_zeros(t, host, size, kind == QC_ZERO ?
							    t->of_good : reason_of_absent(t)));
	}
	return r;
}

/* Returns true if compressed data was cut.  Its length is known in sectors, so a file that is whole
 * may end inside the last one.  Cut data may be decompressed to a whole cluster. */
static bool is_compressed_cut(const struct qc_grading *k, const struct l2_entry *e)
{
	uint64_t len = range_clamp(e->host.v, e->compressed_len, k->file_bytes);
	uint64_t missing = e->compressed_len - len;

	return !len || missing >= SECTOR ||
	       (missing && (k->g->layout == LAYOUT_V1 || (k->v && k->v->is_cut)));
}

static qc_err grade_compressed(struct table_grading *t, const struct l2_entry *e)
{
	struct qc_grading *k = t->k;
	uint64_t len = range_clamp(e->host.v, e->compressed_len, k->file_bytes), n;
	enum qc_grade_reason reason = QC_REASON_BEHIND_END;

	if (!is_compressed_cut(k, e))
		reason = k->judge ? ask_judge(t, e->host.v, e->compressed_len, true) :
				    reason_of_cluster(t, e->host.v, e->compressed_len);
	if (len && k->l->unread &&
	    (qc_unread_areas_find(k->l->unread, e->host.v, &n) || n < len))
		reason = QC_REASON_UNREAD_DATA;
	return qc_grade_table_append(k, geom_cluster(k->g), reason);
}

static qc_err grade_entry(struct table_grading *t, uint64_t i)
{
	struct qc_grading *k = t->k;
	uint64_t cluster = geom_cluster(k->g);
	struct l2_entry e;

	if (qc_sector_is_marked(&k->l2_unread, i << k->g->entry_bits))
		return qc_grade_table_append(k, cluster, QC_REASON_UNREAD_TABLE);
	if (l2_entry_at(k->g, k->l2, i, &e) ||
	    (k->g->external && l2_entry_has_host(k->g, &e) && e.host.v != k->out->end))
		return qc_grade_table_append(k, cluster, QC_REASON_L2_ENTRY);
	if (e.kind == QC_COMPRESSED)
		return grade_compressed(t, &e);
	if (geom_is_extended(k->g))
		return grade_subclusters(t, &e);
	if (e.kind == QC_DATA)
		return grade_data(k, e.host.v, cluster, k->g->external ? t->of_good :
				  reason_of_cluster(t, e.host.v, cluster));
	return qc_grade_table_append(k, cluster, reason_of_zeros(t, e.host.v, cluster, e.kind == QC_ZERO ?
							   t->of_good : reason_of_absent(t)));
}

/* ---- the table -------------------------------------------------------------- */

static bool has_impossible_entry(const struct qc_grading *k)
{
	struct l2_entry e;

	for (uint64_t i = 0; i < UINT64_C(1) << k->g->l2_bits; i++)
		if (!qc_sector_is_marked(&k->l2_unread, i << k->g->entry_bits) &&
		    l2_entry_at(k->g, k->l2, i, &e))
			return true;
	return false;
}

static enum qc_grade_reason judge_table(const struct qc_grading *k, uint64_t table)
{
	if (k->judge)
		return k->judge->of_table(k->judge->arg, table, geom_l2_bytes(k->g));
	if (k->is_unproved)
		return QC_REASON_TABLE_UNPROVED;
	if (!k->l1_is_sound ||
	    qc_verdicts_find(k->v, table, geom_l2_bytes(k->g)) != QC_VERDICT_SOUND)
		return QC_REASON_TABLE_DIFFERS;
	return QC_REASON_NONE;
}

qc_err qc_grade_table_run(struct qc_grading *k, uint64_t table)
{
	uint64_t bytes = geom_l2_bytes(k->g), n = UINT64_C(1) << k->g->l2_bits;
	uint64_t in_file = range_clamp(table, bytes, last_sector_border(k->file_bytes)) >> k->g->entry_bits;
	struct table_grading t = { .k = k, .of_good = judge_table(k, table) };
	qc_err r;

	if (qc_grade_map_grade(t.of_good) == QC_GRADE_LOST)
		return qc_grade_table_append(k, geom_l1_span(k->g), t.of_good);
	r = qc_salvage_read(k->file, table, k->l2, bytes, &k->l2_unread);
	if (r)
		return r;
	t.has_damage = has_impossible_entry(k);
	if (t.has_damage)
		t.of_good = QC_REASON_TABLE_HAS_DAMAGE;
	else if (t.of_good == QC_REASON_NONE && !k->l1_is_sound)
		t.of_good = QC_REASON_TABLE_DIFFERS;
	for (uint64_t i = 0; !r && i < n && k->out->end < k->size; i++)
		r = i < in_file ? grade_entry(&t, i) :
				  qc_grade_table_append(k, geom_cluster(k->g), QC_REASON_BEHIND_END);
	return r;
}
