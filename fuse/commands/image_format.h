/* SPDX-License-Identifier: MIT */
/* image_format.h - the option -f of commands: which format a file must have. */
#ifndef IMAGE_FORMAT_H
#define IMAGE_FORMAT_H

#include <stdbool.h>

#include "qcow.h"

/* Returns true for the names of formats: "raw", "qcow" and "qcow2". */
bool image_format_is_known(const char *name);

/*
 * image_format_check() - compare the magic and version of a file with its declared format
 * @format:  NULL: any; "raw" is every file
 *
 * Return: 0; -EINVAL and why: the format is another one; an errno of pread(2)
 */
qc_err image_format_check(int fd, const char *format, struct qc_reason *why);

#endif
