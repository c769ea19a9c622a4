/* SPDX-License-Identifier: MIT */
/* rate_limit.h - the option -r of convert: a copy that is no faster than the user allows. */
#ifndef RATE_LIMIT_H
#define RATE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

struct rate_limit {
	void *command; /* a struct command */
	uint64_t rate; /* bytes for each second; 0: no limit */
	uint64_t began_ns; /* 0: not yet */
};

/* Waits until @done bytes are allowed, and then does as interrupt_progress().  @limit is a struct
 * rate_limit.  A qc_copy_progress_fn. */
bool rate_limit_progress(void *limit, uint64_t done, uint64_t total);

#endif
