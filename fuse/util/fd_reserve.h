/* SPDX-License-Identifier: MIT */
/*
 * fd_reserve.h - some descriptors are left for what takes few, and not for long: listings,
 * attributes, those who read what is open.
 */
#ifndef FD_RESERVE_H
#define FD_RESERVE_H

#include <stdbool.h>

/* Whether an image that is opened now would take of them. */
bool fd_reserve_is_low(void);

#endif
