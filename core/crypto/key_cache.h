/* SPDX-License-Identifier: MIT */
/*
 * key_cache.h - the data keys of the images that were unlocked last.
 *
 * To derive a key from a passphrase takes seconds, so layer/layer_key.c looks here first.  A
 * key is found only with the passphrase and the LUKS header that it was derived from.
 */
#ifndef QC_KEY_CACHE_H
#define QC_KEY_CACHE_H

#include "crypto/cipher.h"

enum { QC_KEY_CACHE_ID = 32 };

struct qc_key_cache;

/* Return: 0; -ENOMEM; -EIO the kernel has no random bytes */
qc_err qc_key_cache_new(struct qc_key_cache **out);
void qc_key_cache_free(struct qc_key_cache *k); /* NULL is allowed */

/* Computes the id of the key that @pass opens in a LUKS header, given by its first @n
 * bytes.  Return: 0; -ENOMEM */
qc_err qc_key_cache_id(struct qc_key_cache *k, const uint8_t *header, size_t n,
		       const uint8_t *pass, size_t pass_len, uint8_t id[QC_KEY_CACHE_ID]);

/* Copies the key of this id to @key, secure memory of QC_CIPHER_KEY_MAX bytes.  Returns
 * false if the cache does not have it. */
bool qc_key_cache_find(struct qc_key_cache *k, const uint8_t *id, uint8_t *key);

/* Stores a copy of the key, in place of the oldest. */
void qc_key_cache_add(struct qc_key_cache *k, const uint8_t *id, const uint8_t *key);

#endif
