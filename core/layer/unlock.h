/* SPDX-License-Identifier: MIT */
/*
 * unlock.h - an encrypted layer -> the key of its data.
 */
#ifndef QC_UNLOCK_H
#define QC_UNLOCK_H

#include "crypto/encrypted_io.h"
#include "base/log.h"

struct qc_layer;

/* Asks for passphrases until one fits, and sets l->crypt.  -EACCES there is
 * none.  It may take seconds: no lock is to be held. */
qc_err qc_unlock_layer(struct qc_layer *l, struct qc_reason *why);

/* Says that there is none. */
qc_err qc_unlock_no_key(const struct qc_layer *l, struct qc_reason *why);

#endif
