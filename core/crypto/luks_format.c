/* SPDX-License-Identifier: MIT */
#include "crypto/luks_format.h"

#include <errno.h>
#include <gcrypt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/byteorder.h"
#include "base/range.h"
#include "crypto/secure_mem.h"
#include "format/qcow_layout.h"

enum {
	FIRST_MATERIAL_SECTOR = 8,
	MATERIAL_ALIGN_SECTORS = 8,
	ITERATIONS_MIN = 1000, /* as cryptsetup and QEMU have it */
	DIGEST_SHARE = 8,      /* the digest takes an eighth of a slot's iterations */
	PROBE_MS = 30,	       /* CPU time that measures the speed of PBKDF2 */
};

static uint32_t material_sectors(uint32_t key_bytes)
{
	return (uint32_t)round_up(div_up(key_bytes * UINT64_C(4000), SECTOR), MATERIAL_ALIGN_SECTORS);
}

uint64_t qc_luks_format_bytes(uint32_t key_bytes)
{
	return (FIRST_MATERIAL_SECTOR + LUKS_SLOTS * UINT64_C(1) * material_sectors(key_bytes)) *
	       SECTOR;
}

/* ---- iterations -------------------------------------------------------------------- */

static double cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Returns how many iterations take @ms of CPU time here: doubles a probe until it is long
 * enough to be measured. */
static uint32_t calibrate_iterations(int hash, size_t key_bytes, uint32_t ms)
{
	static const uint8_t any[LUKS_SALT] = "any";
	uint8_t out[QC_CIPHER_KEY_MAX];
	uint32_t n = ITERATIONS_MIN;
	double spent = 0;

	for (; n < LUKS_SLOT_ROUNDS / 2; n *= 2) {
		double began = cpu_ms();

		if (qc_luks_derive_key(hash, any, sizeof(any), any, n, out, key_bytes))
			return ITERATIONS_MIN;
		spent = cpu_ms() - began;
		if (spent >= (double)PROBE_MS)
			break;
	}
	if (spent > 0) {
		double blocks = (double)div_up(key_bytes, gcry_md_get_algo_dlen(hash));
		double most = LUKS_SLOT_ROUNDS / 2 / blocks; /* what qc_luks_parse() accepts */
		double want = (double)n * ms / spent;

		n = want > most ? (uint32_t)most : (uint32_t)want;
	}
	return n < ITERATIONS_MIN ? ITERATIONS_MIN : n;
}

/* ---- a slot ------------------------------------------------------------------------- */

static void put_slot(uint8_t *record, const struct qc_luks_slot *s)
{
	be32_to(record + LUKS_SLOT_STATE, s->active ? LUKS_SLOT_ON : LUKS_SLOT_OFF);
	be32_to(record + LUKS_SLOT_ITERATIONS, s->iterations);
	memcpy(record + LUKS_SLOT_SALT, s->salt, LUKS_SALT);
	be32_to(record + LUKS_SLOT_MATERIAL, (uint32_t)(s->key_offset / SECTOR));
	be32_to(record + LUKS_SLOT_STRIPES, LUKS_STRIPES);
}

qc_err qc_luks_format_slot(struct qc_luks *l, unsigned int slot, uint32_t iter_time_ms,
			 const uint8_t *pass, size_t pass_len, const uint8_t *key,
			 uint8_t *record, uint8_t *material)
{
	AUTO_SECRET uint8_t *slot_key = qc_secure_alloc(QC_CIPHER_KEY_MAX);
	struct qc_luks_slot *s = &l->slot[slot];
	size_t n = l->spec.key_bytes;
	qc_err r;

	if (!slot_key)
		return -ENOMEM;
	s->active = true;
	s->iterations = calibrate_iterations(l->hash, n, iter_time_ms);
	gcry_randomize(s->salt, LUKS_SALT, GCRY_STRONG_RANDOM);
	r = qc_luks_derive_key(l->hash, pass, pass_len, s->salt, s->iterations, slot_key, n);
	if (!r)
		r = qc_luks_af_split(l->hash, key, material, n, LUKS_STRIPES);
	if (!r)
		r = qc_luks_crypt_material(l, slot_key, material, true);
	if (!r)
		put_slot(record, s);
	return r;
}

/* ---- a header ------------------------------------------------------------------------ */

/* Writes a random UUID (RFC 4122, version 4). */
static void put_uuid(char *to)
{
	uint8_t u[16];

	gcry_create_nonce(u, sizeof(u));
	u[6] = (uint8_t)((u[6] & 0x0f) | 0x40);
	u[8] = (uint8_t)((u[8] & 0x3f) | 0x80);
	snprintf(to, LUKS_UUID_TEXT,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1],
		 u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14],
		 u[15]);
}

static qc_err parse_params(const struct qc_luks_params *p, struct qc_luks *l, struct qc_reason *why)
{
	*l = (struct qc_luks){ .hash = qc_cipher_hash_by_name(p->hash) };
	if (!l->hash)
		return qc_fail(why, -ENOTSUP, "unknown hash '%s'", p->hash);
	/* Key material is encrypted sector by sector. */
	if (!p->key_bytes || p->key_bytes > QC_CIPHER_KEY_MAX ||
	    p->key_bytes * LUKS_STRIPES % SECTOR ||
	    qc_cipher_spec_parse(p->cipher, p->mode, p->key_bytes, &l->spec))
		return qc_fail(why, -ENOTSUP, "unknown encryption '%s-%s' with %u bytes of key",
			       p->cipher, p->mode, p->key_bytes);
	for (uint32_t i = 0; i < LUKS_SLOTS; i++)
		l->slot[i].key_offset =
			(FIRST_MATERIAL_SECTOR + i * UINT64_C(1) * material_sectors(p->key_bytes)) *
			SECTOR;
	return 0;
}

static qc_err make_digest(struct qc_luks *l, const uint8_t *key, uint32_t iter_time_ms)
{
	uint32_t n = calibrate_iterations(l->hash, l->spec.key_bytes, iter_time_ms) / DIGEST_SHARE;

	l->digest_iterations = n < ITERATIONS_MIN ? ITERATIONS_MIN : n;
	gcry_randomize(l->digest_salt, LUKS_SALT, GCRY_STRONG_RANDOM);
	return qc_luks_derive_key(l->hash, key, l->spec.key_bytes, l->digest_salt,
				  l->digest_iterations, l->digest, LUKS_DIGEST);
}

static void put_luks_header(uint8_t *buf, const struct qc_luks_params *p, const struct qc_luks *l)
{
	memcpy(buf, LUKS_MAGIC, LUKS_MAGIC_BYTES);
	be16_to(buf + LUKS_AT_VERSION, 1);
	memcpy(buf + LUKS_AT_CIPHER, p->cipher, LUKS_TEXT);
	memcpy(buf + LUKS_AT_MODE, p->mode, LUKS_TEXT);
	memcpy(buf + LUKS_AT_HASH, p->hash, LUKS_TEXT);
	be32_to(buf + LUKS_AT_PAYLOAD, (uint32_t)(qc_luks_format_bytes(p->key_bytes) / SECTOR));
	be32_to(buf + LUKS_AT_KEY_BYTES, p->key_bytes);
	memcpy(buf + LUKS_AT_DIGEST, l->digest, LUKS_DIGEST);
	memcpy(buf + LUKS_AT_DIGEST_SALT, l->digest_salt, LUKS_SALT);
	be32_to(buf + LUKS_AT_ITERATIONS, l->digest_iterations);
	put_uuid((char *)buf + LUKS_AT_UUID);
	for (unsigned int i = 0; i < LUKS_SLOTS; i++)
		put_slot(buf + LUKS_AT_SLOTS + i * LUKS_SLOT_BYTES, &l->slot[i]);
}

qc_err qc_luks_format(const struct qc_luks_params *p, const uint8_t *pass, size_t pass_len,
		      uint8_t *area, uint8_t *key, struct qc_reason *why)
{
	AUTO_SECRET uint8_t *material = NULL;
	struct qc_luks l;
	qc_err r;

	qc_crypto_init();
	r = parse_params(p, &l, why);
	if (r)
		return r;
	material = qc_secure_alloc(qc_luks_key_material_bytes(&l));
	if (!material)
		return qc_fail_errno(why, -ENOMEM, NULL);
	gcry_randomize(key, p->key_bytes, GCRY_STRONG_RANDOM);
	memset(area, 0, qc_luks_format_bytes(p->key_bytes));
	r = make_digest(&l, key, p->iter_time_ms);
	if (!r)
		r = qc_luks_format_slot(&l, 0, p->iter_time_ms, pass, pass_len, key,
				      area + LUKS_AT_SLOTS, material);
	if (r)
		return qc_fail_errno(why, r, "cannot make a key slot");
	put_luks_header(area, p, &l);
	memcpy(area + l.slot[0].key_offset, material, qc_luks_key_material_bytes(&l));
	return 0;
}
