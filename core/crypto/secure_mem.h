/* SPDX-License-Identifier: MIT */
/*
 * secure_mem.h - memory for keys and passphrases.
 *
 * Secure memory is locked, so that it is not swapped out.  It is left out of core dumps,
 * is zeros in a child process, and is wiped when it is freed.  libgcrypt also uses it,
 * for contexts with keys.  qc_secure_alloc() and qc_secure_free() are in qcow.h.
 */
#ifndef QC_SECURE_MEM_H
#define QC_SECURE_MEM_H

#include "base/util.h"

/* Initializes libgcrypt.  Every user of libgcrypt calls this before; repeated calls do
 * nothing. */
void qc_crypto_init(void);

/* Returns true if all secure memory could be locked so far. */
bool qc_secure_all_locked(void);

/* Returns true if the pointer is into secure memory. */
bool qc_secure_contains(const void *p);

/* Calls qc_secure_free() on the pointer at the end of its scope. */
#define AUTO_SECRET __attribute__((cleanup(qc_auto_secure)))
static inline void qc_auto_secure(void *p)
{
	qc_secure_free(*(void **)p);
}

#endif
