/* SPDX-License-Identifier: MIT */
/*
 * rescue_pieces.c - L2 tables that no L1 table references, as disks from guest offset 0 on.
 *
 * Which part of the disk such a table maps is not in the file, but all in that part is.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/outcome.h"
#include "image/table_disk.h"
#include "rescue/mend_l1.h"
#include "rescue/plan.h"

/* Finds the list of pieces of the image itself. */
static qc_err find_piece_list(struct qc_image *img, const struct qc_mended_l1 **m)
{
	const struct qc_verdicts *v;
	qc_err r = img->headers_only || !img->ctx->rescue ? -EINVAL :
							   qc_grade_verdicts(img->layer[0], &v);

	*m = r ? NULL : qc_grade_mended(img->layer[0]);
	return r;
}

qc_err qc_rescue_list_pieces(struct qc_image *img, uint64_t **out, size_t *n)
{
	const struct qc_mended_l1 *m;
	qc_err r = find_piece_list(img, &m);

	if (r)
		return qc_no_outcome(r);
	*n = m ? m->pieces : 0;
	*out = calloc(*n + 1, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	if (*n)
		memcpy(*out, m->table, *n * sizeof(**out));
	return 0;
}

qc_err qc_rescue_plan(struct qc_image *img, char **text, size_t *len)
{
	bool over = !img->grades[0]; /* an overlay that is written */
	struct qc_layer *l = img->layer[over];
	const struct qc_verdicts *v;
	const struct qc_mended_l1 *m;
	qc_err r = img->headers_only || !img->ctx->rescue || l->format == QC_FORMAT_RAW ?
			   -EINVAL : qc_grade_verdicts(l, &v);

	if (r)
		return qc_no_outcome(r);
	m = qc_grade_mended(l);
	return qc_plan_write(&l->head, l->stat_at_open.size, m->patch.bytes, text, len);
}

qc_err qc_rescue_open_piece(struct qc_image *img, uint64_t table, struct qc_image **out,
			    struct qc_reason *why)
{
	const struct qc_mended_l1 *m;
	struct qc_table_disk d = { .root = { .l1_entries = 1, .l2_offset = table }, .own_layer_only = true };
	qc_err r = find_piece_list(img, &m);

	if (r)
		return qc_fail_errno(why, qc_no_outcome(r), "cannot read its tables");
	if (!m || !bsearch(&table, m->table, m->pieces, sizeof(table), compare_u64))
		return qc_fail(why, -ENOENT, "there is no L2 table without an L1 entry at 0x%" PRIx64,
			       table);
	d.size = geom_l1_span(&img->layer[0]->head.geom);
	return qc_no_outcome(qc_table_disk_open(img, &d, out, why));
}
