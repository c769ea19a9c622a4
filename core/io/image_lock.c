/* SPDX-License-Identifier: MIT */
#include "io/image_lock.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

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

static qc_err refuse(int fd, const char *hint, struct qc_reason *why)
{
	char holder[400];

	name_holder(fd, holder, sizeof(holder));
	return qc_fail_as(why, QC_CAUSE_LOCKED, -EBUSY, "locked: %s has it open%s", holder, hint);
}

static qc_err take(int fd, const off_t *bytes, size_t n, const char *rules_hint,
		   struct qc_reason *why)
{
	for (size_t i = 0; i < n; i++) {
		qc_err r = set_lock(fd, F_RDLCK, bytes[i]);

		if (r == -EAGAIN || r == -EACCES)
			return refuse(fd, rules_hint, why);
		if (r)
			return qc_fail(why, r,
					 "cannot lock it (locking=off does without): %s",
					 strerror(-r));
	}
	return 0;
}

struct rules {
	off_t take[5], test[5]; /* 0 ends them */
	const char *hint;
};

/* Locks first and tests then; if somebody is in the way, unlocks again. */
static qc_err take_and_test(int fd, const struct rules *rules, struct qc_reason *why)
{
	size_t n = 0;
	qc_err r;

	while (n < 5 && rules->take[n])
		n++;
	r = take(fd, rules->take, n, rules->hint, why);
	for (size_t i = 0; !r && i < 5 && rules->test[i]; i++)
		if (is_held(fd, rules->test[i]))
			r = refuse(fd, rules->hint, why);
	for (size_t k = 0; r && k < n; k++)
		set_lock(fd, F_UNLCK, rules->take[k]);
	return r;
}

static const struct rules reading = {
	.take = { USED + CONSISTENT_READ, DENIED + WRITE, DENIED + RESIZE },
	.test = { DENIED + CONSISTENT_READ, USED + WRITE, USED + RESIZE },
	.hint = " for writing (locking=share reads it all the same)",
};

qc_err qc_image_lock_read(int fd, enum qc_locking how, bool *live, struct qc_reason *why)
{
	static const off_t sharing[] = { USED + CONSISTENT_READ };
	qc_err r;

	*live = false;
	switch (how) {
	case QC_LOCKING_OFF:
		return 0;
	case QC_LOCKING_SHARE:
		r = take(fd, sharing, 1, "", why);
		*live = !r && is_held(fd, USED + WRITE);
		return r;
	case QC_LOCKING_ON:
		break;
	}
	return take_and_test(fd, &reading, why);
}

qc_err qc_image_lock_write(int read_fd, int write_fd, enum qc_locking how,
			 struct qc_reason *why)
{
	static const struct rules writing = {
		.take = { USED + CONSISTENT_READ, USED + WRITE, USED + RESIZE, DENIED + WRITE,
			  DENIED + RESIZE },
		.test = { DENIED + CONSISTENT_READ, DENIED + WRITE, DENIED + RESIZE, USED + WRITE,
			  USED + RESIZE },
		.hint = "",
	};
	struct qc_reason ignored;
	qc_err r;

	if (how == QC_LOCKING_OFF)
		return 0;
	if (how == QC_LOCKING_SHARE)
		return qc_fail_as(why, QC_CAUSE_READONLY, -EROFS, "locking=share is for reading");
	/* Our own locks would be in the way. */
	set_lock(read_fd, F_UNLCK, DENIED + WRITE);
	set_lock(read_fd, F_UNLCK, DENIED + RESIZE);
	r = take_and_test(write_fd, &writing, why);
	if (r)
		take_and_test(read_fd, &reading, &ignored);
	return r;
}

void qc_image_lock_query(int fd, struct qc_locks *out)
{
	*out = (struct qc_locks){ 0 };
	for (unsigned int p = CONSISTENT_READ; p <= RESIZE; p++) {
		out->perm |= (unsigned int)is_held(fd, USED + (off_t)p) << p;
		out->unshared |= (unsigned int)is_held(fd, DENIED + (off_t)p) << p;
	}
}

qc_err qc_image_lock_test(int fd, enum qc_locking how, struct qc_reason *why)
{
	if (how != QC_LOCKING_ON)
		return 0;
	for (size_t i = 0; i < 5 && reading.test[i]; i++)
		if (is_held(fd, reading.test[i]))
			return refuse(fd, reading.hint, why);
	return 0;
}
