/* SPDX-License-Identifier: MIT */
#include "daemon/mountpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/stat.h> /* struct statx, which some C libraries lack */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/unmount_helper.h"
#include "qcow.h"
#include "util/report.h"

/* linux/stat.h has the mode bits, too, but sys/stat.h would define struct statx again. */
enum { TYPE_MASK = 0170000, TYPE_DIR = 0040000, TYPE_FILE = 0100000, TYPE_DEVICE = 0020000 };

/* Reads attributes.  With AT_STATX_DONT_SYNC a FUSE file system is not asked: that would block
 * before it serves requests, and fail when its daemon is dead. */
static int read_attributes(const char *path, int flags, struct statx *st)
{
	return syscall(SYS_statx, AT_FDCWD, path, AT_NO_AUTOMOUNT | flags, STATX_TYPE, st) ? -errno : 0;
}

/* ---- a mount whose daemon is dead ----------------------------------------------- */

/* Returns true if the mount table has a FUSE file system with this device number. */
static bool is_fuse_device(uint32_t major, uint32_t minor)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, dev[30], found[30];
	size_t room = 0;
	bool fuse = false;

	snprintf(dev, sizeof(dev), "%u:%u", major, minor);
	while (f && !fuse && getline(&line, &room, f) > 0) {
		const char *type = strstr(line, " - ");

		fuse = sscanf(line, "%*d %*d %29s", found) == 1 && !strcmp(found, dev) && type &&
		       !strncmp(type + 3, "fuse", 4);
	}
	free(line);
	if (f)
		fclose(f);
	return fuse;
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

enum exitcode mountpoint_clear(const char *path)
{
	struct statx st;
	int r = read_attributes(path, 0, &st);

	if ((r != -ENOTCONN && r != -ECONNABORTED) ||
	    read_attributes(path, AT_STATX_DONT_SYNC, &st) ||
	    !is_fuse_device(st.stx_dev_major, st.stx_dev_minor))
		return EXIT_OK;
	if (unmount_dead(path)) {
		report(QC_LOG_WARN, "mountpoint %s: unmounted what a killed daemon had left there", path);
		return EXIT_OK;
	}
	report(QC_LOG_ERROR, "mountpoint %s: cannot mount there: a daemon was killed and has left its "
	       "mount (as root or as its user: umount, or fusermount3 -u -z)", path);
	return EXIT_MOUNT;
}

/* ---- before the mount ------------------------------------------------------------ */

/* Returns N if the path is /dev/fd/N, else -1. */
static int fd_of_path(const char *path)
{
	unsigned int n;
	char end;

	return sscanf(path, "/dev/fd/%u%c", &n, &end) == 1 && n <= INT32_MAX ? (int)n : -1;
}

static enum exitcode find_fuse_fd(struct mountpoint *m, const char *path, int fd)
{
	struct statx st, dev;

	m->is_fuse_fd = m->is_dir = true;
	m->path = strdup(path);
	if (!m->path)
		report(QC_LOG_ERROR, "mountpoint %s: out of memory", path);
	else if (fcntl(fd, F_GETFD) < 0)
		report(QC_LOG_ERROR, "mountpoint %s: no such descriptor is open", path);
	else if (read_attributes(path, 0, &st) || read_attributes("/dev/fuse", 0, &dev) ||
		 (st.stx_mode & TYPE_MASK) != TYPE_DEVICE || st.stx_rdev_major != dev.stx_rdev_major ||
		 st.stx_rdev_minor != dev.stx_rdev_minor)
		report(QC_LOG_ERROR, "mountpoint %s: the descriptor is not of /dev/fuse", path);
	else
		return EXIT_OK;
	return EXIT_MOUNT;
}

enum exitcode mountpoint_find(struct mountpoint *m, const char *path)
{
	int fd = fd_of_path(path);
	struct statx st;

	if (fd >= 0)
		return find_fuse_fd(m, path, fd);
	m->path = realpath(path, NULL);
	if (!m->path || read_attributes(m->path, 0, &st)) {
		report(QC_LOG_ERROR, "mountpoint %s: %s%s", path, strerror(errno),
		       errno == ENOENT ? " (mkdir makes one)" : qc_errno_hint(-errno));
		return EXIT_MOUNT;
	}
	m->is_dir = (st.stx_mode & TYPE_MASK) == TYPE_DIR;
	if (m->is_dir || (st.stx_mode & TYPE_MASK) == TYPE_FILE)
		return EXIT_OK;
	report(QC_LOG_ERROR, "mountpoint %s: neither a folder nor a regular file, of which one is needed",
	       path);
	return EXIT_USAGE;
}

/* ---- after the mount ------------------------------------------------------------- */

void mountpoint_note_mounted(struct mountpoint *m)
{
	struct statx st;

	if (m->is_fuse_fd || read_attributes(m->path, AT_STATX_DONT_SYNC, &st))
		return;
	m->dev_major = st.stx_dev_major;
	m->dev_minor = st.stx_dev_minor;
}

bool mountpoint_is_mounted(const struct mountpoint *m)
{
	struct statx st;

	return !m->is_fuse_fd && (m->dev_major || m->dev_minor) &&
	       !read_attributes(m->path, AT_STATX_DONT_SYNC, &st) &&
	       st.stx_dev_major == m->dev_major && st.stx_dev_minor == m->dev_minor;
}

void mountpoint_free(struct mountpoint *m)
{
	free(m->path);
	*m = (struct mountpoint){ 0 };
}
