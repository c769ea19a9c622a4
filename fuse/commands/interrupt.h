/* SPDX-License-Identifier: MIT */
/* interrupt.h - signals that end a long command: it stops in order, and cleans up. */
#ifndef INTERRUPT_H
#define INTERRUPT_H

#include <stdbool.h>
#include <stdint.h>

/* Catches SIGINT, SIGTERM and SIGHUP from now on, unless they are ignored. */
void interrupt_catch(void);

/* Returns true if one of them has come. */
bool interrupt_has_come(void);

/* The same, as a qc_interrupted_fn. */
bool interrupt_is_pending(void *command);

/* Shows the progress of a struct command, and returns false if one of them has come.
 * A qc_copy_progress_fn. */
bool interrupt_progress(void *command, uint64_t done, uint64_t total);

#endif
