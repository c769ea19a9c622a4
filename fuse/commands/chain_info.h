/* SPDX-License-Identifier: MIT */
/* chain_info.h - JSON documents about the files of a chain, as `qemu-img info` lists them. */
#ifndef CHAIN_INFO_H
#define CHAIN_INFO_H

#include <jansson.h>

#include "commands/common.h"

/* Appends a document about the image itself to @list.  @img was opened with QC_OPEN_INSPECT;
 * @why is the reason why it cannot be used, or empty.  Return: COMMAND_OK; COMMAND_FAILED after a
 * message. */
int chain_info_add_image(const struct command *c, json_t *list, const char *name,
			 struct qc_image *img, const struct qc_reason *why);

/* Appends one for each file below the image, down to the last that could be opened.  The
 * first of @list is about the image itself. */
int chain_info_add_backing(struct command *c, json_t *list, struct qc_image *img);

#endif
