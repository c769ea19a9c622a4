/* SPDX-License-Identifier: MIT */
/* new_passphrase.h - the passphrase that a key slot is to have. */
#ifndef NEW_PASSPHRASE_H
#define NEW_PASSPHRASE_H

#include <stddef.h>

/*
 * new_passphrase_get() - read it from a file, a descriptor, or the terminal
 * @file:  path of a file, to its end; or NULL
 * @fd:    a descriptor, which is closed; or -1.  With neither, asks on the terminal, twice.
 * @buf:   out: secure memory of @room bytes
 *
 * Return: 0; -ECANCELED after a message
 */
int new_passphrase_get(const char *file, int fd, void *buf, size_t room, size_t *len);

#endif
