/* SPDX-License-Identifier: MIT */
/*
 * found_headers.h - headers that were found by content, so that each file is searched once.
 */
#ifndef QC_FOUND_HEADERS_H
#define QC_FOUND_HEADERS_H

#include "layer/context_fields.h"
#include "layer/layer.h"

/* Finds the lost header of a layer, or remembers it.  One search runs at a time; other files are opened
 * meanwhile.  Return: as qc_find_header() */
qc_err qc_found_headers_get(struct qc_layer *l, struct qc_reason *why);

/* Return: 0; -ENOMEM */
qc_err qc_found_headers_new(struct qc_found_headers **out);
void qc_found_headers_free(struct qc_found_headers *all); /* NULL is allowed */

#endif
