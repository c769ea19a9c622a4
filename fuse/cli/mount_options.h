/* SPDX-License-Identifier: MIT */
/* mount_options.h - the list of options that libfuse and the kernel get. */
#ifndef MOUNT_OPTIONS_H
#define MOUNT_OPTIONS_H

#include "cli/options_fields.h"

/* Appends NAME or NAME=VALUE to o->mount_options, with commas and backslashes of @value escaped
 * as libfuse wants them.  @value may be NULL.  Return: 0; -ENOMEM. */
int mount_option_append(struct options *o, const char *name, const char *value);

#endif
