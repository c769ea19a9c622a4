/* SPDX-License-Identifier: MIT */
/*
 * map_text.h - writes a mapfile (ddrescue manual, "Mapfile structure").
 */
#ifndef QC_MAP_TEXT_H
#define QC_MAP_TEXT_H

#include "evidence/text.h"

/* Areas of a mapfile, from 0 on. */
struct qc_map_text {
	struct qc_text areas;
	uint64_t start, end; /* of the area that is still open */
	char status;	     /* of this area; 0: there is none */
};

/* Adds the next @len bytes. */
void qc_map_text_add(struct qc_map_text *m, uint64_t len, char status);

/* Writes the whole mapfile: @head, which is comment lines, and then all areas.  Frees the areas.
 * Return: 0; -ENOMEM. */
qc_err qc_map_text_end(struct qc_map_text *m, const struct qc_text *head, char **out, size_t *len);

#endif
