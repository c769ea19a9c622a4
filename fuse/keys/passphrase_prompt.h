/* SPDX-License-Identifier: MIT */
/* passphrase_prompt.h - ask for a passphrase on a terminal, without echo. */
#ifndef PASSPHRASE_PROMPT_H
#define PASSPHRASE_PROMPT_H

#include <stddef.h>

/*
 * passphrase_prompt_ask() - print a question and read the answer
 * @fd:  the terminal
 * @buf: out: the line without its newline; in secure memory
 *
 * The terminal is as it was when the function returns, also after a signal, which is
 * then raised again.
 * Return: 0; -ENOENT end of file; -EFBIG the line is longer than @room; -EINTR a signal;
 * other errors of read(2), write(2), tcsetattr(3).
 */
int passphrase_prompt_ask(int fd, const char *question, char *buf, size_t room, size_t *len);

#endif
