/* SPDX-License-Identifier: MIT */
/* plan_file.h - the file of -o rescue=PLAN: read if it is there, else written. */
#ifndef PLAN_FILE_H
#define PLAN_FILE_H

#include "qcow.h"

/* Reads the file, if it is there, and gives its plan to the context, before an image is opened.
 * Return: 0; -errno after a message. */
int plan_file_read(struct qc_context *ctx, const char *path);

/* Makes the file with the plan of an open image, unless there is one.  A failure is a message. */
void plan_file_write(struct qc_image *img, const char *path);

#endif
