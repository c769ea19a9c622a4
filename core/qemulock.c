/* SPDX-License-Identifier: MIT */
#include "qemulock.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

enum perm { CONSISTENT_READ, WRITE, WRITE_UNCHANGED, RESIZE };
enum { USED = 100, DENIED = 200 };

static qc_err set_lock(int fd, short type, off_t byte)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

	return fcntl(fd, F_OFD_SETLK, &l) ? -errno : 0;
}

/* Whether another open file holds any lock on the byte. */
static bool is_held(int fd, off_t byte)
{
	struct flock l = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1
	};

	return !fcntl(fd, F_OFD_GETLK, &l) && l.l_type != F_UNLCK;
}

/* ---- who holds it: /proc tells of our own processes, and root of all ---- */

static bool fd_has_ofd_lock(const char *pid, const char *fd)
{
	char path[600], line[200];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/fdinfo/%s", pid, fd);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f))
		found = !strncmp(line, "lock:", 5) && strstr(line, "OFDLCK");
	fclose(f);
	return found;
}

static bool holds(const char *pid, const struct stat *file)
{
	char path[600];
	struct dirent *e;
	bool found = false;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	d = opendir(path);
	if (!d)
		return false;
	while (!found && (e = readdir(d))) {
		struct stat st;

		if (fstatat(dirfd(d), e->d_name, &st, 0))
			continue;
		found = st.st_dev == file->st_dev && st.st_ino == file->st_ino &&
			fd_has_ofd_lock(pid, e->d_name);
	}
	closedir(d);
	return found;
}

static void name_process(const char *pid, char *out, size_t size)
{
	char path[300], comm[64] = "?";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	f = fopen(path, "re");
	if (f) {
		if (fgets(comm, sizeof(comm), f))
			comm[strcspn(comm, "\n")] = 0;
		fclose(f);
	}
	snprintf(out, size, "%s (process %s)", comm, pid);
}

static void name_holder(int fd, char *out, size_t size)
{
	struct dirent *e;
	struct stat file;
	DIR *d;

	snprintf(out, size, "another program");
	d = fstat(fd, &file) ? NULL : opendir("/proc");
	while (d && (e = readdir(d))) {
		if (!isdigit((unsigned char)e->d_name[0]) || atol(e->d_name) == getpid() ||
		    !holds(e->d_name, &file))
			continue;
		name_process(e->d_name, out, size);
		break;
	}
	if (d)
		closedir(d);
}

/* ------------------------------------------------------------------------- */

static qc_err refuse(int fd, struct qc_reason *why)
{
	char holder[400];

	name_holder(fd, holder, sizeof(holder));
	qc_refuse(why, -EBUSY, "locked: %s has it open for writing (locking=share reads it all "
			       "the same)", holder);
	why->cause = QC_CAUSE_LOCKED;
	return -EBUSY;
}

static qc_err take(int fd, const off_t *bytes, size_t n, struct qc_reason *why)
{
	for (size_t i = 0; i < n; i++) {
		qc_err r = set_lock(fd, F_RDLCK, bytes[i]);

		if (r == -EAGAIN || r == -EACCES)
			return refuse(fd, why);
		if (r)
			return qc_refuse(why, r,
					 "cannot lock it (locking=off does without): %s",
					 strerror(-r));
	}
	return 0;
}

qc_err qc_qemulock_read(int fd, enum qc_locking how, bool *live, struct qc_reason *why)
{
	static const off_t alone[] = { USED + CONSISTENT_READ, DENIED + WRITE, DENIED + RESIZE };
	static const off_t against[] = { DENIED + CONSISTENT_READ, USED + WRITE, USED + RESIZE };
	qc_err r;

	*live = false;
	if (how == QC_LOCKING_OFF)
		return 0;
	r = take(fd, alone, how == QC_LOCKING_SHARE ? 1 : 3, why);
	if (!r && how == QC_LOCKING_SHARE)
		*live = is_held(fd, USED + WRITE);
	if (r || how == QC_LOCKING_SHARE)
		return r;
	for (size_t i = 0; i < 3; i++) {
		if (!is_held(fd, against[i]))
			continue;
		for (size_t k = 0; k < 3; k++)
			set_lock(fd, F_UNLCK, alone[k]);
		return refuse(fd, why);
	}
	return 0;
}
