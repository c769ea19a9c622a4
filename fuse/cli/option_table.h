/* SPDX-License-Identifier: MIT */
/*
 * option_table.h - which -o options there are.
 */
#ifndef OPTION_TABLE_H
#define OPTION_TABLE_H

#include "cli/options.h"

struct option_spec {
	const char *name;
	const char *arg; /* NULL: takes none */
	const char *help; /* NULL: not shown */
	int (*set)(struct options *o, const char *value); /* NULL: ignored */
	bool pass_on; /* to libfuse, too */
	size_t flag;  /* a bool of struct options that it sets; 0: none */
};

/* The one that takes a value, or none, if there are both.  NULL: there is no such option. */
const struct option_spec *option_table_find(const char *name, bool value);

/* One that mount(8) leaves over, and that is not for us: "name" or "name=value". */
bool option_table_is_ignored(const char *option);

/* Prints the -o options of --help. */
void option_table_help(void);

#endif
