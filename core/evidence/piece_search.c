/* SPDX-License-Identifier: MIT */
#include "evidence/piece_search.h"

qc_err qc_piece_search_run(struct qc_image *img, qc_pieces_fn *find, struct qc_pieces *out,
			   struct qc_tables *t)
{
	struct qc_cluster_use u;
	qc_err r = qc_tables_open(t, img->layer[0]);

	*out = (struct qc_pieces){ 0 };
	if (r)
		return r;
	r = qc_cluster_use_new(t, &u);
	if (!r) {
		r = find(t, &u, out);
		qc_cluster_use_free(&u);
	}
	if (r) {
		qc_tables_close(t);
		qc_pieces_free(out);
	}
	return r;
}

qc_err qc_piece_search_open(struct qc_image *img, qc_pieces_fn *find, struct qc_image **out)
{
	struct qc_pieces p;
	struct qc_tables t;
	qc_err r = qc_piece_search_run(img, find, &p, &t);

	if (r)
		return r;
	qc_tables_close(&t);
	return qc_pieces_open(img, &p, out);
}
