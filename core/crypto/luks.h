/* SPDX-License-Identifier: MIT */
/*
 * luks.h - checks a LUKS header, and opens its key slots with a passphrase.
 *
 * Called by layer/layer_key.c.  A LUKS header is hostile: qc_luks_parse() checks every field
 * that is used later.  It also bounds the time that a header can cost: the work of all
 * key slots, counted in iterations of PBKDF2.
 */
#ifndef QC_LUKS_H
#define QC_LUKS_H

#include "crypto/cipher.h"
#include "format/luks_layout.h"
#include "base/log.h"

enum {
	LUKS_SLOT_ROUNDS = 1 << 26, /* most PBKDF2 iterations for one slot; our limit */
	LUKS_ALL_ROUNDS = 1 << 28,  /* most for all of them; our limit */
};

struct qc_luks_slot {
	bool active; /* else the rest is not set */
	uint32_t iterations;
	uint8_t salt[LUKS_SALT];
	uint64_t key_offset; /* bytes from the header to the key material */
};

struct qc_luks {
	struct qc_cipher_spec spec; /* of the data and of the key material */
	int hash;		    /* libgcrypt's number */
	uint8_t digest[LUKS_DIGEST], digest_salt[LUKS_SALT];
	uint32_t digest_iterations;
	struct qc_luks_slot slot[LUKS_SLOTS];
};

/*
 * qc_luks_parse() - decode and check a LUKS header
 * @buf:  its first LUKS_BYTES bytes
 * @len:  bytes of the header with all key material, as the image states them
 *
 * Return: 0;
 *	-EINVAL   a field is impossible, or the slots cost too much time
 *	-ENOTSUP  unknown version, cipher or hash
 */
qc_err qc_luks_parse(const uint8_t *buf, uint64_t len, struct qc_luks *l,
		     struct qc_reason *why);

/* Returns the bytes of the key material of each slot: the key, split into stripes. */
static inline size_t qc_luks_key_material_bytes(const struct qc_luks *l)
{
	return l->spec.key_bytes * LUKS_STRIPES;
}

/* Returns how many times PBKDF2 computes a hash block to try a slot; 0 if the slot is off. */
uint64_t qc_luks_iterations(const struct qc_luks *l, unsigned int slot);

/* Returns true if that many iterations take longer than about a second.  Measures a few
 * thousand of them, which takes milliseconds. */
bool qc_luks_is_slow(const struct qc_luks *l, uint64_t iterations);

/*
 * qc_luks_open_slot() - try a passphrase on an active slot
 * @material:  key material of the slot, as in the file; overwritten
 * @key:       out: the data key; QC_CIPHER_KEY_MAX bytes
 *
 * @material, @pass and @key must be secure memory.
 * Return: 0; -EACCES the passphrase does not fit; -ENOMEM
 */
qc_err qc_luks_open_slot(const struct qc_luks *l, unsigned int slot, uint8_t *material,
			 const uint8_t *pass, size_t pass_len, uint8_t *key);

/*
 * qc_luks_derive_key() - PBKDF2 over a passphrase or key, with a salt of LUKS_SALT bytes
 *
 * Return: 0; -ENOMEM; -EACCES libgcrypt refuses the input
 */
qc_err qc_luks_derive_key(int hash, const uint8_t *pass, size_t n, const uint8_t *salt,
			  uint32_t iterations, uint8_t *out, size_t want);

/* Encrypts or decrypts the key material of a slot, in place, with the key that is derived from its
 * passphrase.  Return: 0; -ENOMEM; -EIO */
qc_err qc_luks_crypt_material(const struct qc_luks *l, const uint8_t *key, uint8_t *material,
			      bool encrypt);

/* Splits a key of @n bytes into @stripes random stripes (AF_split of the LUKS1
 * specification): all of them together give the key again.  @key and @material must be secure
 * memory. */
qc_err qc_luks_af_split(int hash, const uint8_t *key, uint8_t *material, size_t n,
			size_t stripes);

/* Merges @stripes stripes of @n bytes into the last one (AF_merge of the LUKS1
 * specification).  @hash is libgcrypt's number. */
void qc_luks_af_merge(int hash, uint8_t *material, size_t n, size_t stripes);

#endif
