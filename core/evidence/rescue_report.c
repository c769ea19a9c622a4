/* SPDX-License-Identifier: MIT */
/*
 * rescue_report.c - the state of an image in words: where its parts were found, how far the
 * refcounts prove them, and how much of the disk is good.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "base/outcome.h"
#include "evidence/disk_map.h"
#include "layer/context_fields.h"
#include "rescue/mend_l1.h"

static const char *proof_name(const struct qc_verdicts *v, char *buf, size_t n)
{
	switch (v->proof) {
	case QC_PROOF_PROVED:
		return "proved";
	case QC_PROOF_NOTHING_LOST:
		return "nothing-lost";
	case QC_PROOF_MISSING:
		snprintf(buf, n, "%llu-missing", (unsigned long long)v->missing);
		return buf;
	case QC_PROOF_NONE:
		break;
	}
	return "none";
}

static json_t *json_of_proof(const struct qc_verdicts *v)
{
	char level[40];

	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:b}", "level", proof_name(v, level, sizeof(level)),
			 "clusters", (json_int_t)v->referenced, "unequal",
			 (json_int_t)(v->missing + v->behind), "missing", (json_int_t)v->missing,
			 "unread-bytes", (json_int_t)v->unread, "all-bytes-explained", v->explained);
}

/* Makes a string of a word of a table, which may not fit into a number of JSON. */
static json_t *json_of_word(uint64_t word)
{
	return json_sprintf("0x%016" PRIx64, word);
}

/* Adds the mended L1 table, if there is one, word by word. */
static void add_mended(json_t *found, const struct qc_mended_l1 *m)
{
	json_t *l1 = json_object_get(found, "l1"), *all;

	if (!m || !m->mended)
		return;
	all = json_array();
	for (size_t i = 0; i < m->patch.len; i += 8)
		json_array_append_new(all, json_of_word(be64_at(m->patch.bytes + i)));
	json_object_set_new(l1, "from", json_string("scan"));
	json_object_set_new(l1, "mended", json_integer(m->mended));
	json_object_set_new(l1, "words", all);
}

static json_t *json_of_tables(const struct qc_mended_l1 *m)
{
	if (!m)
		return json_null();
	return json_pack("{s:I, s:I, s:I}", "placed", (json_int_t)m->mended, "pieces",
			 (json_int_t)m->pieces, "undecided", (json_int_t)m->undecided);
}

static json_t *json_of_found(const struct qc_layer *l)
{
	const struct qc_header *h = &l->head;
	const struct geom *g = &h->geom;
	const char *from = l->header_found ? "scan" : "header";

	return json_pack("{s:s, s:{s:I, s:s}, s:{s:I, s:s}, s:{s:I, s:I, s:s}, s:i, s:i}", "header",
			 from, "cluster-size", "value", (json_int_t)geom_cluster(g), "from",
			 from, "size", "value", (json_int_t)h->size, "from", from, "l1",
			 "offset", (json_int_t)g->l1_offset, "entries", (json_int_t)g->l1_entries,
			 "from", from, "refcount-bits",
			 h->version == 1 ? 0 : 1 << h->refcount_order, "snapshots",
			 (int)h->snapshots);
}

static json_t *json_of_bytes(const struct qc_disk_sums *s)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "good",
			 (json_int_t)qc_disk_map_sum(s, QC_GRADE_GOOD), "doubtful",
			 (json_int_t)qc_disk_map_sum(s, QC_GRADE_DOUBTFUL), "lost",
			 (json_int_t)qc_disk_map_sum(s, QC_GRADE_LOST), "unread",
			 (json_int_t)qc_disk_map_sum(s, QC_GRADE_UNREAD), "elsewhere",
			 (json_int_t)qc_disk_map_sum(s, QC_GRADE_ELSEWHERE));
}

static json_t *json_of_reasons(const struct qc_disk_sums *s)
{
	json_t *all = json_array();

	for (unsigned int i = QC_REASON_NONE + 1; all && i < QC_REASONS; i++)
		if (s->bytes[i])
			json_array_append_new(all, json_pack("{s:s, s:I}", "reason",
				qc_grade_map_text((enum qc_grade_reason)i), "bytes",
				(json_int_t)s->bytes[i]));
	return all;
}

/* Returns the text as JSON; bytes that are no UTF-8 make it null. */
static json_t *json_of_text(const char *text)
{
	json_t *j = json_string(text);

	return j ? j : json_null();
}

/* A qc_disk_area_fn. */
static qc_err add_to_sums(void *arg, uint64_t len, enum qc_grade_reason reason)
{
	struct qc_disk_sums *s = arg;

	s->bytes[reason] += len;
	return 0;
}

static json_t *make_report(const struct qc_image *img, const struct qc_verdicts *v,
			   const struct qc_disk_sums *s)
{
	const struct qc_layer *l = img->layer[0];
	const struct qc_mended_l1 *m = qc_grade_mended(l);
	json_t *found = json_of_found(l);

	add_mended(found, m);
	return json_pack("{s:i, s:o, s:I, s:i, s:o, s:o, s:o, s:o, s:o, s:o}", "qcowfs-rescue", 1, "image",
			 json_of_text(l->path), "file-size", (json_int_t)l->stat_at_open.size,
			 "version", (int)l->head.version, "found", found, "tables", json_of_tables(m), "proof",
			 json_of_proof(v), "backing-file", img->backing_missing ?
			 json_string("missing") : img->depth > 1 ? json_string("there") : json_null(),
			 "bytes", json_of_bytes(s), "reasons", json_of_reasons(s));
}

qc_err qc_rescue_report(struct qc_image *img, char **text, size_t *len)
{
	const struct qc_verdicts *v;
	struct qc_disk_sums sums = { 0 };
	json_t *report;
	qc_err r = img->headers_only ? -EINVAL : qc_grade_verdicts(img->layer[0], &v);

	if (!r)
		r = qc_disk_map_for_each(img, add_to_sums, &sums);
	if (r)
		return qc_no_outcome(r);
	report = make_report(img, v, &sums);
	*text = report ? json_dumps(report, JSON_INDENT(1)) : NULL;
	json_decref(report);
	if (!*text)
		return -ENOMEM;
	*len = strlen(*text);
	return 0;
}
