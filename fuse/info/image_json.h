/* SPDX-License-Identifier: MIT */
/*
 * image_json.h - an image as JSON: the keys of `qemu-img info --output=json`, and an object
 * "qcowfs" for the rest.
 *
 * Used for NAME.json in the mount and by `qcowfs info --json`.  Keys whose value is not known,
 * because the image is damaged, are left out.
 */
#ifndef IMAGE_JSON_H
#define IMAGE_JSON_H

#include <jansson.h>

#include "info/image_json_fields.h"

/* Returns the document; to be freed with json_decref().  NULL: out of memory. */
json_t *image_json(const struct info *info);

/* Returns the document as text with a newline at its end, to be freed with free().  NULL: out
 * of memory. */
char *image_json_text(const struct info *info, size_t *len);

#endif
