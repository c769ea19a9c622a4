/* SPDX-License-Identifier: MIT */
#include "daemon/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/options.h"
#include "daemon/libfuse_log.h"
#include "ops/fuse_api.h"
#include "util/report.h"

/* ---- stderr of fusermount3 ------------------------------------------------------ */

/* A pipe in place of stderr.  (A file in memory would be cut off by a limit of file sizes.) */
struct stderr_capture {
	int saved;  /* stderr as it was */
	int output; /* end of the pipe to read from */
};

static int begin_capture(struct stderr_capture *c)
{
	int ends[2], r = 0;

	fflush(stderr);
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK)) /* a full pipe must not block fusermount3 */
		return -errno;
	c->output = ends[0];
	c->saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (c->saved < 0) {
		r = -errno;
		close(ends[0]);
	} else {
		dup2(ends[1], STDERR_FILENO);
	}
	close(ends[1]);
	return r;
}

/* Restores stderr, and writes the last captured line without the name of its program, or "". */
static void end_capture(struct stderr_capture *c, char *out, size_t room)
{
	char text[4000] = "", *line, *colon;
	ssize_t n = 0;

	fflush(stderr);
	dup2(c->saved, STDERR_FILENO);
	close(c->saved);
	n = read(c->output, text, sizeof(text) - 1);
	close(c->output);
	for (n = n > 0 ? n : 0; n && text[n - 1] == '\n'; n--)
		text[n - 1] = 0;
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	colon = strstr(line, ": ");
	snprintf(out, room, "%s", colon ? colon + 2 : line);
}

/* ---- reasons of a failure ------------------------------------------------------- */

static const char *find_device_problem(void)
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

/* Looks for a program where libfuse and fusermount3 look for it. */
static bool find_program(const char *name, struct stat *st)
{
	const char *env = getenv("PATH");
	char *path, *save, *dir;
	bool found = false;

	if (asprintf(&path, "/usr/bin:/bin:/usr/local/bin:%s", env ? env : "") < 0)
		return true; /* cannot tell */
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

/* fusermount3 mounts for users other than root. */
static const char *find_helper_problem(void)
{
	struct stat st = { 0 };

	if (!find_program("fusermount3", &st))
		return "there is no fusermount3, which mounts for users other than root: install "
		       "fuse3, or mount as root";
	if (!(st.st_mode & S_ISUID) || st.st_uid)
		return "fusermount3 is not setuid root (chmod u+s), or mount as root";
	return NULL;
}

/* Ubuntu's profile of fusermount3 allows mountpoints in few folders only. */
static bool is_refused_by_apparmor(const char *message)
{
	return geteuid() && strstr(message, strerror(EACCES)) &&
	       !access("/etc/apparmor.d/fusermount3", F_OK);
}

static const char *find_option_problem(const struct options *o, const char *message)
{
	if (strstr(message, "user_allow_other"))
		return "allow_other and allow_root are for root, unless /etc/fuse.conf has a line "
		       "'user_allow_other'";
	if (o->set_context && geteuid() && strstr(message, "context"))
		return "context options are for root";
	if (o->set_context && strstr(message, strerror(EINVAL)) && access("/sys/fs/selinux", F_OK))
		return "the kernel has no SELinux, which context options are for";
	return NULL;
}

/* Reports why the mount failed.  @message is the last one of libfuse or fusermount3. */
static void report_mount_failure(const struct options *o, const char *message)
{
	const char *why = find_device_problem();

	if (!why)
		why = find_option_problem(o, message);
	if (!why && !strstr(message, "mountpoint") && geteuid())
		why = find_helper_problem();
	if (!why && is_refused_by_apparmor(message))
		why = "Permission denied: AppArmor's profile fusermount3 allows mounts in some folders only "
		      "(mount in your home, /mnt, /media or /tmp; or allow the folder in "
		      "/etc/apparmor.d/local/fusermount3, and run: apparmor_parser -r "
		      "/etc/apparmor.d/fusermount3)";
	if (!why && strstr(message, strerror(EPERM)))
		why = "Operation not permitted: in a container, give it CAP_SYS_ADMIN, or a user "
		      "namespace of its own (unshare -Urm)";
	report(QC_LOG_ERROR, "mountpoint %s: %s", o->mountpoint,
	       why ? why : *message ? message : "the mount failed");
}

static const int ending[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGXCPU };

bool mount_session(struct fuse_session *session, const char *mountpoint, const struct options *o)
{
	struct stderr_capture c = { -1, -1 };
	char message[1000];
	sigset_t ends, old;
	bool mounted;
	int r = begin_capture(&c);

	if (r) {
		report(QC_LOG_ERROR, "mountpoint %s: %s%s", o->mountpoint, strerror(-r), qc_errno_hint(r));
		return false;
	}
	/* A signal that ends the daemon waits until it is mounted.  It would interrupt libfuse,
	 * which waits for its helper, after the mount is already there. */
	sigemptyset(&ends);
	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
		sigaddset(&ends, ending[i]);
	pthread_sigmask(SIG_BLOCK, &ends, &old);
	mounted = !fuse_session_mount(session, mountpoint);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	end_capture(&c, message, sizeof(message));
	if (!*message)
		libfuse_log_last(message, sizeof(message));
	if (!mounted)
		report_mount_failure(o, message);
	else if (*message)
		report(QC_LOG_WARN, "mountpoint %s: %s", o->mountpoint, message);
	return mounted;
}
