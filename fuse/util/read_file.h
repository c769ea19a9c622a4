/* SPDX-License-Identifier: MIT */
/* read_file.h - reads a whole file that the user names. */
#ifndef READ_FILE_H
#define READ_FILE_H

#include <stddef.h>

/*
 * read_file() - read a regular file of at most 256 MiB
 * @dirfd, @name:  as for openat(2)
 * @text:          out: to be freed; NULL on failure.  No NUL is behind it
 *
 * Return: 0; -EINVAL no regular file; -EFBIG; -ENOMEM; as open(2) and read(2)
 */
int read_file(int dirfd, const char *name, char **text, size_t *len);

#endif
