/* SPDX-License-Identifier: MIT */
/* convert_options.h - the command line of `qcowfs convert`. */
#ifndef CONVERT_OPTIONS_H
#define CONVERT_OPTIONS_H

#include "cli/create_options.h"
#include "commands/common.h"

struct convert_args {
	struct create_options options; /* of the new image, with its backing file */
	const char *target_format; /* NULL: not given */
	const char *snapshot;	 /* -l */
	const char *bitmap;	 /* --bitmap: copy only its dirty areas */
	bool bitmaps;		 /* --bitmaps: copy all bitmaps */
	bool compress, existing; /* -c, -n */
	bool any_order, sync, target_is_zero;
	bool salvage, skip_broken, target_opts;
	bool offload;	      /* -C, which changes nothing */
	uint64_t rate;	      /* -r; 0: not given */
	bool full;	      /* -S 0 */
	uint32_t zero_bytes;  /* -S; 0: not given */
	unsigned int requests; /* -m; 0: not given */
};

extern const struct command_option convert_options_table[];

/* A function for struct command_spec; @to is a struct convert_args. */
int convert_options_set(void *to, int id, const char *value);

/* Checks options against each other, and finds the file of DST.  Return: COMMAND_OK;
 * COMMAND_FAILED after a message */
int convert_options_check(struct convert_args *a, struct command *c);

#endif
