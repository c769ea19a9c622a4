/* SPDX-License-Identifier: MIT */
/* json_file.h - NAME.json: what `qemu-img info` and this program know about an image. */
#ifndef JSON_FILE_H
#define JSON_FILE_H

#include "tree/node_ops.h"

extern const struct view_provider json_file_views;

#endif
