/* SPDX-License-Identifier: MIT */
#include "rescue/grade.h"

#include <errno.h>
#include <inttypes.h>

#include "base/range.h"
#include "layer/context_fields.h"
#include "rescue/mend_l1.h"
#include "rescue/plan.h"

/* Results for a layer; made under its open_lock. */
struct qc_layer_rescue {
	struct qc_verdicts verdicts;
	bool has_verdicts;
	struct qc_mended_l1 mended;
	struct qc_grade_map *active;
};

/* ---- the L1 table ----------------------------------------------------------- */

struct l1_grading {
	struct qc_grading k;
	const struct qc_l1_table *l1;
	uint8_t *bytes;
	struct qc_sector_marks unread;
	uint64_t in_file; /* entries that the file has */
	uint64_t tables, tables_max;
	bool has_damage;
	const struct qc_mended_l1 *mended; /* of the active disk; NULL */
	bool was_found_unproved; /* a search, or a plan, tells of the table, and nothing proves it */
};

static bool is_table_possible(const struct l1_grading *d, uint64_t raw, uint64_t *table)
{
	struct hoff at;
	bool possible = !l1_decode(d->k.g, raw, &at) &&
			!(at.v && qc_map_overlaps_metadata(d->k.l, at.v));

	*table = at.v;
	return possible;
}

static void find_l1_damage(struct l1_grading *d)
{
	uint64_t table;

	for (uint64_t i = 0; i < d->in_file && !d->has_damage; i++)
		d->has_damage = !qc_sector_is_marked(&d->unread, 8 * i) &&
				!is_table_possible(d, be64_at(d->bytes + 8 * i), &table);
}

static enum qc_grade_reason reason_of_absent_table(const struct l1_grading *d)
{
	if (d->has_damage)
		return QC_REASON_ABSENT_IN_DAMAGED_TABLE;
	if (d->mended && d->mended->is_emptied && d->mended->pieces)
		return QC_REASON_L2_TABLE_LOST;
	if (!d->k.l1_is_sound)
		return QC_REASON_TABLE_DIFFERS;
	return d->k.of_absent;
}

static qc_err grade_l1_entry(struct l1_grading *d, uint64_t i)
{
	uint64_t table = 0, span = geom_l1_span(d->k.g);
	enum qc_grade_reason reason = QC_REASON_NONE;

	d->k.is_unproved = d->was_found_unproved ||
			   (d->mended && !d->mended->proved && qc_mend_l1_has(d->mended, i));
	if (i >= d->l1->l1_entries)
		reason = QC_REASON_NO_L1_ENTRY;
	else if (i >= d->in_file)
		reason = QC_REASON_BEHIND_END;
	else if (qc_sector_is_marked(&d->unread, 8 * i))
		reason = QC_REASON_UNREAD_TABLE;
	else if (!is_table_possible(d, be64_at(d->bytes + 8 * i), &table))
		reason = QC_REASON_L1_ENTRY;
	else if (!table)
		reason = reason_of_absent_table(d);
	else if (table >= d->k.file_bytes)
		reason = QC_REASON_BEHIND_END;
	else if (++d->tables > d->tables_max)
		reason = QC_REASON_TOO_MANY_TABLES;
	else
		return qc_grade_table_run(&d->k, table);
	return qc_grade_table_append(&d->k, span, reason);
}

static qc_err grade_l1_entries(struct l1_grading *d)
{
	uint64_t n = geom_l1_need(d->k.g, d->k.size);
	qc_err r = 0;

	for (uint64_t i = 0; !r && i < n; i++)
		r = grade_l1_entry(d, i);
	return r;
}

/* Makes the L1 table of a disk that has one L2 table, and no L1 table in the file. */
static qc_err set_one_table(struct l1_grading *d)
{
	d->unread.bits = calloc(1, 1);
	be64_to(d->bytes, d->l1->l2_offset);
	d->in_file = 1;
	return d->unread.bits ? 0 : -ENOMEM;
}

static qc_err read_l1(struct l1_grading *d)
{
	uint64_t bytes = d->l1->l1_entries * UINT64_C(8);
	qc_err r;

	d->bytes = malloc(bytes + 8); /* or one entry, of set_one_table() */
	d->k.l2 = malloc(geom_l2_bytes(d->k.g));
	if (!d->bytes || !d->k.l2)
		return -ENOMEM;
	if (d->l1->l2_offset)
		return set_one_table(d);
	r = qc_salvage_read(d->k.file, d->l1->l1_offset, d->bytes, bytes,
			    &d->unread);
	d->in_file = range_clamp(d->l1->l1_offset, bytes, d->k.file_bytes) / 8;
	return r;
}

static void free_l1_grading(struct l1_grading *d)
{
	free(d->bytes);
	free(d->unread.bits);
	free(d->k.l2);
	free(d->k.l2_unread.bits);
}

static void judge_l1_by_refcounts(struct l1_grading *d)
{
	const struct qc_verdicts *v = d->k.v;

	d->was_found_unproved = (d->k.l->header_found || d->k.l->planned) &&
				!qc_verdicts_absent_is_sure(v);
	/* Only the lost header could tell of a backing file. */
	d->k.of_absent = qc_verdicts_absent_is_sure(v) && !d->k.l->header_found ?
				 QC_REASON_NONE : QC_REASON_ABSENT_UNPROVED;
	d->k.l1_is_sound = qc_verdicts_find(v, d->l1->l1_offset,
					    d->l1->l1_entries * UINT64_C(8)) == QC_VERDICT_SOUND;
}

/* Grades a disk whose clusters nothing references any more. */
static qc_err grade_by_judge(struct l1_grading *d)
{
	const struct qc_cluster_judge *j = d->k.judge;
	enum qc_grade_reason of_l1 = QC_REASON_NONE;

	d->k.of_absent = j->of_absent;
	d->k.l1_is_sound = !d->has_damage;
	if (d->l1->l2_offset)
		return qc_grade_table_run(&d->k, d->l1->l2_offset);
	if (d->l1->l1_entries)
		of_l1 = j->of_table(j->arg, d->l1->l1_offset, d->l1->l1_entries * UINT64_C(8));
	if (of_l1 != QC_REASON_NONE)
		return qc_grade_table_append(&d->k, d->k.size, of_l1);
	return grade_l1_entries(d);
}

static qc_err grade_qcow(struct l1_grading *d)
{
	struct qc_layer *l = d->k.l;
	struct qc_salvage file;
	struct qc_file_stat now, data;
	qc_err r = qc_file_stat(l->file, &now);

	qc_salvage_init(&file, l->file);
	d->k.file = &file;
	if (!r)
		r = qc_file_stat(l->data, &data);
	if (r)
		return r;
	d->k.file_bytes = now.size;
	d->k.data_bytes = data.size;
	d->tables_max = div_up(now.size, geom_l2_bytes(d->k.g)) + 1;
	if (l->rescue && !d->k.judge && d->l1->l1_offset == l->head.geom.l1_offset && !d->l1->l2_offset)
		d->mended = &l->rescue->mended;
	r = read_l1(d);
	if (!r) {
		find_l1_damage(d);
		if (d->k.v)
			judge_l1_by_refcounts(d);
		r = d->k.judge ? grade_by_judge(d) : grade_l1_entries(d);
	}
	free_l1_grading(d);
	return r;
}

/* ---- layers ----------------------------------------------------------------- */

static qc_err grade_raw(struct qc_layer *l, uint64_t size, struct qc_grade_map *out)
{
	qc_err r = 0;

	while (!r && out->end < size) {
		uint64_t n = size - out->end;
		bool unread = l->unread && qc_unread_areas_find(l->unread, out->end, &n);

		r = qc_grade_map_append(out, min_u64(n, size - out->end),
					unread ? QC_REASON_UNREAD_DATA : QC_REASON_NONE);
	}
	return r;
}

static qc_err get_layer_rescue(struct qc_layer *l, struct qc_layer_rescue **out)
	NEEDS(&l->open_lock);
static qc_err get_layer_rescue(struct qc_layer *l, struct qc_layer_rescue **out)
{
	if (!l->rescue)
		l->rescue = calloc(1, sizeof(*l->rescue));
	*out = l->rescue;
	return l->rescue ? 0 : -ENOMEM;
}

static void log_mended(const struct qc_layer *l, const struct qc_mended_l1 *m)
{
	if (!m->mended && !m->pieces)
		return;
	qc_log(&l->ctx->log, QC_LOG_WARN, "%s: %" PRIu32 " entries of the L1 table were found by "
	       "content%s; %zu L2 tables belong to no entry, and %" PRIu32 " entries may have one of "
	       "several", l->path, m->mended, !m->mended ? "" : m->proved ?
	       ", and the refcounts prove them" : ", and nothing proves them", m->pieces,
	       m->undecided);
}

/* Keeps the mended table if it explains more clusters, and none too often. */
static qc_err judge_mended(struct qc_layer *l, struct qc_salvage *file, struct qc_layer_rescue *saved)
{
	struct qc_verdicts after;
	qc_err r;

	qc_layer_set_patch(l, &saved->mended.patch);
	r = qc_verdicts_new(file, &l->head, &l->ctx->budget, &after);
	if (!r && after.behind <= saved->verdicts.behind && after.missing < saved->verdicts.missing) {
		qc_verdicts_free(&saved->verdicts);
		saved->verdicts = after;
		saved->mended.proved = qc_verdicts_absent_is_sure(&after);
		return 0;
	}
	qc_layer_set_patch(l, NULL);
	qc_mend_l1_withdraw(&saved->mended);
	if (!r)
		qc_verdicts_free(&after);
	return r;
}

/* Makes the words of the plan the L1 table, also against the refcounts. */
static qc_err mend_by_plan(struct qc_layer *l, struct qc_salvage *file,
			   struct qc_layer_rescue *saved)
{
	qc_err r = qc_mend_l1_plan(file, &l->head, l->ctx->plan->l1_word, &saved->mended);

	if (r)
		return r;
	qc_layer_set_patch(l, &saved->mended.patch);
	qc_verdicts_free(&saved->verdicts);
	saved->has_verdicts = false;
	r = qc_verdicts_new(file, &l->head, &l->ctx->budget, &saved->verdicts);
	saved->has_verdicts = !r;
	saved->mended.proved = !r && qc_verdicts_absent_is_sure(&saved->verdicts);
	return r;
}

/* Looks for lost entries of the L1 table, if clusters are missing. */
static qc_err mend_layer(struct qc_layer *l, struct qc_salvage *file, struct qc_layer_rescue *saved)
{
	qc_err r;

	if (l->planned && l->ctx->plan->l1_word)
		return mend_by_plan(l, file, saved);
	r = qc_mend_l1_find(file, &l->head, &saved->verdicts, &l->ctx->budget, &saved->mended);

	if (r == -EFBIG) {
		qc_log(&l->ctx->log, QC_LOG_WARN, "%s: too many tables to mend its L1 table", l->path);
		return 0;
	}
	if (!r && saved->mended.mended)
		r = judge_mended(l, file, saved);
	if (!r)
		log_mended(l, &saved->mended);
	return r;
}

qc_err qc_grade_verdicts(struct qc_layer *l, const struct qc_verdicts **out)
{
	struct qc_layer_rescue *saved;
	struct qc_salvage file;
	qc_err r;

	*out = NULL;
	if (l->format == QC_FORMAT_RAW)
		return 0;
	qc_salvage_init(&file, l->file);
	qc_lock(&l->open_lock);
	r = get_layer_rescue(l, &saved);
	if (!r && !saved->has_verdicts) {
		r = qc_verdicts_new(&file, &l->head, &l->ctx->budget, &saved->verdicts);
		saved->has_verdicts = !r;
		if (!r && l->patched)
			r = mend_layer(l, &file, saved);
	}
	if (!r)
		*out = &saved->verdicts;
	qc_unlock(&l->open_lock);
	return r;
}

const struct qc_mended_l1 *qc_grade_mended(const struct qc_layer *l)
{
	return l->rescue ? &l->rescue->mended : NULL;
}

/* Makes a map of the grades of one disk.  @judge: NULL: the refcounts judge it. */
static qc_err make_grade_map(struct qc_layer *l, const struct qc_l1_table *l1, uint64_t size,
			     const struct qc_cluster_judge *judge, struct qc_grade_map **out)
{
	struct qc_grade_map *m = calloc(1, sizeof(*m));
	struct l1_grading d = { .k = { .l = l, .g = &l->head.geom, .judge = judge, .out = m,
				       .size = size }, .l1 = l1 };
	qc_err r = m ? 0 : -ENOMEM;

	if (!r && !judge)
		r = qc_grade_verdicts(l, &d.k.v);
	if (!r) {
		m->limit = l->ctx->cache_bytes / sizeof(*m->run);
		r = d.k.v || judge ? grade_qcow(&d) : grade_raw(l, size, m);
	}
	if (r)
		qc_grade_map_free(m);
	else
		*out = m;
	return r;
}

qc_err qc_grade_disk(struct qc_layer *l, const struct qc_l1_table *l1, uint64_t size,
		     struct qc_grade_map **out)
{
	return make_grade_map(l, l1, size, NULL, out);
}

qc_err qc_grade_deleted_disk(struct qc_layer *l, const struct qc_l1_table *l1, uint64_t size,
			     const struct qc_cluster_judge *judge, struct qc_grade_map **out)
{
	return make_grade_map(l, l1, size, judge, out);
}

qc_err qc_grade_active(struct qc_layer *l, const struct qc_grade_map **out)
{
	struct qc_l1_table active = qc_l1_active(l);
	struct qc_grade_map *made;
	struct qc_layer_rescue *saved;
	qc_err r;

	qc_lock(&l->open_lock);
	r = get_layer_rescue(l, &saved);
	*out = r ? NULL : saved->active;
	qc_unlock(&l->open_lock);
	if (r || *out)
		return r;
	r = qc_grade_disk(l, &active, l->size, &made);
	if (r)
		return r;
	qc_lock(&l->open_lock);
	if (saved->active) /* another thread was faster */
		qc_grade_map_free(made);
	else
		saved->active = made;
	*out = saved->active;
	qc_unlock(&l->open_lock);
	return 0;
}

void qc_grade_forget(struct qc_layer *l)
{
	if (!l->rescue)
		return;
	if (l->patched)
		qc_layer_set_patch(l, NULL);
	qc_verdicts_free(&l->rescue->verdicts);
	qc_grade_map_free(l->rescue->active);
	qc_mend_l1_free(&l->rescue->mended);
	free(l->rescue);
	l->rescue = NULL;
}
