/* SPDX-License-Identifier: MIT */
/*
 * pieces.h - pieces of an image file, read one after the other as one file.
 */
#ifndef QC_PIECES_H
#define QC_PIECES_H

#include "image/image.h"

struct qc_piece {
	uint64_t host; /* offset in the image file */
	uint64_t at;   /* offset among all pieces */
	unsigned int kind; /* of the caller */
};

struct qc_pieces {
	struct qc_piece *piece;
	size_t n, room;
	uint64_t end; /* of the last piece, among all pieces */
};

/* Appends a piece.  One that continues the last one, of the same kind, makes that longer.
 * Return: 0; -ENOMEM; -EFBIG 4 Mi pieces. */
qc_err qc_pieces_add(struct qc_pieces *p, uint64_t host, uint64_t len, unsigned int kind);

/* Returns the length of piece @i. */
uint64_t qc_pieces_len(const struct qc_pieces *p, size_t i);
void qc_pieces_free(struct qc_pieces *p);

/*
 * qc_pieces_add_data() - append the parts of a range that are no holes of the file system
 * @whole:  if the range has any data, append all of it
 */
qc_err qc_pieces_add_data(struct qc_pieces *p, struct qc_file *f, uint64_t host, uint64_t len,
			  unsigned int kind, bool whole);

/* Makes an image of the pieces, which it owns from then on, also on failure.
 * Return: 0; -ENOMEM. */
qc_err qc_pieces_open(struct qc_image *img, struct qc_pieces *p, struct qc_image **out);

#endif
