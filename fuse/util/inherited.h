/* SPDX-License-Identifier: MIT */
/*
 * inherited.h - repair the state that a process inherits from its parent.
 *
 * main() calls it first.  Three things that a parent may leave behind break a program:
 * - Descriptors 0, 1 or 2 are closed.  The next file that is opened gets such a number, and a
 *   message on stderr would be written into an image.
 * - Signals are blocked.  Then SIGTERM would not end the daemon.
 * - SIGCHLD is ignored.  Then waitpid(2) tells no exit status.
 */
#ifndef INHERITED_H
#define INHERITED_H

/*
 * inherited_repair() - occupy descriptors 0 to 2, unblock signals, restore SIGCHLD
 *
 * A closed descriptor gets /dev/null opened for the other direction: reading 0 and writing 1 or
 * 2 still fail with EBADF.  Also ignores SIGXFSZ, so that a write beyond the limit of file sizes
 * fails with EFBIG.
 * Return: 0; -errno: a descriptor cannot be occupied.
 */
int inherited_repair(void);

#endif
