/* SPDX-License-Identifier: MIT */
/*
 * sandbox.c - order of the steps: no_new_privs first, since the kernel demands it of the others;
 * then Landlock and capabilities; the filter last, since it forbids the calls of the others.
 *
 * A build with a sanitizer has neither Landlock nor a filter: the sanitizer writes reports to
 * files, looks for leaks as a debugger, and starts a program to translate addresses.
 */
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sandbox/capabilities.h"
#include "util/report.h"
#include "sandbox/seccomp.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
	__has_feature(memory_sanitizer)
#define WITH_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WITH_SANITIZER 1
#endif
#ifndef WITH_SANITIZER
#define WITH_SANITIZER 0
#endif

#ifdef HAVE_SECCOMP
enum { WITH_FILTER = !WITH_SANITIZER };
#else
enum { WITH_FILTER = 0 };
#endif

/* ---- rules ---------------------------------------------------------------- */

/* Adds a rule.  Owns @fd, also after a failure. */
static int add_landlock_rule(struct sandbox *s, int fd, enum landlock_use use)
{
	struct landlock_rule *more = realloc(s->rule, (s->n + 1) * sizeof(*more));

	if (!more) {
		close(fd);
		return -ENOMEM;
	}
	s->rule = more;
	s->rule[s->n++] = (struct landlock_rule){ fd, use };
	return 0;
}

int sandbox_allow(struct sandbox *s, const char *path, enum landlock_use use)
{
	int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd >= 0)
		return add_landlock_rule(s, fd, use);
	report(QC_LOG_WARN, "%s: %s: no file there will be opened later (sandbox=off allows it)", path,
	       strerror(errno));
	return -ENOENT;
}

int sandbox_allow_fd(struct sandbox *s, int fd, enum landlock_use use)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	return own < 0 ? -errno : add_landlock_rule(s, own, use);
}

void sandbox_free(struct sandbox *s)
{
	for (size_t i = 0; i < s->n; i++)
		close(s->rule[i].fd);
	free(s->rule);
	*s = (struct sandbox){ 0 };
}

/* ---- enter ---------------------------------------------------------------- */

/* Returns true, after a log line, if @r says that the kernel has no such feature or that a
 * container forbids it. */
static bool is_missing_feature(int r, const char *what)
{
	if (r != -ENOSYS && r != -EOPNOTSUPP && r != -EINVAL && r != -EPERM)
		return false;
	report(QC_LOG_WARN, "sandbox: there is no %s here: %s", what, strerror(-r));
	return true;
}

struct summary {
	char text[200];
};

static void append_to_summary(struct summary *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void append_to_summary(struct summary *l, const char *fmt, ...)
{
	size_t used = strlen(l->text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(l->text + used, sizeof(l->text) - used, fmt, ap);
	va_end(ap);
}

static int report_sandbox_error(const char *what, int r)
{
	report(QC_LOG_ERROR, "sandbox: %s: %s (sandbox=off does without)", what, strerror(-r));
	return r;
}

/* Adds a part of the sandbox to the summary if its result @r is a success.  Returns 0 also if the
 * kernel lacks that part. */
static int note_result(struct summary *l, int r, const char *what)
{
	if (r < 0)
		return is_missing_feature(r, what) ? 0 : report_sandbox_error(what, r);
	append_to_summary(l, ", %s", what);
	if (r)
		append_to_summary(l, " %d", r); /* the version of the interface */
	return 0;
}

int sandbox_enter(const struct sandbox *s)
{
	struct summary l = { "sandbox: no new privileges" };
	int r = 0;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return report_sandbox_error("no new privileges", -errno);
	if (!WITH_SANITIZER)
		r = note_result(&l, landlock_restrict(s->rule, s->n), "Landlock");
	if (r)
		return r;
	r = capabilities_drop(s->write, s->create, s->noatime);
	if (r)
		return report_sandbox_error("capabilities", r);
	append_to_summary(&l, ", capabilities:");
	capabilities_report(l.text, sizeof(l.text));
	if (WITH_FILTER)
		r = note_result(&l, seccomp_restrict(s->io_uring, s->create), "filter of system calls");
	if (!r)
		report(QC_LOG_INFO, "%s", l.text);
	return r;
}
