/* SPDX-License-Identifier: MIT */
/*
 * header_extension.h - header extensions of versions 2 and 3 (qcow2 spec, "Header
 * extensions").
 *
 * Called by header.c only.  Unknown extensions are ignored.
 */
#ifndef QC_HEADER_EXTENSION_H
#define QC_HEADER_EXTENSION_H

#include "base/log.h"
#include "format/header_fields.h"

/*
 * qc_header_extension_parse_all() - decode all extensions into the header
 * @buf, @n:  first bytes of the image
 * @at:       where the extensions begin
 * @h:        its geometry and backing_offset are set
 * @need:     out: set if the extensions reach behind @n; then @h is incomplete
 *
 * Return: 0; -EINVAL an extension is impossible
 */
qc_err qc_header_extension_parse_all(const uint8_t *buf, size_t n, size_t at, struct qc_header *h,
				  size_t *need, struct qc_reason *why);

/* Copies a name of @len bytes to @to, which has room for @max and a NUL.
 * Return: 0; -EINVAL too long, or a NUL inside */
qc_err qc_header_extension_name(const char *object, const uint8_t *data, size_t len, char *to,
				size_t max, struct qc_reason *why);

#endif
