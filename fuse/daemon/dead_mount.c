/* SPDX-License-Identifier: MIT */
#include "daemon/dead_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/stat.h> /* struct statx, which some C libraries lack */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/unmount_helper.h"
#include "qcow.h"
#include "util/report.h"

enum { ANSWER_SECONDS = 20 }; /* a daemon that does not answer for so long is not dead */

/* A FUSE file system, as the mount table has it. */
struct fuse_mount {
	unsigned int uid, gid; /* of the user that mounted it */
};

/* Asks the daemon: the kernel can have attributes from a moment before the daemon died. */
static int read_type(int fd, const char *path, unsigned int flags)
{
	struct statx st;

	flags |= AT_NO_AUTOMOUNT | AT_STATX_FORCE_SYNC;
	return syscall(SYS_statx, fd, path, flags, STATX_TYPE, &st) ? -errno : 0;
}

static bool is_dead(int r)
{
	return r == -ENOTCONN || r == -ECONNABORTED;
}

/* Finds the FUSE file system at @path.  An empty mask of attributes asks no daemon, and needs no
 * permission. */
static bool find_fuse_mount(const char *path, struct fuse_mount *m)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, dev[30] = "", found[30];
	struct statx st;
	size_t room = 0;
	bool fuse = false;

	if (!syscall(SYS_statx, AT_FDCWD, path, AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, 0U, &st))
		snprintf(dev, sizeof(dev), "%u:%u", st.stx_dev_major, st.stx_dev_minor);
	while (f && !fuse && getline(&line, &room, f) > 0) {
		const char *type = strstr(line, " - fuse"), *id = type ? strstr(type, "user_id=") : NULL;

		fuse = id && sscanf(line, "%*d %*d %29s", found) == 1 && !strcmp(found, dev) &&
		       sscanf(id, "user_id=%u,group_id=%u", &m->uid, &m->gid) == 2;
	}
	free(line);
	if (f)
		fclose(f);
	return fuse;
}

/* Returns true if the mount is dead, as its user is told, in a process that becomes this user. */
static bool is_dead_for_its_user(const char *path, const struct fuse_mount *m)
{
	int fd = open(path, O_PATH | O_CLOEXEC), status = 0;
	pid_t child = fd < 0 ? -1 : fork();

	if (!child) {
		alarm(ANSWER_SECONDS); /* its default action ends the process */
		if (setgroups(0, NULL) || setresgid(m->gid, m->gid, m->gid) ||
		    setresuid(m->uid, m->uid, m->uid))
			_exit(0);
		_exit(is_dead(read_type(fd, "", AT_EMPTY_PATH)));
	}
	if (fd >= 0)
		close(fd);
	while (child > 0 && waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return child > 0 && WIFEXITED(status) && WEXITSTATUS(status);
}

/* Unmounts a dead file system.  realpath(3) fails for its path, but the kernel tells where an
 * O_PATH descriptor is, without symbolic links. */
static bool unmount_dead(const char *path)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	char self[40], real[PATH_MAX];
	ssize_t n;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	n = fd < 0 ? -1 : readlink(self, real, sizeof(real) - 1);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return false;
	real[n] = 0;
	return unmount_helper_run(real, UNMOUNT_LAZILY);
}

static enum exitcode report_foreign_mount(const char *path, const struct fuse_mount *m)
{
	report(QC_LOG_ERROR, "mountpoint %s: cannot mount there: only user %u may look into the file "
	       "system that is mounted there (as root: umount; as this user: fusermount3 -u)", path,
	       m->uid);
	return EXIT_MOUNT;
}

enum exitcode dead_mount_clear(const char *path)
{
	int r = read_type(AT_FDCWD, path, 0);
	struct fuse_mount m;

	if ((!is_dead(r) && r != -EACCES) || !find_fuse_mount(path, &m))
		return EXIT_OK;
	if (r == -EACCES && m.uid == geteuid())
		return EXIT_OK; /* the permissions of a folder above are the reason */
	if (r == -EACCES && (geteuid() || !is_dead_for_its_user(path, &m)))
		return report_foreign_mount(path, &m);
	if (unmount_dead(path)) {
		report(QC_LOG_WARN, "mountpoint %s: unmounted what a killed daemon had left there", path);
		return EXIT_OK;
	}
	report(QC_LOG_ERROR, "mountpoint %s: cannot mount there: a daemon of user %u was killed and has "
	       "left its mount (as root: umount; as this user: fusermount3 -u -z)", path, m.uid);
	return EXIT_MOUNT;
}
