/* SPDX-License-Identifier: MIT */
/* digest.h - SHA-256, for reports. */
#ifndef QC_DIGEST_H
#define QC_DIGEST_H

#include "base/util.h"

enum { QC_DIGEST_BYTES = 32, QC_DIGEST_TEXT = 65 };

/* Writes the SHA-256 of some bytes, in hexadecimal digits with a NUL. */
void qc_digest_text(const void *bytes, size_t n, char out[QC_DIGEST_TEXT]);

#endif
