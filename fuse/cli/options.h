/* SPDX-License-Identifier: MIT */
/* options.h - the command line of a mount. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "cli/options_fields.h"
#include "util/exit_status.h"

/* Fills *@o from the command line; options_free() it in each case.  Return: EXIT_OK; EXIT_USAGE
 * after a message. */
enum exitcode options_parse(struct options *o, int argc, char **argv);
void options_free(struct options *o);

/* Fills *@o from the command line that mount(8) gives its helpers: SOURCE MOUNTPOINT [-sfnv]
 * [-N NAMESPACE] [-o OPTIONS] [-t TYPE].  Return: as options_parse(). */
enum exitcode options_parse_helper(struct options *o, int argc, char **argv);

/* Options that stand before the first operand. */
struct options_before {
	unsigned int verbose;
	char mounting; /* the first of them that only mounting has; 0: none */
};

/* Returns the index of the first operand; 0: there is none, or an option before it is unknown or
 * prints something and ends the program (-h, -V). */
int options_first_operand(int argc, char **argv, struct options_before *out);

/*
 * options_set() - apply one -o option
 * @value: NULL: without "="
 *
 * Return: 0; -EINVAL, -EBADF, -ENOMEM, -EOPNOTSUPP, -ECANCELED after a message.
 */
int options_set(struct options *o, const char *name, const char *value);

/* Checks that at most one source of a passphrase is given.  Return: 0; -EINVAL after a message. */
int options_check_keys(const struct options *o);

#endif
