/* SPDX-License-Identifier: MIT */
/* command_spec.h - what a command says of itself: its operands and options. */
#ifndef COMMAND_SPEC_H
#define COMMAND_SPEC_H

#include <stdbool.h>

struct command_option {
	int id;		  /* the letter; else 256 to 999; 0 ends a table */
	const char *name; /* long name; NULL: only the letter */
	const char *arg;  /* NULL: takes no value; else as --help shows it, "a|b" for words */
	const char *help;
};

struct command_spec {
	const char *name;
	const char *summary;  /* a sentence for --help, without a full stop */
	const char *operands; /* as the usage line shows them: "IMAGE [SIZE]" */
	unsigned int min_operands, max_operands;
	unsigned int images; /* the first so many operands name images: see image_operand.h */
	bool negative_operand; /* the last word may be "-1G", which is no option then */
	bool has_json; /* takes --json and --output, too; see struct command */
	const struct command_option *options;
	/*
	 * Stores the value of an option of the table in @to; NULL if the table is empty.
	 * Return: 0; -EINVAL: @value is not of the kind that the table's `arg` says;
	 * another -errno.  The caller reports both; -ECANCELED was reported already.
	 * A positive number: something was printed that ends the command.
	 */
	int (*set)(void *to, int id, const char *value);
};

#endif
