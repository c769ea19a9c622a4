/* SPDX-License-Identifier: MIT */
/* passphrase_prompt.h - ask for a passphrase, without an echo. */
#ifndef PASSPHRASE_PROMPT_H
#define PASSPHRASE_PROMPT_H

#include <stddef.h>

/* Writes the question, and reads a line, less its newline, into buf.  -errno;
 * -EINTR if a signal ended it, after which the terminal is as it was. */
int passphrase_prompt_ask(int fd, const char *question, char *buf, size_t room, size_t *len);

#endif
