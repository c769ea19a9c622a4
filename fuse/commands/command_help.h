/* SPDX-License-Identifier: MIT */
/* command_help.h - the options that several commands have, and `qcowfs COMMAND --help`. */
#ifndef COMMAND_HELP_H
#define COMMAND_HELP_H

#include "commands/command_spec.h"

/* The options of all commands; an id of 0 ends the array.  A command may have one of these
 * letters with another meaning.  Other long options are named
 * as the mount options that mean the same. */
extern const struct command_option command_shared_options[];

/* The options of commands with has_json; an id of 0 ends the array. */
enum { COMMAND_JSON = 1000, COMMAND_OUTPUT, COMMAND_OBJECT, COMMAND_IMAGE_OPTS };
extern const struct command_option command_json_options[];

void command_print_help(const struct command_spec *spec);

#endif
