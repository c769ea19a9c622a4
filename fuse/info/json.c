/* SPDX-License-Identifier: MIT */
#include "info/json.h"

#include <stdlib.h>
#include <string.h>

void json_put(struct json *j, json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value))
		j->failed = true;
}

void json_add(struct json *j, json_t *array, json_t *value)
{
	if (json_array_append_new(array, value))
		j->failed = true;
}

json_t *json_number(uint64_t v)
{
	return json_integer((json_int_t)v);
}

/* Returns the length of the UTF-8 character at @p; 0 if there is none. */
static size_t utf8_length(const unsigned char *p, size_t len)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = *p < 0x80 ? 1 : *p < 0xc0 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : *p < 0xf8 ? 4 : 0;
	uint32_t code = n ? *p & (0xffu >> n) : 0;

	if (!n || n > len)
		return 0;
	if (n == 1)
		return 1;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	return code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : n;
}

json_t *json_text(const char *text, size_t len)
{
	static const char digits[] = "0123456789ABCDEF";
	const unsigned char *p = (const unsigned char *)text, *end = p + len;
	char *out = malloc(3 * len + 1), *to = out;
	json_t *v;

	if (!out)
		return NULL;
	while (p < end) {
		size_t n = utf8_length(p, (size_t)(end - p));

		if (n) {
			to = mempcpy(to, p, n);
		} else {
			*to++ = '%';
			*to++ = digits[*p >> 4];
			*to++ = digits[*p & 15];
		}
		p += n ? n : 1;
	}
	v = json_stringn(out, (size_t)(to - out));
	free(out);
	return v;
}

json_t *json_name(const char *text)
{
	return json_text(text, strlen(text));
}

char *json_end(struct json *j, json_t *root, size_t *len)
{
	char *text = j->failed ? NULL : json_dumps(root, JSON_INDENT(4)), *ended = NULL;

	json_decref(root);
	if (!text)
		return NULL;
	*len = strlen(text) + 1;
	ended = realloc(text, *len + 1);
	if (!ended)
		free(text);
	else
		memcpy(ended + *len - 1, "\n", 2);
	return ended;
}
