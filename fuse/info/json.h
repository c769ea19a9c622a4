/* SPDX-License-Identifier: MIT */
/*
 * json.h - build a JSON document.
 *
 * Out of memory is noted in struct json, and checked once, when the document is complete.
 */
#ifndef JSON_H
#define JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
	bool failed;
};

/* Add a value, which is consumed also on failure.  NULL as the value means out of memory. */
void json_put(struct json *j, json_t *object, const char *key, json_t *value);
void json_add(struct json *j, json_t *array, json_t *value);

/* Returns a number.  One above INT64_MAX is shown as negative, as QEMU does. */
json_t *json_number(uint64_t v);

/* Returns a string of any bytes.  Bytes that are not UTF-8 are shown as %XX. */
json_t *json_text(const char *text, size_t len);
json_t *json_name(const char *text); /* ends with a NUL */

/* Returns the document as text with a newline at its end, to be freed with free(), and frees
 * @root.  NULL: out of memory. */
char *json_end(struct json *j, json_t *root, size_t *len);

#endif
