/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <errno.h>
#include <string.h>

#include "tap.h"

struct seen {
	int calls;
	enum qc_level level;
	char msg[1000];
};

static void note(void *arg, enum qc_level level, const char *msg)
{
	struct seen *s = arg;

	s->calls++;
	s->level = level;
	snprintf(s->msg, sizeof(s->msg), "%s", msg);
}

static void control_bytes_become_question_marks(void)
{
	char text[300];
	size_t n = 0;

	for (int c = 1; c < 256; c++)
		text[n++] = (char)c;
	text[n] = 0;
	qc_text_clean(text);
	CHECK(strlen(text) == 255);
	for (int c = 1; c < 0x80; c++)
		CHECK(text[c - 1] == (c < 0x20 || c == 0x7f ? '?' : c));
}

static void utf8_stays(void)
{
	char text[] = "Gr\xc3\xb6\xc3\x9f" "e \xc2\xa0\xc2\xbf \xe2\x82\xac";

	qc_text_clean(text);
	CHECK(!strcmp(text, "Gr\xc3\xb6\xc3\x9f" "e \xc2\xa0\xc2\xbf \xe2\x82\xac"));
}

/* U+0080 to U+009F, by which some terminals are commanded. */
static void so_do_those_that_utf8_knows(void)
{
	char text[] = "a\xc2\x9b" "2J\xc2\x80\xc2\x9f\xc2";

	qc_text_clean(text);
	CHECK(!strcmp(text, "a??2J????\xc2"));
}

/* What, why, and what to do. */
static void failed_calls_are_explained(void)
{
	struct qc_reason why = { 0 };

	CHECK(qc_fail_errno(&why, -EACCES, "cannot read it") == -EACCES);
	CHECK(!strncmp(why.text, "cannot read it: Permission denied (", 35));
	CHECK(qc_fail_errno(&why, -EMFILE, NULL) == -EMFILE);
	CHECK(strstr(why.text, strerror(EMFILE)) == why.text && strstr(why.text, " (ulimit -n "));
	CHECK(qc_fail_errno(&why, -ESRCH, NULL) == -ESRCH);
	CHECK(!strcmp(why.text, strerror(ESRCH)));
}

static void headers_that_are_refused_come_with_advice(void)
{
	struct qc_reason why = { 0 };

	CHECK(qc_reason_add_hint(&why, qc_fail(&why, -EINVAL, "no bits")) == -EINVAL);
	CHECK(!strncmp(why.text, "no bits (damaged: ", 18));
	CHECK(qc_reason_add_hint(&why, qc_fail(&why, -ENOTSUP, "a bit")) == -ENOTSUP);
	CHECK(!strncmp(why.text, "a bit (the program that wrote the image, ", 41));
	memset(why.text, 'x', sizeof(why.text) - 1);
	why.text[sizeof(why.text) - 1] = 0;
	CHECK(qc_reason_add_hint(&why, -EINVAL) == -EINVAL); /* no room */
	CHECK(strspn(why.text, "x") == sizeof(why.text) - 1);
}

static void messages_are_cleaned(void)
{
	struct seen s = { 0 };
	struct qc_log log = { note, &s, QC_LOG_WARN };

	qc_log(&log, QC_LOG_WARN, "bad '%s' %d", "a\nqcowfs: fake\x1b[2J", 7);
	CHECK(s.calls == 1 && s.level == QC_LOG_WARN);
	CHECK(!strcmp(s.msg, "bad 'a?qcowfs: fake?[2J' 7"));
}

static void levels(void)
{
	struct seen s = { 0 };
	struct qc_log log = { note, &s, QC_LOG_WARN }, silent = { NULL, NULL, QC_LOG_TRACE };

	qc_log(&log, QC_LOG_INFO, "no");
	CHECK(!s.calls);
	qc_log(&log, QC_LOG_ERROR, "yes");
	CHECK(s.calls == 1);
	qc_log(&silent, QC_LOG_ERROR, "to nobody");
}

static void long_messages_are_cut(void)
{
	struct seen s = { 0 };
	struct qc_log log = { note, &s, QC_LOG_ERROR };
	char text[2000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	qc_log(&log, QC_LOG_ERROR, "%s", text);
	CHECK(s.calls == 1);
	CHECK(strlen(s.msg) >= 600 && strlen(s.msg) < 1000);
}

static void reasons(void)
{
	struct qc_reason why = { QC_CAUSE_KEY, "old" };
	char text[2000];

	CHECK(qc_fail(&why, -EINVAL, "the %s\n", "name\x01") == -EINVAL);
	CHECK(why.cause == QC_CAUSE_IMAGE);
	CHECK(!strcmp(why.text, "the name??"));
	qc_reason_prefix(&why, "file \x1b");
	CHECK(!strcmp(why.text, "file ?: the name??"));

	memset(text, 'y', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	qc_fail(&why, -EINVAL, "%s", text);
	CHECK(strlen(why.text) == sizeof(why.text) - 1);
	qc_reason_prefix(&why, "first");
	CHECK(strlen(why.text) == sizeof(why.text) - 1 && !strncmp(why.text, "first: y", 8));
	qc_reason_prefix(&why, "%s", text);
	CHECK(strlen(why.text) == sizeof(why.text) - 1);
}

int main(void)
{
	RUN(control_bytes_become_question_marks);
	RUN(so_do_those_that_utf8_knows);
	RUN(utf8_stays);
	RUN(failed_calls_are_explained);
	RUN(headers_that_are_refused_come_with_advice);
	RUN(messages_are_cleaned);
	RUN(levels);
	RUN(long_messages_are_cut);
	RUN(reasons);
	return DONE();
}
