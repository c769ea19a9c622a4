/* SPDX-License-Identifier: MIT */
#include "io/image_lock.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/log.h"

/* Permissions, and the bytes of their locks (QEMU: BLK_PERM_*, block/file-posix.c). */
enum perm { CONSISTENT_READ, WRITE, WRITE_UNCHANGED, RESIZE };
enum { PERM = 100, UNSHARED = 200 };

static qc_err set_ofd_lock(int fd, short type, off_t byte)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

	return fcntl(fd, F_OFD_SETLK, &l) ? -errno : 0;
}

/* Returns true if another open file description holds a lock on the byte. */
static bool is_locked_by_other(int fd, off_t byte)
{
	struct flock l = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1
	};

	return !fcntl(fd, F_OFD_GETLK, &l) && l.l_type != F_UNLCK;
}

/* ---- the holder of a lock, from /proc; other users' processes only for root ---- */

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

static bool process_locks_file(const char *pid, const struct stat *file)
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
		struct statx st;

		/* Without AT_STATX_DONT_SYNC a file server that hangs would hang the caller, too. */
		if (statx(dirfd(d), e->d_name, AT_STATX_DONT_SYNC, STATX_INO, &st))
			continue;
		found = makedev(st.stx_dev_major, st.stx_dev_minor) == file->st_dev &&
			st.stx_ino == file->st_ino && fd_has_ofd_lock(pid, e->d_name);
	}
	closedir(d);
	return found;
}

static void describe_process(const char *pid, char *out, size_t size)
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

static void describe_holder(int fd, char *out, size_t size)
{
	struct dirent *e;
	struct stat file;
	DIR *d;

	snprintf(out, size, "another program");
	d = fstat(fd, &file) ? NULL : opendir("/proc");
	while (d && (e = readdir(d))) {
		if (!isdigit((unsigned char)e->d_name[0]) || atol(e->d_name) == getpid() ||
		    !process_locks_file(e->d_name, &file))
			continue;
		describe_process(e->d_name, out, size);
		break;
	}
	if (d)
		closedir(d);
}

/* ------------------------------------------------------------------------- */

static qc_err fail_locked(int fd, const char *hint, struct qc_reason *why)
{
	char holder[400];

	describe_holder(fd, holder, sizeof(holder));
	return qc_fail_as(why, QC_CAUSE_LOCKED, -EBUSY, "locked: %s has it open%s", holder, hint);
}

static qc_err acquire_lock_bytes(int fd, const off_t *bytes, size_t n, const char *hint,
				 struct qc_reason *why)
{
	for (size_t i = 0; i < n; i++) {
		qc_err r = set_ofd_lock(fd, F_RDLCK, bytes[i]);

		if (r == -EAGAIN || r == -EACCES)
			return fail_locked(fd, hint, why);
		if (r)
			return qc_fail(why, r, "cannot lock: %s (locking=off takes no locks)",
				       strerror(-r));
	}
	return 0;
}

struct lock_rules {
	off_t take[5]; /* bytes to lock; 0 ends the list */
	off_t test[5]; /* bytes that must not be locked by others */
	const char *hint;
};

/* Locks all bytes and then tests; unlocks them again if another program is in the way. */
static qc_err acquire_and_test(int fd, const struct lock_rules *rules, struct qc_reason *why)
{
	size_t n = 0;
	qc_err r;

	while (n < 5 && rules->take[n])
		n++;
	r = acquire_lock_bytes(fd, rules->take, n, rules->hint, why);
	for (size_t i = 0; !r && i < 5 && rules->test[i]; i++)
		if (is_locked_by_other(fd, rules->test[i]))
			r = fail_locked(fd, rules->hint, why);
	for (size_t k = 0; r && k < n; k++)
		set_ofd_lock(fd, F_UNLCK, rules->take[k]);
	return r;
}

static const struct lock_rules reading = {
	.take = { PERM + CONSISTENT_READ, UNSHARED + WRITE, UNSHARED + RESIZE },
	.test = { UNSHARED + CONSISTENT_READ, PERM + WRITE, PERM + RESIZE },
	.hint = " for writing (locking=share reads it anyway)",
};

qc_err qc_image_lock_read(int fd, enum qc_locking how, bool *has_writer, struct qc_reason *why)
{
	static const off_t sharing[] = { PERM + CONSISTENT_READ };
	qc_err r;

	*has_writer = false;
	switch (how) {
	case QC_LOCKING_OFF:
		return 0;
	case QC_LOCKING_SHARE:
		r = acquire_lock_bytes(fd, sharing, 1, "", why);
		*has_writer = !r && is_locked_by_other(fd, PERM + WRITE);
		return r;
	case QC_LOCKING_ON:
		break;
	}
	return acquire_and_test(fd, &reading, why);
}

qc_err qc_image_lock_write(int read_fd, int write_fd, enum qc_locking how,
			 struct qc_reason *why)
{
	static const struct lock_rules writing = {
		.take = { PERM + CONSISTENT_READ, PERM + WRITE, PERM + RESIZE, UNSHARED + WRITE,
			  UNSHARED + RESIZE },
		.test = { UNSHARED + CONSISTENT_READ, UNSHARED + WRITE, UNSHARED + RESIZE,
			  PERM + WRITE, PERM + RESIZE },
		.hint = "",
	};
	struct qc_reason ignored;
	qc_err r;

	if (how == QC_LOCKING_OFF)
		return 0;
	if (how == QC_LOCKING_SHARE)
		return qc_fail_as(why, QC_CAUSE_READONLY, -EROFS,
				  "cannot write with locking=share (locking=on can)");
	/* The tests would find our own locks for reading. */
	set_ofd_lock(read_fd, F_UNLCK, UNSHARED + WRITE);
	set_ofd_lock(read_fd, F_UNLCK, UNSHARED + RESIZE);
	r = acquire_and_test(write_fd, &writing, why);
	if (r)
		acquire_and_test(read_fd, &reading, &ignored);
	return r;
}

void qc_image_lock_query(int fd, struct qc_locks *out)
{
	*out = (struct qc_locks){ 0 };
	for (unsigned int p = CONSISTENT_READ; p <= RESIZE; p++) {
		out->perm |= (unsigned int)is_locked_by_other(fd, PERM + (off_t)p) << p;
		out->unshared |= (unsigned int)is_locked_by_other(fd, UNSHARED + (off_t)p) << p;
	}
}

qc_err qc_image_lock_test(int fd, enum qc_locking how, struct qc_reason *why)
{
	if (how != QC_LOCKING_ON)
		return 0;
	for (size_t i = 0; i < 5 && reading.test[i]; i++)
		if (is_locked_by_other(fd, reading.test[i]))
			return fail_locked(fd, reading.hint, why);
	return 0;
}
