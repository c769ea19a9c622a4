/* SPDX-License-Identifier: MIT */
/*
 * cipher.h - sectors of 512 bytes <-> the same, enciphered.
 *
 * Nothing is kept from one sector to the next: each has an IV made of its number.
 * A context of the cipher library belongs to one thread at a time; idle ones wait
 * for the next.
 */
#ifndef QC_CIPHER_H
#define QC_CIPHER_H

#include "base/util.h"

enum {
	QC_CIPHER_KEY_MAX = 64,
	QC_CIPHER_BUFFER = 128 * 1024, /* bytes at a cipher's disposal */
};

enum qc_iv {
	QC_IV_NONE,
	QC_IV_PLAIN,   /* the number in 32 bits */
	QC_IV_PLAIN64, /* in 64 */
	QC_IV_ESSIV,   /* that, enciphered with a hash of the key */
};

/* What is done to a sector; the numbers of algorithms are libgcrypt's. */
struct qc_cipher_spec {
	int cipher, mode;
	size_t key_bytes;
	enum qc_iv iv;
	size_t iv_bytes; /* one block of the cipher */
	int iv_hash, iv_cipher; /* of QC_IV_ESSIV */
};

/* AES-128 in CBC mode, as methods without a key check have it. */
void qc_cipher_spec_aes_legacy(struct qc_cipher_spec *s);

/* From the words of a LUKS header ("aes", "xts-plain64", 64).  -ENOTSUP. */
qc_err qc_cipher_spec_parse(const char *cipher, const char *mode, size_t key_bytes,
		       struct qc_cipher_spec *s);

/* libgcrypt's number for the name of a hash, or 0. */
int qc_cipher_hash_by_name(const char *name);

struct qc_cipher_pool; /* a scheme, and a key */

/* Copies the key, into memory for secrets. */
qc_err qc_cipher_pool_new(const struct qc_cipher_spec *s, const uint8_t *key, struct qc_cipher_pool **out);
void qc_cipher_pool_free(struct qc_cipher_pool *c); /* NULL is fine */

/* A context, and a buffer for whatever its holder likes. */
struct qc_cipher;
struct qc_cipher *qc_cipher_get(struct qc_cipher_pool *c); /* NULL: out of memory */
void qc_cipher_put(struct qc_cipher_pool *c, struct qc_cipher *x);
uint8_t *qc_cipher_buffer(struct qc_cipher *x);

/* Whole sectors, of which the first has that number.  `from` may be `to`. */
qc_err qc_cipher_decrypt(struct qc_cipher *x, uint64_t sector, void *buf, size_t len);
qc_err qc_cipher_encrypt(struct qc_cipher *x, uint64_t sector, const uint8_t *from, uint8_t *to,
		  size_t len);

#endif
