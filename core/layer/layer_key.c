/* SPDX-License-Identifier: MIT */
/*
 * layer_key.c - try each passphrase of the user on each active key slot.
 *
 * Passphrases, key material and keys are in secure memory only, and are wiped before
 * qc_layer_key_find() returns.
 */
#include "layer/layer_key.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "layer/context_fields.h"
#include "base/failpoint.h"
#include "layer/layer_fields.h"
#include "crypto/luks.h"
#include "crypto/secure_mem.h"

enum { ATTEMPTS = 16 };

struct key_search {
	struct qc_layer *layer;
	struct qc_luks luks;
	uint8_t header[LUKS_BYTES];
	uint8_t *pass, *key, *material; /* in secure memory */
	size_t pass_len;
};

/* ---- LUKS ------------------------------------------------------------------- */

static qc_err read_luks_header(struct key_search *k, struct qc_reason *why)
{
	const struct qc_header *h = &k->layer->head;
	size_t got;
	qc_err r = qc_file_read(k->layer->file, h->luks_offset, k->header, sizeof(k->header), &got);

	if (r)
		return qc_fail_errno(why, r, "cannot read the LUKS header");
	return qc_reason_add_hint(why, qc_luks_parse(k->header, h->luks_bytes, &k->luks, why));
}

static qc_err try_key_slot(struct key_search *k, unsigned int i)
{
	const struct qc_luks_slot *s = &k->luks.slot[i];
	size_t n = qc_luks_key_material_bytes(&k->luks), got;
	qc_err r;

	if (FAIL_POINT("unlock.slot"))
		return -EIO;
	if (!k->material)
		k->material = qc_secure_alloc(n);
	if (!k->material)
		return -ENOMEM;
	r = qc_file_read(k->layer->file, k->layer->head.luks_offset + s->key_offset, k->material, n,
			 &got);
	return r ? r : qc_luks_open_slot(&k->luks, i, k->material, k->pass, k->pass_len, k->key);
}

/* Tries all slots.  Progress is reported by PBKDF2 iterations: a slot that does not fit takes as
 * long as one that does. */
static qc_err try_key_slots(struct key_search *k)
{
	const struct qc_context *ctx = k->layer->ctx;
	uint64_t all = 0, done = 0;
	bool tells;
	qc_err r = -EACCES;

	for (unsigned int i = 0; i < LUKS_SLOTS; i++)
		all += qc_luks_iterations(&k->luks, i);
	tells = ctx->progress && qc_luks_is_slow(&k->luks, all);
	for (unsigned int i = 0; r == -EACCES && i < LUKS_SLOTS; i++) {
		if (!k->luks.slot[i].active)
			continue;
		if (tells)
			ctx->progress(ctx->log.arg, k->layer->path, QC_WORK_UNLOCK,
				      (unsigned int)(done * 100 / all));
		r = try_key_slot(k, i);
		done += qc_luks_iterations(&k->luks, i);
	}
	if (tells)
		ctx->progress(ctx->log.arg, k->layer->path, QC_WORK_UNLOCK, 100);
	return r;
}

static qc_err try_luks(struct key_search *k)
{
	struct qc_key_cache *ring = k->layer->ctx->key_cache;
	uint8_t name[QC_KEY_CACHE_ID];
	qc_err r = qc_key_cache_id(ring, k->header, sizeof(k->header), k->pass, k->pass_len, name);

	if (r || qc_key_cache_find(ring, name, k->key))
		return r;
	r = try_key_slots(k);
	if (!r)
		qc_key_cache_add(ring, name, k->key);
	return r;
}

/* ---- AES -------------------------------------------------------------------- */

/* Makes a key of any passphrase: with a wrong one the data reads as garbage. */
static qc_err make_legacy_key(struct key_search *k)
{
	size_t n = k->luks.spec.key_bytes;

	memset(k->key, 0, n);
	memcpy(k->key, k->pass, k->pass_len < n ? k->pass_len : n);
	return 0;
}

/* --------------------------------------------------------------------------- */

static const char *name_of_encryption(const struct qc_layer *l)
{
	return l->head.crypt == CRYPT_LUKS ? "LUKS" : "AES";
}

qc_err qc_layer_key_missing(const struct qc_layer *l, struct qc_reason *why)
{
	return qc_fail_as(why, QC_CAUSE_KEY, -EACCES,
			    "encrypted (%s), and there is no key for it (key-file=PATH names one)",
			    name_of_encryption(l));
}

static qc_err fail_without_key(const struct key_search *k, unsigned int attempts, struct qc_reason *why)
{
	bool newline = attempts && k->pass_len && k->pass[k->pass_len - 1] == '\n';

	if (!attempts)
		return qc_layer_key_missing(k->layer, why);
	return qc_fail_as(why, QC_CAUSE_KEY, -EACCES,
			    "encrypted (%s), and the key does not fit%s", name_of_encryption(k->layer),
			    newline ? " (it ends with a newline, which counts: printf %s writes "
				      "none)" : "");
}

/* Asks for passphrases until one fits. */
static qc_err ask_for_key(struct key_search *k, struct qc_reason *why)
{
	struct qc_context *ctx = k->layer->ctx;
	qc_err r = -EACCES;

	for (unsigned int i = 0; r == -EACCES; i++) {
		size_t n = 0;

		r = ctx->key && i < ATTEMPTS ?
			    ctx->key(ctx->key_arg, k->layer->path, i, k->pass, QC_KEY_MAX, &n) :
			    -ENOENT;
		if (r == -ENOENT)
			return fail_without_key(k, i, why);
		if (r)
			return qc_fail_as(why, QC_CAUSE_KEY, -EACCES,
					    "encrypted (%s), and its key cannot be read: %s",
					    name_of_encryption(k->layer), strerror(-r));
		k->pass_len = n;
		r = k->layer->head.crypt == CRYPT_LUKS ? try_luks(k) : make_legacy_key(k);
	}
	return r ? qc_fail_errno(why, r, "cannot unlock it") : 0;
}

static void warn_of_swappable_keys(struct qc_context *ctx)
{
	if (!qc_secure_all_locked() && !atomic_exchange(&ctx->warned_swappable_keys, true))
		qc_log(&ctx->log, QC_LOG_WARN, "keys may be swapped out: the limit of locked "
					       "memory (ulimit -l) is too low");
}

static qc_err set_crypt_state(struct key_search *k, struct qc_reason *why)
{
	qc_err r = qc_crypt_state_new(&k->luks.spec, k->key, k->layer->head.crypt == CRYPT_AES,
				      &k->layer->crypt);

	if (r)
		return qc_fail(why, r, "out of memory");
	warn_of_swappable_keys(k->layer->ctx);
	return 0;
}

qc_err qc_layer_key_find(struct qc_layer *l, struct qc_reason *why)
{
	struct key_search k = { .layer = l };
	AUTO_SECRET uint8_t *pass = qc_secure_alloc(QC_KEY_MAX);
	AUTO_SECRET uint8_t *key = qc_secure_alloc(QC_CIPHER_KEY_MAX);
	qc_err r = 0;

	k.pass = pass;
	k.key = key;
	if (!pass || !key)
		return qc_fail(why, -ENOMEM, "out of memory");
	if (l->head.crypt == CRYPT_LUKS)
		r = read_luks_header(&k, why);
	else
		qc_cipher_spec_aes_legacy(&k.luks.spec);
	if (!r)
		r = ask_for_key(&k, why);
	if (!r)
		r = set_crypt_state(&k, why);
	qc_secure_free(k.material);
	return r;
}
