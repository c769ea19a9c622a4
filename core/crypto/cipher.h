/* SPDX-License-Identifier: MIT */
/*
 * cipher.h - encrypts and decrypts sectors of 512 bytes.
 *
 * Each sector is encrypted by itself, with an IV made from its number.  A cipher belongs
 * to one thread at a time; idle ciphers stay in the pool of their key.
 */
#ifndef QC_CIPHER_H
#define QC_CIPHER_H

#include "base/util.h"

enum {
	QC_CIPHER_KEY_MAX = 64,
	QC_CIPHER_BUFFER = 128 * 1024, /* bytes of each cipher's buffer */
};

enum qc_iv {
	QC_IV_NONE,
	QC_IV_PLAIN,   /* sector number, 32 bits, little-endian */
	QC_IV_PLAIN64, /* sector number, 64 bits, little-endian */
	QC_IV_ESSIV,   /* PLAIN64, encrypted with a hash of the key */
};

/* How sectors are encrypted.  Algorithms are libgcrypt's numbers. */
struct qc_cipher_spec {
	int cipher, mode;
	size_t key_bytes;
	enum qc_iv iv;
	size_t iv_bytes; /* one block of the cipher */
	int iv_hash, iv_cipher; /* of QC_IV_ESSIV */
};

/* Sets AES-128-CBC with PLAIN64, of the encryption method AES (crypt_method 1). */
void qc_cipher_spec_aes_legacy(struct qc_cipher_spec *s);

/* Sets the cipher that a LUKS header names, such as "aes", "xts-plain64", 64.
 * Return: 0; -ENOTSUP unknown to us or to libgcrypt */
qc_err qc_cipher_spec_parse(const char *cipher, const char *mode, size_t key_bytes,
		       struct qc_cipher_spec *s);

/* Returns libgcrypt's number of a hash such as "sha256", or 0. */
int qc_cipher_hash_by_name(const char *name);

struct qc_cipher_pool; /* idle ciphers of one key */

/* Makes a pool for a key of s->key_bytes bytes, which is copied into secure memory.
 * Return: 0; -ENOMEM */
qc_err qc_cipher_pool_new(const struct qc_cipher_spec *s, const uint8_t *key,
			  struct qc_cipher_pool **out);
void qc_cipher_pool_free(struct qc_cipher_pool *p); /* NULL is allowed; all are idle */

struct qc_cipher;

/* Returns the key of the pool, in secure memory. */
const uint8_t *qc_cipher_pool_key(const struct qc_cipher_pool *p);

/* Returns a cipher for one thread, or NULL without memory. */
struct qc_cipher *qc_cipher_get(struct qc_cipher_pool *p);

/* Returns the cipher to its pool. */
void qc_cipher_put(struct qc_cipher_pool *p, struct qc_cipher *x);

/* Returns the cipher's buffer of QC_CIPHER_BUFFER bytes, for any use by its thread. */
uint8_t *qc_cipher_buffer(struct qc_cipher *x);

/*
 * qc_cipher_decrypt(), qc_cipher_encrypt() - process whole sectors
 * @sector:  number of the first one
 * @len:     a multiple of 512
 * @from:    may be equal to @to
 *
 * Return: 0; -EIO libgcrypt failed
 */
qc_err qc_cipher_decrypt(struct qc_cipher *x, uint64_t sector, void *buf, size_t len);
qc_err qc_cipher_encrypt(struct qc_cipher *x, uint64_t sector, const uint8_t *from, uint8_t *to,
			 size_t len);

#endif
