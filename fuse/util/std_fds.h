/* SPDX-License-Identifier: MIT */
/*
 * std_fds.h - keep descriptors 0, 1 and 2 occupied.
 *
 * main() calls it first.  A program that is started with one of them closed would get its
 * number for the next file it opens: a log line could be written into an image.
 */
#ifndef STD_FDS_H
#define STD_FDS_H

/*
 * Opens /dev/null on each of the descriptors 0 to 2 that is closed, for the other direction:
 * reading 0 and writing 1 or 2 fail with EBADF, as when they are closed.
 * Return: 0; -errno.
 */
int std_fds_fill(void);

#endif
