/* SPDX-License-Identifier: MIT */
#include "crypto/digest.h"

#include <gcrypt.h>
#include <stdio.h>

void qc_digest_text(const void *bytes, size_t n, char out[QC_DIGEST_TEXT])
{
	uint8_t sum[QC_DIGEST_BYTES];

	gcry_md_hash_buffer(GCRY_MD_SHA256, sum, bytes, n);
	for (size_t i = 0; i < sizeof(sum); i++)
		snprintf(out + 2 * i, 3, "%02x", sum[i]);
}
