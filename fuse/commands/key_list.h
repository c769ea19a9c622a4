/* SPDX-License-Identifier: MIT */
/* key_list.h - print the key slots of an image. */
#ifndef KEY_LIST_H
#define KEY_LIST_H

#include <stdbool.h>

struct command;

/* Prints a table, or with @json the array that `qemu-img info --output=json` has.
 * Return: an exit status, after a message if not COMMAND_OK. */
int key_list_print(struct command *c, const char *path, bool json);

#endif
