/* SPDX-License-Identifier: MIT */
/*
 * signal_handlers.h - signals end the daemon in order, or not at all.
 *
 * A daemon that a signal kills leaves a mount that answers no request, and loses what is not yet
 * in the images.  So each signal that a terminal, a service manager or the kernel sends either
 * unmounts in order or is ignored.  Signals that report a bug (SIGSEGV, ...) and job control keep
 * their meaning, and so does a signal that the parent had ignored (nohup).
 */
#ifndef SIGNAL_HANDLERS_H
#define SIGNAL_HANDLERS_H

#include <stdbool.h>

struct fuse_session;

/* Installs the handlers; call it before the mount.  SIGTERM, SIGINT, SIGHUP, SIGQUIT and SIGXCPU
 * end the session.  Returns false after a message. */
bool signal_handlers_install(struct fuse_session *session);

/* Ignores all signals from now on: the session has ended, and its data is being written. */
void signal_handlers_ignore_all(void);

#endif
