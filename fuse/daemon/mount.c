/* SPDX-License-Identifier: MIT */
#include "daemon/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ops/server.h"
#include "cli/options.h"
#include "util/report.h"

#include <fuse_log.h>

static void take(enum fuse_log_level level, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

/* Debugging comes in pieces of lines, all else in lines. */
static void take(enum fuse_log_level level, const char *fmt, va_list ap)
{
	char text[1000];
	size_t n;

	if (level == FUSE_LOG_DEBUG) {
		vfprintf(stderr, fmt, ap);
		return;
	}
	vsnprintf(text, sizeof(text), fmt, ap);
	for (n = strlen(text); n && text[n - 1] == '\n'; n--)
		text[n - 1] = 0;
	report(level <= FUSE_LOG_ERR	 ? QC_LOG_ERROR :
	       level == FUSE_LOG_WARNING ? QC_LOG_WARN :
					   QC_LOG_INFO, "%s", text);
}

void mount_take_log(void)
{
	fuse_set_log_func(take);
}

/* ---- what is said meanwhile, here and by fusermount3 -------------------------- */

struct said {
	int keep, mem; /* stderr as it was, and for now; -1: not taken */
};

static void said_begin(struct said *s)
{
	fflush(stderr);
	s->mem = memfd_create("said", MFD_CLOEXEC);
	s->keep = s->mem < 0 ? -1 : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (s->keep >= 0)
		dup2(s->mem, STDERR_FILENO);
}

/* The last line, which is the most to the point. */
static void said_end(struct said *s, char *out, size_t room)
{
	char text[2000] = "", *line, *colon;
	ssize_t n = 0;

	fflush(stderr);
	if (s->keep >= 0) {
		dup2(s->keep, STDERR_FILENO);
		n = pread(s->mem, text, sizeof(text) - 1, 0);
		close(s->keep);
	}
	if (s->mem >= 0)
		close(s->mem);
	for (n = n > 0 ? n : 0; n && text[n - 1] == '\n'; n--)
		text[n - 1] = 0;
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	colon = strstr(line, ": "); /* who says it */
	snprintf(out, room, "%s", colon ? colon + 2 : line);
}

/* ---- what is missing ---------------------------------------------------------- */

static const char *device_problem(void)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd >= 0) {
		close(fd);
		return NULL;
	}
	switch (errno) {
	case ENOENT:
		return "there is no /dev/fuse: modprobe fuse; or, in a container, "
		       "give it the device (--device /dev/fuse)";
	case ENODEV:
	case ENXIO:
		return "the kernel has no FUSE: modprobe fuse";
	case EACCES:
	case EPERM:
		return "/dev/fuse may not be opened: let this user read and write it "
		       "(chmod 666 /dev/fuse), or mount as root";
	default:
		return strerror(errno);
	}
}

static bool find_program(const char *name, struct stat *st)
{
	const char *env = getenv("PATH");
	char *path, *save, *dir;
	bool found = false;

	if (asprintf(&path, "/usr/bin:/bin:/usr/local/bin:%s", env ? env : "") < 0)
		return true; /* who knows */
	for (dir = strtok_r(path, ":", &save); dir && !found; dir = strtok_r(NULL, ":", &save)) {
		char *file;

		if (asprintf(&file, "%s/%s", dir, name) < 0)
			break;
		found = !access(file, X_OK) && !stat(file, st);
		free(file);
	}
	free(path);
	return found;
}

/* It is what mounts for who is not root. */
static const char *helper_problem(void)
{
	struct stat st = { 0 };

	if (!find_program("fusermount3", &st))
		return "there is no fusermount3, which mounts for who is not root: install fuse3, "
		       "or mount as root";
	if (!(st.st_mode & S_ISUID) || st.st_uid)
		return "fusermount3 is not setuid root (chmod u+s), or mount as root";
	return NULL;
}

static void say_why(const struct options *o, const char *said)
{
	const char *why = device_problem();

	if (!why && strstr(said, "user_allow_other"))
		why = "allow_other and allow_root are for root, unless /etc/fuse.conf has a line "
		      "'user_allow_other'";
	if (!why && !strstr(said, "mountpoint") && geteuid())
		why = helper_problem();
	if (!why && strstr(said, strerror(EPERM)))
		why = "Operation not permitted: in a container, give it CAP_SYS_ADMIN, or a user "
		      "namespace of its own (unshare -Urm)";
	report(QC_LOG_ERROR, "mountpoint %s: %s", o->mountpoint,
	       why ? why : *said ? said : "the mount failed");
}

bool mount_session(struct fuse_session *session, const char *mountpoint, const struct options *o)
{
	struct said s;
	char said[1000];
	sigset_t ends, old;
	bool mounted;

	/* A signal that ends the daemon waits until it is mounted.  It would interrupt libfuse,
	 * which waits for its helper, after the mount is already there. */
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGHUP);
	said_begin(&s);
	pthread_sigmask(SIG_BLOCK, &ends, &old);
	mounted = !fuse_session_mount(session, mountpoint);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	said_end(&s, said, sizeof(said));
	if (!mounted)
		say_why(o, said);
	else if (*said)
		report(QC_LOG_WARN, "mountpoint %s: %s", o->mountpoint, said);
	return mounted;
}
