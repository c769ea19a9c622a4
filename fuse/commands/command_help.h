/* SPDX-License-Identifier: MIT */
/* command_help.h - the options that all commands have, and `qcowfs COMMAND --help`. */
#ifndef COMMAND_HELP_H
#define COMMAND_HELP_H

#include "commands/command_spec.h"

/* Ends with an id of 0.  Long options are named as the mount options that mean the same. */
extern const struct command_option command_shared_options[];

void command_print_help(const struct command_spec *spec);

#endif
