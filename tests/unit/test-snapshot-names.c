/* SPDX-License-Identifier: MIT */
#include "views/snapshot_names.h"

#include "tree/raw_name.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void escapes(const char *bytes, size_t len, const char *want)
{
	char *shown = snapshot_name_escape(bytes, len), *back = NULL;
	size_t n = 0;

	CHECK(shown && !strcmp(shown, want));
	CHECK(snapshot_name_unescape(want, &back, &n) == 0 && n == len && !memcmp(back, bytes, len));
	free(back);
	free(shown);
}

static void there_and_back(void)
{
	escapes("before-upgrade", 14, "before-upgrade");
	escapes("", 0, "%");
	escapes("%", 1, "%25");
	escapes("a/b", 3, "a%2Fb");
	escapes(".", 1, "%2E");
	escapes("..", 2, "%2E.");
	escapes(".x.y", 4, "%2Ex.y");
	escapes("\n\x7f\x1f ", 4, "%0A%7F%1F ");
	escapes("a\0b", 3, "a%00b");
	escapes("\xff\xfe\xc3\xa9", 4, "\xff\xfe\xc3\xa9");
	escapes("a@1", 3, "a@1");
	escapes("%2F", 3, "%252F");
}

static void what_is_never_shown(void)
{
	static const char *const t[] = { "%2f", "a%", "%%", "a%2", "%41", ".x", "%~0123456789abcdef",
					 "a%2E", "a\nb", "" };

	for (size_t i = 0; i < COUNT(t); i++) {
		char *bytes;
		size_t n;

		CHECK(snapshot_name_unescape(t[i], &bytes, &n) == -EINVAL);
	}
}

/* The names of snapshots with these names and ids. */
static char **names_of(size_t n, const char *(*t)[2])
{
	struct qc_snapshot *at = calloc(n + 1, sizeof(*at));
	struct qc_snapshots s = { n, at, NULL };
	char **out = NULL;

	for (size_t i = 0; i < n; i++) {
		at[i].name = t[i][0];
		at[i].name_len = strlen(t[i][0]);
		at[i].id = t[i][1];
		at[i].id_len = strlen(t[i][1]);
	}
	CHECK(snapshot_names(&s, &out) == 0);
	free(at);
	return out;
}

static void each_has_its_own(void)
{
	static const char *const t[][3] = {
		{ "a", "1", "a@1@2" }, { "a", "2", "a@2" },   { "b", "3", "b" },
		{ "a@1", "4", "a@1" }, { "c", "5", "c@5" },   { "c", "5", "c@5@2" },
		{ "c", "5", "c@5@3" }, { "c", "6", "c@6" },   { "", "7", "%@7" },
		{ "", "", "%@%" },     { "d", "/1", "d@%2F1" }, { "d", ".", "d@%2E" },
		{ "e@f", "g", "e@f@g" }, { "e@f", "h", "e@f@h" }, { "e", "f@g", "e@f@g@2" },
		{ "e", "x", "e@x" },
	};
	const char *in[COUNT(t)][2];
	char **got;

	for (size_t i = 0; i < COUNT(t); i++) {
		in[i][0] = t[i][0];
		in[i][1] = t[i][1];
	}
	got = names_of(COUNT(t), in);
	for (size_t i = 0; got && i < COUNT(t); i++) {
		CHECK(!strcmp(got[i], t[i][2]));
		if (strcmp(got[i], t[i][2]))
			printf("# %s is %s\n", got[i], t[i][2]);
	}
	snapshot_names_free(got, COUNT(t));
}

static void long_ones_are_cut(void)
{
	char a[400], b[400], edge[256], letters[301] = "";
	const char *in[5][2] = { { a, "1" }, { b, "2" }, { a, "3" }, { edge, "4" }, { letters, "5" } };
	char **got;

	memset(a, 'x', sizeof(a) - 1);
	a[sizeof(a) - 1] = 0;
	memcpy(b, a, sizeof(b));
	b[390] = 'y';
	memset(edge, 'e', 255);
	edge[255] = 0;
	for (int i = 0; i < 150; i++)
		strcat(letters, "\xc3\xa9");
	got = names_of(5, in);
	for (int i = 0; i < 5; i++) {
		CHECK(strlen(got[i]) <= RAW_NAME_MAX && strlen(got[i]) > 230);
		for (int j = 0; j < i; j++)
			CHECK(strcmp(got[i], got[j]));
	}
	CHECK(!strcmp(got[3], edge));
	CHECK(!strncmp(got[1] + 237, "%~", 2));
	CHECK(!strncmp(strstr(got[4], "%~") - 2, "\xc3\xa9", 2)); /* no half character */
	snapshot_names_free(got, 5);
}

static void very_many_are_no_trouble(void)
{
	enum { N = 65536 };
	const char *(*t)[2] = calloc(N, sizeof(*t));
	char **got;

	for (size_t i = 0; i < N; i++) {
		t[i][0] = "same";
		t[i][1] = "1";
	}
	got = names_of(N, t);
	CHECK(!strcmp(got[0], "same@1"));
	CHECK(!strcmp(got[N - 1], "same@1@65536"));
	snapshot_names_free(got, N);
	free(t);
}

int main(void)
{
	RUN(there_and_back);
	RUN(what_is_never_shown);
	RUN(each_has_its_own);
	RUN(long_ones_are_cut);
	RUN(very_many_are_no_trouble);
	return DONE();
}
