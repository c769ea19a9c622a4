/* SPDX-License-Identifier: MIT */
/* amend_options.h - options that qcowfs amend changes, as qemu-img writes them. */
#ifndef AMEND_OPTIONS_H
#define AMEND_OPTIONS_H

#include "qcow.h"

struct amend_options {
	struct qc_amend_options o; /* its texts point into `text` */
	uint64_t size;		   /* 0: as it is */
	const char *backing, *backing_format; /* must be what the image has; NULL: not given */
	bool any;
	char *text; /* a copy of the list */
};

/*
 * amend_options_parse() - read a list such as "compat=1.1,refcount_bits=64"
 * @a:  zeros before the first list
 *
 * Return: 0; -ECANCELED after a message
 */
int amend_options_parse(struct amend_options *a, const char *list);

#endif
