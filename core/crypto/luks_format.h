/* SPDX-License-Identifier: MIT */
/*
 * luks_format.h - makes LUKS headers and key slots.
 *
 * Called when an encrypted image is created, and when a passphrase is added to one.  All
 * memory that holds keys or passphrases is secure memory (qc_secure_alloc()).
 */
#ifndef QC_LUKS_FORMAT_H
#define QC_LUKS_FORMAT_H

#include "crypto/luks.h"

/* How a new LUKS header encrypts. */
struct qc_luks_params {
	char cipher[LUKS_TEXT]; /* "aes", "serpent", "twofish" */
	char mode[LUKS_TEXT];	/* "xts-plain64", "cbc-essiv:sha256", ... */
	char hash[LUKS_TEXT];	/* of the key slots and the digest */
	uint32_t key_bytes;	/* of the data key; twice the cipher's for xts */
	uint32_t iter_time_ms;	/* how long one try of a passphrase takes here */
};

/* Returns the bytes of a LUKS header with the key material of all slots: slot i begins at
 * sector 8 + i * S, where S is the material rounded up to 4 KiB. */
uint64_t qc_luks_format_bytes(uint32_t key_bytes);

/*
 * qc_luks_format() - make a LUKS header with a random data key and one key slot
 * @area:  out: qc_luks_format_bytes() bytes, for the image file
 * @key:   out: the data key; QC_CIPHER_KEY_MAX bytes of secure memory
 *
 * Return: 0;
 *	-ENOTSUP  unknown cipher, mode or hash, or a key size that they do not have
 *	-ENOMEM
 */
qc_err qc_luks_format(const struct qc_luks_params *p, const uint8_t *pass, size_t pass_len,
		      uint8_t *area, uint8_t *key, struct qc_reason *why);

/*
 * qc_luks_format_slot() - make a key slot that a passphrase opens
 * @l:         of the header; @l->slot[slot] is overwritten, its key_offset is kept
 * @key:       the data key
 * @record:    out: the slot of the header, LUKS_SLOT_BYTES, active
 * @material:  out: its key material, encrypted; secure memory
 *
 * Write and sync @material before @record, so that an active slot is never half written.
 * Return: 0; -ENOMEM; -EACCES libgcrypt refuses the passphrase
 */
qc_err qc_luks_format_slot(struct qc_luks *l, unsigned int slot, uint32_t iter_time_ms,
			 const uint8_t *pass, size_t pass_len, const uint8_t *key,
			 uint8_t *record, uint8_t *material);

#endif
