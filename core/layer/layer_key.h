/* SPDX-License-Identifier: MIT */
/*
 * layer_key.h - find the key of an encrypted layer.
 *
 * Called once, when the layer is opened.
 */
#ifndef QC_LAYER_KEY_H
#define QC_LAYER_KEY_H

#include "crypto/encrypted_io.h"
#include "base/log.h"

struct qc_layer;

/*
 * qc_layer_key_find() - ask the user for passphrases until one fits, and set l->crypt
 *
 * Context: takes seconds of processor time; the caller holds no lock.
 * Return: 0; -EACCES no passphrase fits; -EINVAL the LUKS header is damaged; -ENOTSUP its cipher
 *	is not known; -ENOMEM; an errno of the file
 */
qc_err qc_layer_key_find(struct qc_layer *l, struct qc_reason *why);

/* Fills @why with the reason that the user gave no key.  Return: -EACCES. */
qc_err qc_layer_key_missing(const struct qc_layer *l, struct qc_reason *why);

#endif
