/* SPDX-License-Identifier: MIT */
/*
 * secure_mem.h - memory for keys.
 *
 * It is locked, so that it is not swapped out; left out of core dumps; nothing in
 * a child; and wiped when it is given back.  libgcrypt takes from it, too, what it
 * needs for contexts that hold keys.  qc_secure_alloc and qc_secure_free, which
 * others than the core use, are in qcow.h.
 */
#ifndef QC_SECURE_MEM_H
#define QC_SECURE_MEM_H

#include "base/util.h"

/* Once before libgcrypt is used; later calls do nothing. */
void qc_crypto_init(void);

/* Whether all of it so far could be locked. */
bool qc_secure_all_locked(void);

/* Whether the pointer is into that memory. */
bool qc_secure_contains(const void *p);

/* Frees what the pointer holds when its scope ends. */
#define AUTO_SECRET __attribute__((cleanup(qc_auto_secure)))
static inline void qc_auto_secure(void *p)
{
	qc_secure_free(*(void **)p);
}

#endif
