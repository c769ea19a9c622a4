/* SPDX-License-Identifier: MIT */
/*
 * luks.c - version 1 of LUKS, as images have it: not for the data, whose place
 * the image's own tables know, but for its key.
 *
 * The key of the data stands in each of eight slots: split into 4000 stripes that
 * are worth nothing unless all are there, and enciphered with a key that is made
 * out of a passphrase, the slower the better (PBKDF2).  Whether it is the right
 * one is told by a digest of it.
 */
#include "crypto/luks.h"

#include <errno.h>
#include <gcrypt.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/byteorder.h"
#include "base/range.h"
#include "crypto/secure_mem.h"

enum { PROBE_ROUNDS = 4096 };

/* ---- the header ------------------------------------------------------------- */

static qc_err take_text(const char *what, const uint8_t *at, char *to, struct qc_reason *why)
{
	if (!memchr(at, 0, LUKS_TEXT))
		return qc_fail(why, -EINVAL, "LUKS header: the %s has no end", what);
	memcpy(to, at, LUKS_TEXT);
	return 0;
}

static qc_err parse_cipher_spec(const uint8_t *buf, struct qc_luks *l, struct qc_reason *why)
{
	char cipher[LUKS_TEXT], mode[LUKS_TEXT], hash[LUKS_TEXT];
	uint32_t key_bytes = be32_at(buf + LUKS_AT_KEY_BYTES);
	qc_err r = take_text("cipher", buf + LUKS_AT_CIPHER, cipher, why);

	if (!r)
		r = take_text("cipher mode", buf + LUKS_AT_MODE, mode, why);
	if (!r)
		r = take_text("hash", buf + LUKS_AT_HASH, hash, why);
	if (r)
		return r;
	l->hash = qc_cipher_hash_by_name(hash);
	if (!l->hash)
		return qc_fail(why, -ENOTSUP, "LUKS header: unknown hash '%s'", hash);
	/* The material must be whole sectors. */
	if (!key_bytes || key_bytes > QC_CIPHER_KEY_MAX || key_bytes * LUKS_STRIPES % SECTOR)
		return qc_fail(why, -EINVAL, "LUKS header: a key of %u bytes is impossible",
				 key_bytes);
	if (qc_cipher_spec_parse(cipher, mode, key_bytes, &l->spec))
		return qc_fail(why, -ENOTSUP,
				 "LUKS header: unknown encryption '%s-%s' with %u bytes of key", cipher,
				 mode, key_bytes);
	return 0;
}

static bool is_apart(const struct qc_luks *l, unsigned int i)
{
	uint64_t n = qc_luks_key_material_bytes(l);

	for (unsigned int k = 0; k < i; k++)
		if (l->slot[k].active &&
		    range_overlap(l->slot[k].material, n, l->slot[i].material, n))
			return false;
	return true;
}

static qc_err parse_slot(const uint8_t *p, uint64_t len, unsigned int i, struct qc_luks *l,
			 struct qc_reason *why)
{
	struct qc_luks_slot *s = &l->slot[i];
	uint32_t state = be32_at(p + LUKS_SLOT_STATE), stripes = be32_at(p + LUKS_SLOT_STRIPES);

	if (state != LUKS_SLOT_ON && state != LUKS_SLOT_OFF)
		return qc_fail(why, -EINVAL, "LUKS header: key slot %u has the state 0x%08x", i,
				 state);
	s->active = state == LUKS_SLOT_ON;
	if (!s->active)
		return 0;
	s->iterations = be32_at(p + LUKS_SLOT_ITERATIONS);
	memcpy(s->salt, p + LUKS_SLOT_SALT, LUKS_SALT);
	s->material = (uint64_t)be32_at(p + LUKS_SLOT_MATERIAL) * SECTOR;
	if (stripes != LUKS_STRIPES)
		return qc_fail(why, -EINVAL, "LUKS header: key slot %u has %u stripes", i, stripes);
	if (!s->iterations)
		return qc_fail(why, -EINVAL, "LUKS header: key slot %u has no iterations", i);
	if (s->material < LUKS_BYTES || !range_inside(s->material, qc_luks_key_material_bytes(l), len))
		return qc_fail(why, -EINVAL,
				 "LUKS header: the material of key slot %u lies outside", i);
	if (!is_apart(l, i))
		return qc_fail(why, -EINVAL,
				 "LUKS header: the material of key slot %u overlaps another", i);
	return 0;
}

/* A block of PBKDF2 has the size of the hash. */
static uint64_t rounds(const struct qc_luks *l, uint32_t iterations, size_t bytes)
{
	return iterations * div_up(bytes, gcry_md_get_algo_dlen(l->hash));
}

/* What comes out is compared with the digest, whatever it is. */
uint64_t qc_luks_iterations(const struct qc_luks *l, unsigned int slot)
{
	const struct qc_luks_slot *s = &l->slot[slot];

	return s->active ? rounds(l, l->digest_iterations, LUKS_DIGEST) +
				   rounds(l, s->iterations, l->spec.key_bytes) : 0;
}

static qc_err check_work(const struct qc_luks *l, struct qc_reason *why)
{
	uint64_t all = 0;

	for (unsigned int i = 0; i < LUKS_SLOTS; i++) {
		uint64_t n = qc_luks_iterations(l, i);

		if (n > LUKS_SLOT_ROUNDS)
			return qc_fail(why, -EINVAL, "LUKS header: key slot %u wants %" PRIu64
					 " rounds of PBKDF2, more than %d", i, n, LUKS_SLOT_ROUNDS);
		all += n;
	}
	if (all > LUKS_ALL_ROUNDS)
		return qc_fail(why, -EINVAL, "LUKS header: its key slots want %" PRIu64
				 " rounds of PBKDF2, more than %d", all, LUKS_ALL_ROUNDS);
	return 0;
}

qc_err qc_luks_parse(const uint8_t *buf, uint64_t len, struct qc_luks *l, struct qc_reason *why)
{
	qc_err r;

	memset(l, 0, sizeof(*l));
	if (len < LUKS_BYTES)
		return qc_fail(why, -EINVAL, "a LUKS header of %" PRIu64 " bytes", len);
	if (memcmp(buf, LUKS_MAGIC, LUKS_MAGIC_BYTES))
		return qc_fail(why, -EINVAL, "LUKS header: it is none");
	if (be16_at(buf + LUKS_AT_VERSION) != 1)
		return qc_fail(why, -ENOTSUP, "LUKS header: unknown version %u",
				 be16_at(buf + LUKS_AT_VERSION));
	r = parse_cipher_spec(buf, l, why);
	memcpy(l->digest, buf + LUKS_AT_DIGEST, LUKS_DIGEST);
	memcpy(l->digest_salt, buf + LUKS_AT_DIGEST_SALT, LUKS_SALT);
	l->digest_iterations = be32_at(buf + LUKS_AT_ITERATIONS);
	if (!r && !l->digest_iterations)
		r = qc_fail(why, -EINVAL, "LUKS header: its digest has no iterations");
	for (unsigned int i = 0; !r && i < LUKS_SLOTS; i++)
		r = parse_slot(buf + LUKS_AT_SLOTS + i * LUKS_SLOT_BYTES, len, i, l, why);
	return r ? r : check_work(l, why);
}

/* ---- a slot ----------------------------------------------------------------- */

/* Replaces each piece of a stripe, as long as a hash, by the hash of its number
 * and itself; the last may be shorter. */
static void diffuse(int hash, uint8_t *stripe, size_t n)
{
	size_t size = gcry_md_get_algo_dlen(hash);
	uint8_t out[64], number[4];

	for (size_t at = 0, k = 0; at < n; at += size, k++) {
		size_t part = (size_t)min_u64(size, n - at);
		gcry_buffer_t in[] = {
			{ .data = number, .len = sizeof(number) },
			{ .data = stripe + at, .len = part },
		};

		be32_to(number, (uint32_t)k);
		gcry_md_hash_buffers(hash, 0, out, in, 2);
		memcpy(stripe + at, out, part);
	}
	explicit_bzero(out, sizeof(out));
}

void qc_luks_af_merge(int hash, uint8_t *material, size_t n, size_t stripes)
{
	for (size_t i = 0; i + 1 < stripes; i++, material += n) {
		diffuse(hash, material, n);
		for (size_t k = 0; k < n; k++)
			material[n + k] ^= material[k];
	}
}

static qc_err derive(int hash, const uint8_t *pass, size_t n, const uint8_t *salt,
		     uint32_t iterations, uint8_t *out, size_t want)
{
	gcry_error_t e = gcry_kdf_derive(pass, n, GCRY_KDF_PBKDF2, hash, salt, LUKS_SALT,
					 iterations, want, out);

	return !e ? 0 : gcry_err_code(e) == GPG_ERR_ENOMEM ? -ENOMEM : -EACCES;
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

bool qc_luks_is_slow(const struct qc_luks *l, uint64_t rounds)
{
	static const uint8_t any[LUKS_SALT] = "any";
	uint8_t out[1];
	double began = now_s();

	/* As many as would not matter. */
	if (rounds < 32 * PROBE_ROUNDS || derive(l->hash, any, 3, any, PROBE_ROUNDS, out, sizeof(out)))
		return false;
	return (now_s() - began) / (double)PROBE_ROUNDS * (double)rounds > 1;
}

static qc_err decipher(const struct qc_luks *l, const uint8_t *key, uint8_t *material)
{
	struct qc_cipher_pool *c;
	struct qc_cipher *x;
	qc_err r = qc_cipher_pool_new(&l->spec, key, &c);

	if (r)
		return r;
	x = qc_cipher_get(c);
	r = x ? qc_cipher_decrypt(x, 0, material, qc_luks_key_material_bytes(l)) : -ENOMEM;
	if (x)
		qc_cipher_put(c, x);
	qc_cipher_pool_free(c);
	return r;
}

static qc_err check_digest(const struct qc_luks *l, const uint8_t *key)
{
	AUTO_SECRET uint8_t *digest = qc_secure_alloc(LUKS_DIGEST);
	qc_err r = digest ? derive(l->hash, key, l->spec.key_bytes, l->digest_salt,
				   l->digest_iterations, digest, LUKS_DIGEST) : -ENOMEM;

	if (r)
		return r;
	return memcmp(digest, l->digest, LUKS_DIGEST) ? -EACCES : 0;
}

qc_err qc_luks_open_slot(const struct qc_luks *l, unsigned int slot, uint8_t *material,
			 const uint8_t *pass, size_t pass_len, uint8_t *key)
{
	const struct qc_luks_slot *s = &l->slot[slot];
	size_t n = l->spec.key_bytes;
	qc_err r = derive(l->hash, pass, pass_len, s->salt, s->iterations, key, n);

	if (!r)
		r = decipher(l, key, material);
	if (r)
		return r;
	qc_luks_af_merge(l->hash, material, n, LUKS_STRIPES);
	memcpy(key, material + (LUKS_STRIPES - 1) * n, n);
	return check_digest(l, key);
}
