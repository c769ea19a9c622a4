/* SPDX-License-Identifier: MIT */
/*
 * luks.h - bytes of a LUKS header -> what it says; and a passphrase -> the key of
 * the data.
 *
 * As qc_header_parse, this is a border: every number is checked here.  How long
 * a header can keep us busy is bounded, too: it counts in rounds of PBKDF2.
 */
#ifndef QC_LUKS_H
#define QC_LUKS_H

#include "crypto/cipher.h"
#include "format/qcow_layout.h"
#include "base/log.h"

enum {
	LUKS_SLOT_ROUNDS = 1 << 26, /* most for one slot; ours */
	LUKS_ALL_ROUNDS = 1 << 28,  /* most for all of them; ours */
};

struct qc_luks_slot {
	bool active;
	uint32_t iterations;
	uint8_t salt[LUKS_SALT];
	uint64_t material; /* offset of its bytes, from the header on */
};

struct qc_luks {
	struct qc_cipher_spec spec;
	int hash;
	uint8_t digest[LUKS_DIGEST], digest_salt[LUKS_SALT];
	uint32_t digest_iterations;
	struct qc_luks_slot slot[LUKS_SLOTS];
};

/* Of a header that has `len` bytes, with what belongs to it; buf holds LUKS_BYTES
 * of them.  -EINVAL impossible, -ENOTSUP a cipher or hash that is not known. */
qc_err qc_luks_parse(const uint8_t *buf, uint64_t len, struct qc_luks *l,
		     struct qc_reason *why);

/* Bytes of the material of each slot. */
static inline size_t qc_luks_key_material_bytes(const struct qc_luks *l)
{
	return l->spec.key_bytes * LUKS_STRIPES;
}

/* Rounds of PBKDF2 that it takes to try a slot: none of one that is off. */
uint64_t qc_luks_iterations(const struct qc_luks *l, unsigned int slot);

/* Whether so many of them take longer than about a second: tries some, for a few
 * milliseconds of many. */
bool qc_luks_is_slow(const struct qc_luks *l, uint64_t rounds);

/* Whether the passphrase opens the slot, whose material (memory for secrets, as
 * all here) is lost.  `key` has QC_CIPHER_KEY_MAX bytes.  -EACCES if not. */
qc_err qc_luks_open_slot(const struct qc_luks *l, unsigned int slot, uint8_t *material,
			 const uint8_t *pass, size_t pass_len, uint8_t *key);

/* Merges `stripes` stripes of n bytes into the last. */
void qc_luks_af_merge(int hash, uint8_t *material, size_t n, size_t stripes);

#endif
