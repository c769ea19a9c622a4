/* SPDX-License-Identifier: MIT */
/*
 * walk_end.c - refuse an image whose tables cannot be read to the end.
 *
 * Called before the whole of a disk is copied, compared or mapped.  A mount has no need of it:
 * each of its requests is bounded.
 */
#include <errno.h>

#include "base/log.h"
#include "base/outcome.h"
#include "base/range.h"
#include "image/image.h"
#include "layer/metadata_walk.h"
#include "layer/table_limit.h"

/* An L1 table that cannot be read is no failure: the copy meets the damage, and reports it. */
static qc_err check_l1_table(struct qc_layer *l, const struct qc_l1_table *l1,
			     struct qc_reason *why)
{
	struct qc_metadata md = { .file = l->file, .head = &l->head, .tables = l->tables };
	const struct geom *g = &l->head.geom;
	uint64_t bytes = l1->l1_entries * UINT64_C(8), size;
	AUTO_FREE uint8_t *table = malloc(bytes + 1);
	struct qc_table_limit limit = { 0 };
	qc_err r = table ? 0 : -ENOMEM;

	if (!r && (l1->l2_offset || qc_file_size(l->file, &size) ||
		   qc_metadata_copy_table(&md, l1->l1_offset, table, bytes)))
		return 0;
	if (!r)
		r = qc_table_limit_find(g, round_up(size, geom_cluster(g)), table, l1->l1_entries,
					&limit);
	if (r)
		return qc_fail_errno(why, r, NULL);
	if (limit.named <= limit.most)
		return 0;
	return qc_fail(why, -EIO, "cannot be read to its end: the L1 table names more L2 tables than "
				  "there are (qcowfs check tells more)");
}

qc_err qc_check_walk_ends(struct qc_image *img, struct qc_reason *why)
{
	qc_err r = 0;

	for (unsigned int i = 0; !r && !img->headers_only && i < img->depth; i++) {
		struct qc_layer *l = img->layer[i];
		struct qc_l1_table active = qc_l1_active(l);

		if (l->format == QC_FORMAT_RAW)
			continue;
		r = check_l1_table(l, !i && img->of_snapshot ? &img->root : &active, why);
		if (r && i)
			qc_reason_prefix(why, "backing file %s", l->path);
	}
	return qc_no_outcome(r);
}
