/* SPDX-License-Identifier: MIT */
#include "image/table_disk.h"

#include <errno.h>

#include "base/range.h"

static qc_err check_table_disk(const struct qc_layer *l, const struct qc_table_disk *d,
			       struct qc_reason *why)
{
	const struct geom *g = &l->head.geom;
	uint64_t unit = l->head.version == 1 ? SECTOR : geom_cluster(g);
	uint64_t off = d->root.l2_offset ? d->root.l2_offset : d->root.l1_offset;
	uint64_t n = d->root.l2_offset ? 1 : d->root.l1_entries;

	if (l->format != QC_FORMAT_QCOW || !off || off % unit || off > INT64_MAX || n > L1_ENTRIES_MAX ||
	    d->size > INT64_MAX || geom_l1_need(g, d->size) > n)
		return qc_fail(why, -EINVAL, "the table is impossible");
	return 0;
}

/* A qc_view_fn. */
static qc_err select_table(struct qc_image *v, const void *arg, struct qc_reason *why)
{
	const struct qc_table_disk *d = arg;
	qc_err r = check_table_disk(v->layer[0], d, why);

	if (r)
		return r;
	v->root = d->root;
	v->size = d->size;
	v->of_snapshot = true;
	if (d->own_layer_only)
		v->bottom = 1;
	v->pin.l1_offset = d->root.l2_offset ? d->root.l2_offset : d->root.l1_offset;
	qc_layer_pin_snapshot(v->layer[0], &v->pin);
	return 0;
}

qc_err qc_table_disk_open(struct qc_image *img, const struct qc_table_disk *d,
			  struct qc_image **out, struct qc_reason *why)
{
	struct qc_image *v;
	qc_err r = qc_open_view(img, select_table, d, &v, why);

	if (r)
		return r;
	if (v->grades[0]) {
		r = qc_grade_disk(v->layer[0], &v->root, v->size, &v->own_grades);
		v->grades[0] = v->own_grades;
	}
	if (r) {
		qc_close(v);
		return qc_fail_errno(why, r, "cannot read its tables");
	}
	*out = v;
	return 0;
}
