/* SPDX-License-Identifier: MIT */
/*
 * fd_reserve.h - keep some descriptors free for listings, attributes and open files.
 *
 * An image and its chain take many descriptors and keep them.  Opening one fails before the
 * last descriptors are gone, so that requests which need one for a moment still work.
 */
#ifndef FD_RESERVE_H
#define FD_RESERVE_H

#include <stdbool.h>

/* Returns true if opening another image now would use descriptors of the reserve. */
bool fd_reserve_is_low(void);

#endif
