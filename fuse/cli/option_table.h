/* SPDX-License-Identifier: MIT */
/* option_table.h - the table of -o options. */
#ifndef OPTION_TABLE_H
#define OPTION_TABLE_H

#include "cli/options_fields.h"

struct option_spec {
	const char *name;
	const char *arg;  /* NULL: takes no value; else as --help shows it, "a|b" for words */
	const char *help; /* NULL: not shown */
	int (*set)(struct options *o, const char *value); /* option_setters.h; NULL: none */
	bool pass_on; /* pass it to libfuse, too */
	size_t flag;  /* offset of a bool in struct options that it sets; 0: none */
};

/* Finds an option.  If both forms exist, @value selects the one with a value.  NULL: there is no
 * such option. */
const struct option_spec *option_table_find(const char *name, bool value);

/* Returns true for an option of mount(8) that is accepted and ignored: "name" or "name=value". */
bool option_table_is_ignored(const char *option);

/* Prints the -o options of --help. */
void option_table_help(void);

#endif
