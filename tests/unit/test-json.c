/* SPDX-License-Identifier: MIT */
#include "info/json.h"

#include <stdlib.h>
#include <string.h>

#include "tap.h"

static bool shown_as(const char *bytes, size_t len, const char *want, size_t want_len)
{
	json_t *v = json_text(bytes, len);
	bool same = v && json_string_length(v) == want_len &&
		    !memcmp(json_string_value(v), want, want_len);

	if (!same)
		printf("# shown as '%s'\n", v ? json_string_value(v) : "(none)");
	json_decref(v);
	return same;
}

static void utf8_stays_and_other_bytes_do_not(void)
{
	static const struct {
		const char *bytes, *want;
	} texts[] = {
		{ "", "" },
		{ "plain 100%", "plain 100%" },
		{ "\x7f\x01\n\"\\", "\x7f\x01\n\"\\" },
		{ "\xc2\x80 \xdf\xbf", "\xc2\x80 \xdf\xbf" },
		{ "\xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80", "\xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80" },
		{ "\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf", "\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf" },
		{ "\x80 \xbf \xff \xfe \xf8", "%80 %BF %FF %FE %F8" },
		{ "\xc1\xbf", "%C1%BF" },		/* longer than need be */
		{ "\xe0\x9f\xbf", "%E0%9F%BF" },
		{ "\xf0\x8f\xbf\xbf", "%F0%8F%BF%BF" },
		{ "\xed\xa0\x80", "%ED%A0%80" },	/* half of a pair */
		{ "\xf4\x90\x80\x80", "%F4%90%80%80" }, /* too high */
		{ "\xe2\x82", "%E2%82" },		/* cut off */
		{ "\xc3(", "%C3(" },
		{ "\xe2\x82\xc3\xa9", "%E2%82\xc3\xa9" },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		CHECK(shown_as(texts[i].bytes, strlen(texts[i].bytes), texts[i].want,
			       strlen(texts[i].want)));
	CHECK(shown_as("a\0b", 3, "a\0b", 3));
}

static void every_pair_of_bytes_makes_a_text(void)
{
	for (unsigned int i = 0; i < 65536; i++) {
		char two[] = { (char)(i >> 8), (char)i };
		json_t *v = json_text(two, 2);

		CHECK(v);
		json_decref(v);
	}
}

static void numbers(void)
{
	json_t *v = json_number(INT64_MAX);

	CHECK(json_integer_value(v) == INT64_MAX);
	json_decref(v);
	v = json_number(UINT64_MAX);
	CHECK(json_integer_value(v) == -1);
	json_decref(v);
}

static void a_document(void)
{
	struct json j = { false };
	json_t *root = json_object(), *list = json_array();
	size_t len = 0;
	char *text;

	json_put(&j, root, "z", list);
	json_add(&j, list, json_number(1));
	json_put(&j, root, "a", json_name("b"));
	text = json_end(&j, root, &len);
	CHECK(text && len == strlen(text));
	CHECK(!strcmp(text, "{\n    \"z\": [\n        1\n    ],\n    \"a\": \"b\"\n}\n"));
	free(text);
}

static void a_value_that_is_missing_makes_none(void)
{
	struct json j = { false };
	json_t *root = json_object();
	size_t len;

	json_put(&j, root, "key", NULL);
	json_put(&j, root, "other", json_number(1));
	CHECK(!json_end(&j, root, &len));
}

int main(void)
{
	RUN(utf8_stays_and_other_bytes_do_not);
	RUN(every_pair_of_bytes_makes_a_text);
	RUN(numbers);
	RUN(a_document);
	RUN(a_value_that_is_missing_makes_none);
	return DONE();
}
