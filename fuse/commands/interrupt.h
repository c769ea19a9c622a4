/* SPDX-License-Identifier: MIT */
/* interrupt.h - signals that end a long command: it stops in order, and cleans up. */
#ifndef INTERRUPT_H
#define INTERRUPT_H

#include <stdbool.h>

/* Catches SIGINT, SIGTERM and SIGHUP from now on, unless they are ignored. */
void interrupt_catch(void);

/* Returns true if one of them has come. */
bool interrupt_has_come(void);

#endif
