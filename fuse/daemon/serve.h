/* SPDX-License-Identifier: MIT */
/* serve.h - mount SOURCE and serve it until it is unmounted. */
#ifndef SERVE_H
#define SERVE_H

#include "cli/options.h"

/*
 * serve_source() - mount o->source on o->mountpoint
 * @o:    changed: what libfuse is to know is appended, and `ro` is set if need be
 * @argv: of main(); overwritten in the process that unmounts
 *
 * Return: in the background, in the daemon; the parent ends when the mount stands.
 */
enum exitcode serve_source(struct options *o, char **argv);

#endif
