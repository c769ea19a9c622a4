/* SPDX-License-Identifier: MIT */
/*
 * key_cache.c - a ring of keys in secure memory.
 *
 * The id of a key is an HMAC of header and passphrase, keyed with a random seed of this
 * process.  So an id reveals nothing about the passphrase.
 */
#include "crypto/key_cache.h"

#include <errno.h>
#include <gcrypt.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>

#include "crypto/secure_mem.h"

enum { KEYS = 64 };

struct secrets {
	uint8_t seed[32];
	struct {
		bool used;
		uint8_t id[QC_KEY_CACHE_ID];
		uint8_t key[QC_CIPHER_KEY_MAX];
	} entry[KEYS];
	size_t next;
};

struct qc_key_cache {
	pthread_mutex_t lock;	 /* without a rank: no lock is taken under it */
	struct secrets *secrets; /* under the lock, except `seed` */
};

qc_err qc_key_cache_new(struct qc_key_cache **out)
{
	struct qc_key_cache *k = calloc(1, sizeof(*k));
	qc_err r = -ENOMEM;

	if (!k)
		return r;
	pthread_mutex_init(&k->lock, NULL);
	k->secrets = qc_secure_alloc(sizeof(*k->secrets));
	if (k->secrets)
		r = getrandom(k->secrets->seed, sizeof(k->secrets->seed), 0) ==
				    sizeof(k->secrets->seed) ? 0 : -EIO;
	if (r)
		qc_key_cache_free(k);
	else
		*out = k;
	return r;
}

void qc_key_cache_free(struct qc_key_cache *k)
{
	if (!k)
		return;
	qc_secure_free(k->secrets);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

qc_err qc_key_cache_id(struct qc_key_cache *k, const uint8_t *header, size_t n,
		       const uint8_t *pass, size_t pass_len, uint8_t id[QC_KEY_CACHE_ID])
{
	gcry_md_hd_t md;

	if (gcry_md_open(&md, GCRY_MD_SHA256, GCRY_MD_FLAG_HMAC | GCRY_MD_FLAG_SECURE))
		return -ENOMEM;
	if (gcry_md_setkey(md, k->secrets->seed, sizeof(k->secrets->seed))) {
		gcry_md_close(md);
		return -ENOMEM;
	}
	gcry_md_write(md, header, n);
	gcry_md_write(md, pass, pass_len);
	memcpy(id, gcry_md_read(md, GCRY_MD_SHA256), QC_KEY_CACHE_ID);
	gcry_md_close(md);
	return 0;
}

bool qc_key_cache_find(struct qc_key_cache *k, const uint8_t *id, uint8_t *key)
{
	bool found = false;

	pthread_mutex_lock(&k->lock);
	for (size_t i = 0; !found && i < KEYS; i++) {
		found = k->secrets->entry[i].used &&
			!memcmp(k->secrets->entry[i].id, id, QC_KEY_CACHE_ID);
		if (found)
			memcpy(key, k->secrets->entry[i].key, QC_CIPHER_KEY_MAX);
	}
	pthread_mutex_unlock(&k->lock);
	return found;
}

void qc_key_cache_add(struct qc_key_cache *k, const uint8_t *id, const uint8_t *key)
{
	pthread_mutex_lock(&k->lock);
	memcpy(k->secrets->entry[k->secrets->next].id, id, QC_KEY_CACHE_ID);
	memcpy(k->secrets->entry[k->secrets->next].key, key, QC_CIPHER_KEY_MAX);
	k->secrets->entry[k->secrets->next].used = true;
	k->secrets->next = (k->secrets->next + 1) % KEYS;
	pthread_mutex_unlock(&k->lock);
}
