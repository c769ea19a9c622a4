/* SPDX-License-Identifier: MIT */
#include "daemon/mountpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h> /* struct statx, which some C libraries lack */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

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
