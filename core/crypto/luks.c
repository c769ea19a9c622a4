/* SPDX-License-Identifier: MIT */
/*
 * luks.c - LUKS version 1, as images use it: for the key of the data only.
 *
 * Each of eight key slots holds the data key: split into 4000 stripes, which are useless
 * unless all of them are there, and encrypted with a key derived from a passphrase.  The
 * derivation (PBKDF2) is slow on purpose.  A digest of the data key in the header tells
 * whether a passphrase was right.
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
#include "format/luks_header.h"
#include "format/qcow_layout.h"

enum { PROBE_ITERATIONS = 4096 };

/* ---- the header ------------------------------------------------------------- */

static qc_err check_luks_text(const char *field, const char *text, struct qc_reason *why)
{
	if (strlen(text) < LUKS_TEXT)
		return 0;
	return qc_fail(why, -EINVAL, "LUKS header: the %s has no terminating NUL", field);
}

static qc_err parse_cipher_spec(const struct qc_luks_header *h, struct qc_luks *l,
				struct qc_reason *why)
{
	qc_err r = check_luks_text("cipher", h->cipher, why);

	if (!r)
		r = check_luks_text("cipher mode", h->mode, why);
	if (!r)
		r = check_luks_text("hash", h->hash, why);
	if (r)
		return r;
	l->hash = qc_cipher_hash_by_name(h->hash);
	if (!l->hash)
		return qc_fail(why, -ENOTSUP, "LUKS header: unknown hash '%s'", h->hash);
	/* Key material is decrypted sector by sector. */
	if (!h->key_bytes || h->key_bytes > QC_CIPHER_KEY_MAX ||
	    h->key_bytes * LUKS_STRIPES % SECTOR)
		return qc_fail(why, -EINVAL, "LUKS header: a key of %u bytes is impossible",
			       h->key_bytes);
	if (qc_cipher_spec_parse(h->cipher, h->mode, h->key_bytes, &l->spec))
		return qc_fail(why, -ENOTSUP,
			       "LUKS header: unknown encryption '%s-%s' with %u bytes of key",
			       h->cipher, h->mode, h->key_bytes);
	return 0;
}

/* Returns true if the key material of slot @i overlaps that of no slot before it. */
static bool has_own_material(const struct qc_luks *l, unsigned int i)
{
	uint64_t n = qc_luks_key_material_bytes(l);

	for (unsigned int k = 0; k < i; k++)
		if (l->slot[k].active &&
		    range_overlap(l->slot[k].key_offset, n, l->slot[i].key_offset, n))
			return false;
	return true;
}

static qc_err check_luks_slot(const struct qc_luks_header_slot *from, uint64_t len,
			      unsigned int i, struct qc_luks *l, struct qc_reason *why)
{
	struct qc_luks_slot *s = &l->slot[i];

	if (from->state != LUKS_SLOT_ON && from->state != LUKS_SLOT_OFF)
		return qc_fail(why, -EINVAL, "LUKS header: key slot %u has the state 0x%08x", i,
			       from->state);
	s->active = from->state == LUKS_SLOT_ON;
	if (!s->active)
		return 0;
	s->iterations = from->iterations;
	s->key_offset = from->key_offset;
	memcpy(s->salt, from->salt, LUKS_SALT);
	if (from->stripes != LUKS_STRIPES)
		return qc_fail(why, -EINVAL, "LUKS header: key slot %u has %u stripes, not %u", i,
			       from->stripes, LUKS_STRIPES);
	if (!s->iterations)
		return qc_fail(why, -EINVAL, "LUKS header: key slot %u has no iterations", i);
	if (s->key_offset < LUKS_BYTES ||
	    !range_inside(s->key_offset, qc_luks_key_material_bytes(l), len))
		return qc_fail(why, -EINVAL, "LUKS header: the key material of slot %u, at 0x%"
			       PRIx64 ", is outside of the %" PRIu64 " bytes of the header", i,
			       s->key_offset, len);
	if (!has_own_material(l, i))
		return qc_fail(why, -EINVAL,
			       "LUKS header: the key material of slot %u overlaps another", i);
	return 0;
}

/* Returns the hash blocks that PBKDF2 computes for @bytes bytes.  A block is as long as
 * the hash, and takes @iterations each. */
static uint64_t count_iterations(const struct qc_luks *l, uint32_t iterations, size_t bytes)
{
	return iterations * div_up(bytes, gcry_md_get_algo_dlen(l->hash));
}

/* A candidate key is always compared with the digest, which takes iterations, too. */
uint64_t qc_luks_iterations(const struct qc_luks *l, unsigned int slot)
{
	const struct qc_luks_slot *s = &l->slot[slot];

	if (!s->active)
		return 0;
	return count_iterations(l, l->digest_iterations, LUKS_DIGEST) +
	       count_iterations(l, s->iterations, l->spec.key_bytes);
}

static qc_err check_unlock_cost(const struct qc_luks *l, struct qc_reason *why)
{
	uint64_t all = 0;

	for (unsigned int i = 0; i < LUKS_SLOTS; i++) {
		uint64_t n = qc_luks_iterations(l, i);

		if (n > LUKS_SLOT_ROUNDS)
			return qc_fail(why, -EINVAL, "LUKS header: key slot %u needs %" PRIu64
				       " rounds of PBKDF2, more than %d", i, n, LUKS_SLOT_ROUNDS);
		all += n;
	}
	if (all > LUKS_ALL_ROUNDS)
		return qc_fail(why, -EINVAL, "LUKS header: the key slots need %" PRIu64
			       " rounds of PBKDF2, more than %d", all, LUKS_ALL_ROUNDS);
	return 0;
}

static qc_err parse_luks_v1(const uint8_t *buf, struct qc_luks_header *h, struct qc_reason *why)
{
	if (qc_luks_header_parse(buf, LUKS_BYTES, h))
		return qc_fail(why, -EINVAL, "LUKS header: the magic number is missing");
	if (h->version != 1)
		return qc_fail(why, -ENOTSUP, "LUKS header: unknown version %u", h->version);
	return 0;
}

qc_err qc_luks_parse(const uint8_t *buf, uint64_t len, struct qc_luks *l, struct qc_reason *why)
{
	struct qc_luks_header h;
	qc_err r;

	memset(l, 0, sizeof(*l));
	if (len < LUKS_BYTES)
		return qc_fail(why, -EINVAL, "LUKS header: %" PRIu64 " bytes are too few", len);
	r = parse_luks_v1(buf, &h, why);
	if (!r)
		r = parse_cipher_spec(&h, l, why);
	if (r)
		return r;
	memcpy(l->digest, h.digest, LUKS_DIGEST);
	memcpy(l->digest_salt, h.digest_salt, LUKS_SALT);
	l->digest_iterations = h.digest_iterations;
	if (!l->digest_iterations)
		return qc_fail(why, -EINVAL, "LUKS header: the digest has no iterations");
	for (unsigned int i = 0; !r && i < LUKS_SLOTS; i++)
		r = check_luks_slot(&h.slot[i], len, i, l, why);
	return r ? r : check_unlock_cost(l, why);
}

/* ---- a slot ----------------------------------------------------------------- */

/* Replaces each piece of a stripe by the hash of the piece's number and the piece.  A
 * piece is as long as the hash; the last one may be shorter. */
static void hash_stripe(int hash, uint8_t *stripe, size_t n)
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

qc_err qc_luks_af_split(int hash, const uint8_t *key, uint8_t *material, size_t n,
			size_t stripes)
{
	AUTO_SECRET uint8_t *sum = qc_secure_alloc(n);
	uint8_t *last = material + (stripes - 1) * n;

	if (!sum)
		return -ENOMEM;
	/* The running sum of qc_luks_af_merge(), which must end with the key. */
	gcry_randomize(material, (stripes - 1) * n, GCRY_STRONG_RANDOM);
	for (const uint8_t *s = material; s < last; s += n) {
		for (size_t k = 0; k < n; k++)
			sum[k] ^= s[k];
		hash_stripe(hash, sum, n);
	}
	for (size_t k = 0; k < n; k++)
		last[k] = sum[k] ^ key[k];
	return 0;
}

void qc_luks_af_merge(int hash, uint8_t *material, size_t n, size_t stripes)
{
	for (size_t i = 0; i + 1 < stripes; i++, material += n) {
		hash_stripe(hash, material, n);
		for (size_t k = 0; k < n; k++)
			material[n + k] ^= material[k];
	}
}

qc_err qc_luks_derive_key(int hash, const uint8_t *pass, size_t n, const uint8_t *salt,
			  uint32_t iterations, uint8_t *out, size_t want)
{
	gcry_error_t e = gcry_kdf_derive(pass, n, GCRY_KDF_PBKDF2, hash, salt, LUKS_SALT,
					 iterations, want, out);

	return !e ? 0 : gcry_err_code(e) == GPG_ERR_ENOMEM ? -ENOMEM : -EACCES;
}

static double thread_cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

bool qc_luks_is_slow(const struct qc_luks *l, uint64_t iterations)
{
	static const uint8_t any[LUKS_SALT] = "any";
	uint8_t out[1];
	double began = thread_cpu_seconds();

	/* The probe would take a good part of the time of so few iterations. */
	if (iterations < 32 * PROBE_ITERATIONS ||
	    qc_luks_derive_key(l->hash, any, 3, any, PROBE_ITERATIONS, out, sizeof(out)))
		return false;
	return (thread_cpu_seconds() - began) / (double)PROBE_ITERATIONS * (double)iterations > 1;
}

qc_err qc_luks_crypt_material(const struct qc_luks *l, const uint8_t *key, uint8_t *material,
			      bool encrypt)
{
	size_t n = qc_luks_key_material_bytes(l);
	struct qc_cipher_pool *c;
	struct qc_cipher *x;
	qc_err r = qc_cipher_pool_new(&l->spec, key, &c);

	if (r)
		return r;
	x = qc_cipher_get(c);
	if (!x)
		r = -ENOMEM;
	else if (encrypt)
		r = qc_cipher_encrypt(x, 0, material, material, n);
	else
		r = qc_cipher_decrypt(x, 0, material, n);
	if (x)
		qc_cipher_put(c, x);
	qc_cipher_pool_free(c);
	return r;
}

static qc_err compare_digest(const struct qc_luks *l, const uint8_t *key)
{
	AUTO_SECRET uint8_t *digest = qc_secure_alloc(LUKS_DIGEST);
	qc_err r = digest ? qc_luks_derive_key(l->hash, key, l->spec.key_bytes, l->digest_salt,
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
	qc_err r = qc_luks_derive_key(l->hash, pass, pass_len, s->salt, s->iterations, key, n);

	if (!r)
		r = qc_luks_crypt_material(l, key, material, false);
	if (r)
		return r;
	qc_luks_af_merge(l->hash, material, n, LUKS_STRIPES);
	memcpy(key, material + (LUKS_STRIPES - 1) * n, n);
	return compare_digest(l, key);
}
