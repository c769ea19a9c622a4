/* SPDX-License-Identifier: MIT */
/*
 * unlock.h - an encrypted layer -> the key of its data.
 */
#ifndef QC_UNLOCK_H
#define QC_UNLOCK_H

#include "crypto/cipher.h"
#include "crypto/sector_lock.h"
#include "base/log.h"

struct qc_layer;

/* What an encrypted layer has once it is open. */
struct qc_crypt_state {
	struct qc_cipher_pool *ciphers;
	bool iv_from_guest_offset; /* sectors are counted as the guest does, not as the file */
	struct qc_sector_locks sector_locks; /* of the file that holds the data */
};

/* Asks for passphrases until one fits, and sets l->unlocked.  -EACCES there is
 * none.  It may take seconds: no lock is to be held. */
qc_err qc_unlock_layer(struct qc_layer *l, struct qc_reason *why);

/* Says that there is none. */
qc_err qc_unlock_no_key(const struct qc_layer *l, struct qc_reason *why);

void qc_crypt_state_free(struct qc_crypt_state *u); /* NULL is fine */

#endif
