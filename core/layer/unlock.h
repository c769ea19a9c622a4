/* SPDX-License-Identifier: MIT */
/*
 * unlock.h - find the key of an encrypted layer.
 *
 * Called once, when the layer is opened.
 */
#ifndef QC_UNLOCK_H
#define QC_UNLOCK_H

#include "crypto/encrypted_io.h"
#include "base/log.h"

struct qc_layer;

/*
 * qc_unlock_layer() - ask the user for passphrases until one fits, and set l->crypt
 *
 * Context: takes seconds of processor time; the caller holds no lock.
 * Return: 0; -EACCES no passphrase fits; -EINVAL the LUKS header is damaged; -ENOTSUP its cipher
 *	is not known; -ENOMEM; an errno of the file
 */
qc_err qc_unlock_layer(struct qc_layer *l, struct qc_reason *why);

/* Fills @why with the reason that the user gave no key.  Return: -EACCES. */
qc_err qc_unlock_no_key(const struct qc_layer *l, struct qc_reason *why);

#endif
