/* SPDX-License-Identifier: MIT */
/* findings_residue.c - what is left of earlier data beside the disk. */
#include "evidence/findings.h"

#include <errno.h>
#include <inttypes.h>

#include "base/range.h"
#include "base/zeros.h"
#include "evidence/slack.h"
#include "rescue/table_test.h"
#include "evidence/unallocated.h"
#include "evidence/zeroed.h"

enum { SAMPLE_BYTES = 4096 };

/* Returns true if a part of the image file has a byte that is not 0. */
static bool has_bytes(struct qc_finding_list *l, uint64_t host, uint64_t len)
{
	uint8_t buf[SAMPLE_BYTES];
	size_t got;

	for (uint64_t at = 0; at < len; at += sizeof(buf)) {
		size_t n = (size_t)min_u64(len - at, sizeof(buf));

		if (qc_file_read(l->t->md.file, host + at, buf, n, &got))
			return true;
		if (!qc_is_all_zeros(buf, n))
			return true;
	}
	return false;
}

/* ---- unallocated ----------------------------------------------------------------- */

struct residue_sum {
	uint64_t data, tables; /* clusters */
	uint64_t first_data, first_table; /* host offsets */
};

static qc_err sum_residue(struct qc_finding_list *l, const struct qc_pieces *p,
			  struct residue_sum *s)
{
	uint64_t cluster = UINT64_C(1) << l->t->shift;
	AUTO_FREE uint8_t *buf = malloc(cluster);
	size_t got;

	if (!buf)
		return -ENOMEM;
	for (size_t i = 0; i < p->n; i++) {
		for (uint64_t at = 0; at < qc_pieces_len(p, i); at += cluster) {
			uint64_t host = p->piece[i].host + at;

			if (p->piece[i].kind == QC_PIECE_LEAKED ||
			    qc_file_read(l->t->md.file, host, buf, cluster, &got) ||
			    qc_is_all_zeros(buf, cluster))
				continue;
			if (geom_l2_bytes(&l->t->md.head->geom) == cluster &&
			    qc_table_test_l2(&l->t->md.head->geom, l->t->file_bytes, buf)) {
				s->first_table = s->tables++ ? s->first_table : host;
			} else {
				s->first_data = s->data++ ? s->first_data : host;
			}
		}
	}
	return 0;
}

static qc_err find_unallocated(struct qc_finding_list *l, const struct qc_cluster_use *u)
{
	uint64_t cluster = UINT64_C(1) << l->t->shift;
	struct residue_sum s = { 0 };
	struct qc_pieces p = { 0 };
	qc_err r = qc_unallocated_pieces(l->t, u, &p);

	if (!r)
		r = sum_residue(l, &p, &s);
	if (!r && s.data)
		qc_finding_list_add(l, QC_CODE_UNNAMED_DATA, s.first_data, cluster,
				    "%" PRIu64 " clusters hold bytes, and nothing references or counts them; "
				    "this is the first", s.data);
	if (!r && s.tables)
		qc_finding_list_add(l, QC_CODE_UNNAMED_TABLE, s.first_table, cluster,
				    "%" PRIu64 " clusters hold an L2 table that nothing references; this is "
				    "the first", s.tables);
	qc_pieces_free(&p);
	return r;
}

/* ---- slack ------------------------------------------------------------------------ */

static enum qc_finding_code code_of_slack(const struct qc_finding_list *l, const struct qc_piece *p)
{
	const struct qc_header *h = l->t->md.head;

	switch ((enum qc_slack_of)p->kind) {
	case QC_SLACK_HEADER:
		return h->backing_offset && p->host > h->backing_offset ? QC_CODE_NAME_SLACK :
									   QC_CODE_HEADER_SLACK;
	case QC_SLACK_COMPRESSED:
		return QC_CODE_COMPRESSED_RESIDUE;
	case QC_SLACK_FILE_END:
		return QC_CODE_FILE_LONGER;
	case QC_SLACK_L1_TABLE:
	case QC_SLACK_SNAPSHOT_TABLE:
	case QC_SLACK_LUKS_HEADER:
	case QC_SLACK_BITMAP_DIRECTORY:
	case QC_SLACK_BITMAP_TABLE:
		break;
	}
	return QC_CODE_STRUCTURE_SLACK;
}

static qc_err find_slack_bytes(struct qc_finding_list *l, const struct qc_cluster_use *u)
{
	struct qc_pieces p = { 0 };
	qc_err r = qc_slack_pieces(l->t, u, &p);

	for (size_t i = 0; !r && i < p.n; i++) {
		uint64_t len = qc_pieces_len(&p, i);

		if (has_bytes(l, p.piece[i].host, len))
			qc_finding_list_add(l, code_of_slack(l, &p.piece[i]), p.piece[i].host, len,
					    "bytes that are not zeros: slack of %s",
					    qc_slack_name((enum qc_slack_of)p.piece[i].kind));
	}
	qc_pieces_free(&p);
	return r;
}

/* ---- under zeros ------------------------------------------------------------------- */

/* Counts clusters whose first bytes are not zeros. */
static qc_err sample_zeroed(struct qc_image *zeroed, uint64_t cluster, uint64_t *found,
			    uint64_t *first)
{
	uint8_t buf[SAMPLE_BYTES];
	qc_err r = 0;

	for (uint64_t at = 0; !r && at < zeroed->size;) {
		struct qc_extent e;

		r = zeroed->bytes_ops->block_status(zeroed, at, &e);
		for (uint64_t in = 0; !r && e.data && in < e.len; in += cluster) {
			size_t n = (size_t)min_u64(min_u64(e.len - in, sizeof(buf)), cluster);

			if (zeroed->bytes_ops->read(zeroed, at + in, buf, n) || qc_is_all_zeros(buf, n))
				continue;
			*first = (*found)++ ? *first : at + in;
		}
		at += r ? 0 : e.len;
	}
	return r;
}

static qc_err find_zeroed(struct qc_finding_list *l)
{
	uint64_t found = 0, first = 0;
	struct qc_image *zeroed;
	json_t *j;
	qc_err r = qc_zeroed_open(l->img, &zeroed);

	if (r)
		return r;
	r = sample_zeroed(zeroed, geom_cluster(&l->t->md.head->geom), &found, &first);
	qc_close(zeroed);
	if (r || !found)
		return r;
	j = qc_finding_list_add(l, QC_CODE_ZEROED_WITH_DATA, 0, 0,
				"%" PRIu64 " clusters read as zeros, and hold other bytes", found);
	if (j)
		json_object_set_new(j, "guest-offset", json_integer((json_int_t)first));
	return 0;
}

qc_err qc_findings_residue_find(struct qc_finding_list *l)
{
	struct qc_cluster_use u;
	qc_err r = qc_cluster_use_new(l->t, &u);

	if (r)
		return r;
	r = find_unallocated(l, &u);
	if (!r)
		r = find_slack_bytes(l, &u);
	if (!r)
		r = find_zeroed(l);
	if (!r)
		r = qc_findings_deleted_find(l, &u);
	qc_cluster_use_free(&u);
	return r;
}
