/* SPDX-License-Identifier: MIT */
/*
 * json.h - putting a JSON document together.
 *
 * That memory ran out is noted in the document, and asked for once, at its end.
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

/* Each takes the value; NULL is memory that ran out. */
void json_put(struct json *j, json_t *object, const char *key, json_t *value);
void json_add(struct json *j, json_t *array, json_t *value);

/* What is above INT64_MAX is shown as negative, as in QEMU. */
json_t *json_number(uint64_t v);

/* Any bytes.  Those that are not UTF-8 are shown as %XX. */
json_t *json_text(const char *text, size_t len);
json_t *json_name(const char *text); /* up to its NUL */

/* The text of the document, which it takes, with a newline at its end; malloc'd.
 * NULL: memory ran out. */
char *json_end(struct json *j, json_t *root, size_t *len);

#endif
