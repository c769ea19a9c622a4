/* SPDX-License-Identifier: MIT */
/*
 * sandbox.c - the order matters: without no_new_privs the kernel takes neither
 * rules nor a filter, and with the filter it takes nothing else.
 *
 * With a sanitizer there are no rules and no filter: its reports are files, its
 * search for leaks is a debugger, and its words for addresses are a program.
 */
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
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

/* ---- places --------------------------------------------------------------- */

static int take(struct sandbox *s, int fd, enum landlock_use use)
{
	struct landlock_rule *more = realloc(s->place, (s->n + 1) * sizeof(*more));

	if (!more) {
		close(fd);
		return -ENOMEM;
	}
	s->place = more;
	s->place[s->n++] = (struct landlock_rule){ fd, use };
	return 0;
}

int sandbox_allow(struct sandbox *s, const char *path, enum landlock_use use)
{
	int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd >= 0)
		return take(s, fd, use);
	report(QC_LOG_WARN, "%s: %s: nothing will be opened there (sandbox=off would)", path,
	       strerror(errno));
	return -ENOENT;
}

int sandbox_allow_fd(struct sandbox *s, int fd, enum landlock_use use)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	return own < 0 ? -errno : take(s, own, use);
}

void sandbox_free(struct sandbox *s)
{
	for (size_t i = 0; i < s->n; i++)
		close(s->place[i].fd);
	free(s->place);
	*s = (struct sandbox){ 0 };
}

/* ---- enter ---------------------------------------------------------------- */

static void *sleep_until_cancelled(void *unused)
{
	for (;;)
		pause();
	return unused;
}

/* What the C library loads from files when it is first needed: the time zone, for
 * the log, and the unwinder, by which libfuse ends its workers. */
static int load_what_is_loaded_late(void)
{
	pthread_t t;
	int r = -pthread_create(&t, NULL, sleep_until_cancelled, NULL);

	tzset();
	if (r)
		return r;
	pthread_cancel(t);
	return -pthread_join(t, NULL);
}

/* Whether r says that the kernel cannot do it, or that a container we are in does not
 * let us; then that is in the log. */
static bool is_lacking(int r, const char *what)
{
	if (r != -ENOSYS && r != -EOPNOTSUPP && r != -EINVAL && r != -EPERM)
		return false;
	report(QC_LOG_WARN, "sandbox: there is no %s here: %s", what, strerror(-r));
	return true;
}

struct line {
	char text[200];
};

static void append(struct line *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void append(struct line *l, const char *fmt, ...)
{
	size_t used = strlen(l->text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(l->text + used, sizeof(l->text) - used, fmt, ap);
	va_end(ap);
}

/* To the line of what is in force, if r says that it is. */
static int apply(struct line *l, int r, const char *what)
{
	if (r < 0 && is_lacking(r, what))
		return 0;
	if (r < 0) {
		report(QC_LOG_ERROR, "sandbox: %s: %s", what, strerror(-r));
		return r;
	}
	append(l, ", %s", what);
	if (r)
		append(l, " %d", r); /* its version */
	return 0;
}

int sandbox_enter(const struct sandbox *s)
{
	struct line l = { "sandbox: no new privileges" };
	int r = load_what_is_loaded_late();

	if (!r && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		r = -errno;
	if (!r && !WITH_SANITIZER)
		r = apply(&l, landlock_restrict(s->place, s->n), "Landlock");
	if (!r)
		r = capabilities_drop(s->write, s->noatime);
	if (!r) {
		append(&l, ", capabilities:");
		capabilities_report(l.text, sizeof(l.text));
	}
	if (!r && WITH_FILTER)
		r = apply(&l, seccomp_restrict(s->rings), "filter of system calls");
	if (!r)
		report(QC_LOG_INFO, "%s", l.text);
	return r;
}
