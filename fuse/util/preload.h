/* SPDX-License-Identifier: MIT */
/*
 * preload.h - make the C library read the files that it would read at first use.
 *
 * Later it could not: the sandbox forbids to open them, and descriptors or memory may be used up.
 * These files are the time zone, which the log needs, and the unwinder, which pthread_cancel(3)
 * needs.  libfuse ends its worker threads by that, and without the unwinder the C library aborts
 * the process.
 */
#ifndef PRELOAD_H
#define PRELOAD_H

enum { PRELOAD_THREADS_MAX = 8 };

/*
 * preload_libc_files() - read the files, and try whether threads can be created
 * @threads: how many threads or processes the caller will need, 1 to PRELOAD_THREADS_MAX; they
 *           are created, and end before the function returns
 *
 * Return: 0; -ELIBACC the unwinder cannot be loaded; -EAGAIN so many threads cannot be created.
 */
int preload_libc_files(unsigned int threads);

#endif
