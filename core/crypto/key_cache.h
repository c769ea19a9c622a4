/* SPDX-License-Identifier: MIT */
/*
 * key_cache.h - keys of data that were unlocked of late, so that it need not take
 * seconds each time an image is opened.
 *
 * A key is found by the passphrase and the header that it came from: who has
 * another passphrase, or finds another header, finds nothing.
 */
#ifndef QC_KEY_CACHE_H
#define QC_KEY_CACHE_H

#include "crypto/cipher.h"

enum { QC_KEY_CACHE_ID = 32 };

struct qc_key_cache;

qc_err qc_key_cache_new(struct qc_key_cache **out);
void qc_key_cache_free(struct qc_key_cache *k); /* NULL is fine */

/* The name of the key that these bytes and the passphrase make. */
qc_err qc_key_cache_id(struct qc_key_cache *k, const uint8_t *header, size_t n,
		       const uint8_t *pass, size_t pass_len, uint8_t name[QC_KEY_CACHE_ID]);

/* `key` has QC_CIPHER_KEY_MAX bytes. */
bool qc_key_cache_find(struct qc_key_cache *k, const uint8_t *name, uint8_t *key);
void qc_key_cache_add(struct qc_key_cache *k, const uint8_t *name, const uint8_t *key);

#endif
