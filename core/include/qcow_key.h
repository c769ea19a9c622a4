/* SPDX-License-Identifier: MIT */
/*
 * qcow_key.h - the part of qcow.h that changes the key slots of images encrypted with LUKS.
 *
 * Each slot in use holds the data key, encrypted with a passphrase.  All functions take an image
 * that was opened with QC_OPEN_WRITE, by any of its passphrases.  The guest data is neither read
 * nor written.  On failure @why has the reason.
 */
#ifndef QCOW_KEY_H
#define QCOW_KEY_H

#include "qcow.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { QC_KEY_SLOTS = 8, QC_KEY_SLOT_ANY = -1 };

/* A new passphrase. */
struct qc_new_key {
	int slot;	       /* 0 to 7; QC_KEY_SLOT_ANY: the first one that is free */
	const void *passphrase; /* secure memory */
	size_t len;
	unsigned int iter_time_ms; /* how long to try it takes here; 0: 2000 */
};

/*
 * qc_key_add() - make a passphrase open the image
 * @slot:  out: the slot that has it
 *
 * Takes iter_time_ms, and twice that to measure this processor.  The slot becomes active by one
 * write, after its key material is on stable storage: a crash leaves the slot free or complete.
 * Return: 0;
 *	-EROFS       the image was not opened with QC_OPEN_WRITE
 *	-EOPNOTSUPP  not encrypted with LUKS
 *	-EEXIST      the slot is in use
 *	-ENOSPC      no slot is free
 *	-EINVAL      no such slot; or the LUKS header is damaged
 *	-ENOMEM; else as write(2)
 */
qc_err qc_key_add(struct qc_image *img, const struct qc_new_key *key, unsigned int *slot,
		  struct qc_reason *why);

/*
 * qc_key_find() - find the slots that a passphrase opens
 * @pass:   @len bytes of secure memory
 * @slots:  out: bit i for slot i
 *
 * Takes as long as to try the passphrase on each slot in use.
 * Return: 0, also if there is none; -EOPNOTSUPP, -EINVAL as qc_key_add(); -ENOMEM; as read(2)
 */
qc_err qc_key_find(struct qc_image *img, const void *pass, size_t len, unsigned int *slots,
		   struct qc_reason *why);

/*
 * qc_key_remove() - make slots free, and overwrite their key material
 * @slots:  bit i for slot i
 * @last:   also if no slot in use is left: then no key opens the image, and its data is lost
 *
 * The slots are inactive on stable storage before their material is overwritten, several times
 * with random bytes.  A crash leaves each slot as it was, or free.
 * Return: 0; -EROFS, -EOPNOTSUPP, -EINVAL as qc_key_add();
 *	-ENOENT  a slot is not in use
 *	-EPERM   no slot in use would be left
 *	-ENOMEM; else as write(2)
 */
qc_err qc_key_remove(struct qc_image *img, unsigned int slots, bool last, struct qc_reason *why);

#ifdef __cplusplus
}
#endif
#endif
