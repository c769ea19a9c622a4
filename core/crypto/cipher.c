/* SPDX-License-Identifier: MIT */
/*
 * cipher.c - libgcrypt's contexts, in a pool without a lock.
 *
 * A slot of the pool holds one idle cipher.  A thread gets and puts ciphers by an atomic
 * exchange.  Each thread starts its search at another slot, so threads rarely use the
 * same cache line.
 */
#include "crypto/cipher.h"

#include <errno.h>
#include <gcrypt.h>
#include <stdatomic.h>
#include <string.h>

#include "base/thread_number.h"
#include "crypto/secure_mem.h"
#include "format/qcow_layout.h"

enum { SLOTS = 32, IV_MAX = 16 };

struct qc_cipher {
	const struct qc_cipher_spec *spec;
	gcry_cipher_hd_t data, iv; /* iv: for QC_IV_ESSIV, else NULL */
	uint8_t *buffer;
};

struct qc_cipher_pool {
	struct qc_cipher_spec spec;
	uint8_t *key; /* secure memory */
	struct qc_cipher *_Atomic idle[SLOTS];
};

/* ---- cipher specs ---------------------------------------------------------------- */

int qc_cipher_hash_by_name(const char *name)
{
	static const struct {
		const char *name;
		int hash;
	} known[] = {
		{ "md5", GCRY_MD_MD5 },	      { "sha1", GCRY_MD_SHA1 },
		{ "sha224", GCRY_MD_SHA224 }, { "sha256", GCRY_MD_SHA256 },
		{ "sha384", GCRY_MD_SHA384 }, { "sha512", GCRY_MD_SHA512 },
		{ "ripemd160", GCRY_MD_RMD160 },
	};

	qc_crypto_init();
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(name, known[i].name))
			return gcry_md_test_algo(known[i].hash) ? 0 : known[i].hash;
	return 0;
}

/* Returns the cipher of a family for keys of @key_bytes bytes, or 0. */
static int cipher_by_name(const char *family, size_t key_bytes)
{
	static const struct {
		const char *family;
		size_t key_bytes;
		int cipher;
	} known[] = {
		{ "aes", 16, GCRY_CIPHER_AES128 },
		{ "aes", 24, GCRY_CIPHER_AES192 },
		{ "aes", 32, GCRY_CIPHER_AES256 },
		{ "serpent", 16, GCRY_CIPHER_SERPENT128 },
		{ "serpent", 24, GCRY_CIPHER_SERPENT192 },
		{ "serpent", 32, GCRY_CIPHER_SERPENT256 },
		{ "twofish", 16, GCRY_CIPHER_TWOFISH128 },
		{ "twofish", 32, GCRY_CIPHER_TWOFISH },
		{ "cast5", 16, GCRY_CIPHER_CAST5 },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(family, known[i].family) && key_bytes == known[i].key_bytes)
			return gcry_cipher_test_algo(known[i].cipher) ? 0 : known[i].cipher;
	return 0;
}

static int mode_by_name(const char *text, size_t n)
{
	static const struct {
		const char *name;
		int mode;
	} known[] = {
		{ "xts", GCRY_CIPHER_MODE_XTS },
		{ "cbc", GCRY_CIPHER_MODE_CBC },
		{ "ctr", GCRY_CIPHER_MODE_CTR },
		{ "ecb", GCRY_CIPHER_MODE_ECB },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (n == strlen(known[i].name) && !strncmp(text, known[i].name, n))
			return known[i].mode;
	return GCRY_CIPHER_MODE_NONE;
}

/* The cipher of ESSIV is of the data's family, with keys as long as the hash. */
static qc_err parse_iv_generator(const char *family, const char *text, struct qc_cipher_spec *s)
{
	const char *colon = strchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : strlen(text);

	if (n == 5 && !strncmp(text, "plain", n)) {
		s->iv = QC_IV_PLAIN;
	} else if (n == 7 && !strncmp(text, "plain64", n)) {
		s->iv = QC_IV_PLAIN64;
	} else if (n == 5 && !strncmp(text, "essiv", n) && colon) {
		s->iv = QC_IV_ESSIV;
		s->iv_hash = qc_cipher_hash_by_name(colon + 1);
		if (s->iv_hash)
			s->iv_cipher = cipher_by_name(family, gcry_md_get_algo_dlen(s->iv_hash));
		return s->iv_cipher ? 0 : -ENOTSUP;
	} else {
		return -ENOTSUP;
	}
	return 0;
}

qc_err qc_cipher_spec_parse(const char *cipher, const char *mode, size_t key_bytes,
		       struct qc_cipher_spec *s)
{
	const char *dash = strchr(mode, '-');
	bool xts;
	qc_err r;

	qc_crypto_init();
	*s = (struct qc_cipher_spec){ .key_bytes = key_bytes };
	if (!dash || key_bytes > QC_CIPHER_KEY_MAX)
		return -ENOTSUP;
	s->mode = mode_by_name(mode, (size_t)(dash - mode));
	xts = s->mode == GCRY_CIPHER_MODE_XTS;
	if (xts && key_bytes % 2)
		return -ENOTSUP;
	/* XTS uses two keys: one for the data, one for the tweak. */
	s->cipher = cipher_by_name(cipher, xts ? key_bytes / 2 : key_bytes);
	if (s->mode == GCRY_CIPHER_MODE_NONE || !s->cipher)
		return -ENOTSUP;
	s->iv_bytes = gcry_cipher_get_algo_blklen(s->cipher);
	if (s->iv_bytes > IV_MAX || (xts && s->iv_bytes != IV_MAX))
		return -ENOTSUP;
	r = parse_iv_generator(cipher, dash + 1, s);
	if (!r && s->mode == GCRY_CIPHER_MODE_ECB)
		s->iv = QC_IV_NONE;
	return r;
}

void qc_cipher_spec_aes_legacy(struct qc_cipher_spec *s)
{
	*s = (struct qc_cipher_spec){
		.cipher = GCRY_CIPHER_AES128,
		.mode = GCRY_CIPHER_MODE_CBC,
		.key_bytes = 16,
		.iv = QC_IV_PLAIN64,
		.iv_bytes = 16,
	};
}

/* ---- keys and contexts ------------------------------------------------------ */

qc_err qc_cipher_pool_new(const struct qc_cipher_spec *s, const uint8_t *key,
			  struct qc_cipher_pool **out)
{
	struct qc_cipher_pool *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->spec = *s;
	c->key = qc_secure_alloc(s->key_bytes);
	if (!c->key) {
		free(c);
		return -ENOMEM;
	}
	memcpy(c->key, key, s->key_bytes);
	*out = c;
	return 0;
}

const uint8_t *qc_cipher_pool_key(const struct qc_cipher_pool *p)
{
	return p->key;
}

static void free_cipher(struct qc_cipher *x)
{
	if (!x)
		return;
	gcry_cipher_close(x->data);
	gcry_cipher_close(x->iv);
	free(x->buffer);
	free(x);
}

void qc_cipher_pool_free(struct qc_cipher_pool *c)
{
	if (!c)
		return;
	for (int i = 0; i < SLOTS; i++)
		free_cipher(c->idle[i]);
	qc_secure_free(c->key);
	free(c);
}

static bool open_context(gcry_cipher_hd_t *hd, int cipher, int mode, const void *key, size_t n)
{
	return !gcry_cipher_open(hd, cipher, mode, GCRY_CIPHER_SECURE) &&
	       !gcry_cipher_setkey(*hd, key, n);
}

static bool open_essiv(struct qc_cipher *x, const struct qc_cipher_pool *c)
{
	const struct qc_cipher_spec *s = &c->spec;
	size_t n = gcry_md_get_algo_dlen(s->iv_hash);
	AUTO_SECRET uint8_t *hash = qc_secure_alloc(n);

	if (!hash)
		return false;
	gcry_md_hash_buffer(s->iv_hash, hash, c->key, s->key_bytes);
	return open_context(&x->iv, s->iv_cipher, GCRY_CIPHER_MODE_ECB, hash, n);
}

static struct qc_cipher *make_cipher(const struct qc_cipher_pool *c)
{
	const struct qc_cipher_spec *s = &c->spec;
	struct qc_cipher *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->spec = s;
	x->buffer = aligned_alloc(4096, QC_CIPHER_BUFFER);
	if (!x->buffer || !open_context(&x->data, s->cipher, s->mode, c->key, s->key_bytes) ||
	    (s->iv == QC_IV_ESSIV && !open_essiv(x, c))) {
		free_cipher(x);
		return NULL;
	}
	return x;
}

struct qc_cipher *qc_cipher_get(struct qc_cipher_pool *c)
{
	unsigned int first = qc_thread_number() % SLOTS;

	for (unsigned int i = 0; i < SLOTS; i++) {
		struct qc_cipher *_Atomic *slot = &c->idle[(first + i) % SLOTS];
		struct qc_cipher *x = atomic_load_explicit(slot, memory_order_relaxed);

		if (x && (x = atomic_exchange(slot, NULL)))
			return x;
	}
	return make_cipher(c);
}

void qc_cipher_put(struct qc_cipher_pool *c, struct qc_cipher *x)
{
	unsigned int first = qc_thread_number() % SLOTS;

	for (unsigned int i = 0; i < SLOTS; i++) {
		struct qc_cipher *none = NULL;

		if (atomic_compare_exchange_strong(&c->idle[(first + i) % SLOTS], &none, x))
			return;
	}
	free_cipher(x);
}

uint8_t *qc_cipher_buffer(struct qc_cipher *x)
{
	return x->buffer;
}

/* ---- sectors ---------------------------------------------------------------- */

static void put_le64(uint8_t *iv, uint64_t v)
{
	v = htole64(v);
	memcpy(iv, &v, sizeof(v));
}

static gcry_error_t set_sector_iv(struct qc_cipher *x, uint64_t sector)
{
	const struct qc_cipher_spec *s = x->spec;
	uint8_t iv[IV_MAX] = { 0 };
	gcry_error_t e = 0;

	switch (s->iv) {
	case QC_IV_NONE:
		return 0;
	case QC_IV_PLAIN:
		put_le64(iv, (uint32_t)sector);
		break;
	case QC_IV_PLAIN64:
		put_le64(iv, sector);
		break;
	case QC_IV_ESSIV:
		put_le64(iv, sector);
		e = gcry_cipher_encrypt(x->iv, iv, s->iv_bytes, NULL, 0);
		break;
	}
	if (e)
		return e;
	return s->mode == GCRY_CIPHER_MODE_CTR ? gcry_cipher_setctr(x->data, iv, s->iv_bytes) :
						 gcry_cipher_setiv(x->data, iv, s->iv_bytes);
}

qc_err qc_cipher_decrypt(struct qc_cipher *x, uint64_t sector, void *buf, size_t len)
{
	gcry_error_t e = 0;

	for (size_t i = 0; !e && i < len; i += SECTOR) {
		e = set_sector_iv(x, sector++);
		if (!e)
			e = gcry_cipher_decrypt(x->data, (uint8_t *)buf + i, SECTOR, NULL, 0);
	}
	return e ? -EIO : 0;
}

qc_err qc_cipher_encrypt(struct qc_cipher *x, uint64_t sector, const uint8_t *from, uint8_t *to,
		  size_t len)
{
	gcry_error_t e = 0;

	for (size_t i = 0; !e && i < len; i += SECTOR) {
		e = set_sector_iv(x, sector++);
		if (!e && from == to)
			e = gcry_cipher_encrypt(x->data, to + i, SECTOR, NULL, 0);
		else if (!e)
			e = gcry_cipher_encrypt(x->data, to + i, SECTOR, from + i, SECTOR);
	}
	return e ? -EIO : 0;
}
