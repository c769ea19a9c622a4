/* SPDX-License-Identifier: MIT */
/* piece_search.h - find pieces of an image file by a walk over its tables. */
#ifndef QC_PIECE_SEARCH_H
#define QC_PIECE_SEARCH_H

#include "evidence/cluster_use.h"
#include "evidence/pieces.h"

/* Appends pieces of one sort to *out.  Return: as qc_pieces_add(); an errno of the file */
typedef qc_err qc_pieces_fn(struct qc_tables *t, const struct qc_cluster_use *u,
			    struct qc_pieces *out);

/*
 * qc_piece_search_run() - find all pieces of one sort in the top layer of an image
 * @out:  to be freed
 * @t:    out: the tables, to be closed
 *
 * Return: 0; -EINVAL a raw file; as @find.  After a failure there is nothing to free or close.
 */
qc_err qc_piece_search_run(struct qc_image *img, qc_pieces_fn *find, struct qc_pieces *out,
			   struct qc_tables *t);

/* Opens the pieces as an image.  Return: as qc_piece_search_run() */
qc_err qc_piece_search_open(struct qc_image *img, qc_pieces_fn *find, struct qc_image **out);

#endif
