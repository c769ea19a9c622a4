/* SPDX-License-Identifier: MIT */
/*
 * record.c - records the system calls of a program on some files.
 *
 *	RECORD_LOG=log RECORD_FILES=img:d.data LD_PRELOAD=./record.so PROGRAM
 *
 * The functions here replace those of libc, and call them.  The log file must exist,
 * and be large enough.  It is mapped, so writing it takes no system call, which the
 * sandbox of the program might refuse.
 *
 * Its first word is the number of bytes in use.  There is one event, in the byte order
 * of the machine, for the begin of a call and one for its end.  So the log tells which
 * calls a sync can cover, and which were in flight at the same time.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum what { END, WRITE, SYNC, RESIZE, PUNCH };
enum { FILES = 4, NONE = -1 };

struct event {
	uint32_t what, file;
	uint64_t off, len; /* END: of what; its result */
};

static struct {
	pthread_mutex_t lock;
	uint8_t *log;
	uint64_t room;
	struct stat file[FILES];
	int files;
} rec = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void fatal(const char *what)
{
	fprintf(stderr, "record: %s: %s\n", what, strerror(errno));
	abort();
}

static void __attribute__((constructor)) record_open(void)
{
	const char *log = getenv("RECORD_LOG"), *names = getenv("RECORD_FILES");
	char *copy, *rest, *name;
	struct stat st;
	int fd;

	if (!log || !names)
		return;
	fd = open(log, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		fatal(log);
	rec.room = (uint64_t)st.st_size;
	rec.log = mmap(NULL, rec.room, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (rec.log == MAP_FAILED)
		fatal(log);
	copy = rest = strdup(names);
	while ((name = strsep(&rest, ":")) && rec.files < FILES)
		if (stat(name, &rec.file[rec.files++]))
			fatal(name);
	free(copy);
}

/* Which of the files it is. */
static int file_of(int fd)
{
	struct stat st;
	int kept = errno, found = NONE;

	if (!rec.files || fstat(fd, &st))
		st.st_ino = 0;
	for (int i = 0; st.st_ino && i < rec.files; i++)
		if (rec.file[i].st_dev == st.st_dev && rec.file[i].st_ino == st.st_ino)
			found = i;
	errno = kept;
	return found;
}

/* Its place in the log is its name. */
static uint64_t note(struct event e, const struct iovec *iov, int n)
{
	uint64_t at, len = sizeof(e) + (e.what == WRITE ? e.len : 0);

	if (pthread_mutex_lock(&rec.lock))
		abort();
	memcpy(&at, rec.log, sizeof(at));
	if (len > rec.room || at > rec.room - len) {
		errno = ENOSPC;
		fatal("the log is full");
	}
	memcpy(rec.log + at, &e, sizeof(e));
	len = at + sizeof(e);
	for (int i = 0; i < n; len += iov[i++].iov_len)
		memcpy(rec.log + len, iov[i].iov_base, iov[i].iov_len);
	len = (len + 7) / 8 * 8;
	__atomic_store_n((uint64_t *)(void *)rec.log, len, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&rec.lock);
	return at;
}

static int64_t note_end(int file, uint64_t begun, int64_t result)
{
	int kept = errno;

	note((struct event){ END, (uint32_t)file, begun, (uint64_t)result }, NULL, 0);
	errno = kept;
	return result;
}

#define REAL(name)                                                                    \
	static __typeof__(&name) real;                                                \
	if (!real)                                                                    \
		real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static uint64_t begin_write(int file, off_t off, const struct iovec *iov, int n)
{
	uint64_t len = 0;

	for (int i = 0; i < n; i++)
		len += iov[i].iov_len;
	return note((struct event){ WRITE, (uint32_t)file, (uint64_t)off, len }, iov, n);
}

/* ---- the calls, under both of the names that they have -------------------------- */

#define PWRITE(name)                                                                  \
	ssize_t name(int fd, const void *buf, size_t len, off_t off)                  \
	{                                                                             \
		struct iovec iov = { (void *)(uintptr_t)buf, len };                   \
		int file = file_of(fd);                                               \
		uint64_t begun;                                                       \
		REAL(name);                                                           \
		if (file < 0)                                                         \
			return real(fd, buf, len, off);                               \
		begun = begin_write(file, off, &iov, 1);                              \
		return note_end(file, begun, real(fd, buf, len, off));                \
	}
PWRITE(pwrite)
PWRITE(pwrite64)

#define PWRITEV(name)                                                                 \
	ssize_t name(int fd, const struct iovec *iov, int n, off_t off)               \
	{                                                                             \
		int file = file_of(fd);                                               \
		uint64_t begun;                                                       \
		REAL(name);                                                           \
		if (file < 0)                                                         \
			return real(fd, iov, n, off);                                 \
		begun = begin_write(file, off, iov, n);                               \
		return note_end(file, begun, real(fd, iov, n, off));                  \
	}
PWRITEV(pwritev)
PWRITEV(pwritev64)

#define PWRITEV2(name)                                                                \
	ssize_t name(int fd, const struct iovec *iov, int n, off_t off, int flags)    \
	{                                                                             \
		int file = file_of(fd);                                               \
		uint64_t begun;                                                       \
		REAL(name);                                                           \
		if (file < 0)                                                         \
			return real(fd, iov, n, off, flags);                          \
		begun = begin_write(file, off, iov, n);                               \
		return note_end(file, begun, real(fd, iov, n, off, flags));           \
	}
PWRITEV2(pwritev2)
PWRITEV2(pwritev64v2)

#define FTRUNCATE(name)                                                               \
	int name(int fd, off_t size)                                                  \
	{                                                                             \
		int file = file_of(fd);                                               \
		struct event e = { RESIZE, (uint32_t)file, (uint64_t)size, 0 };       \
		uint64_t begun;                                                       \
		REAL(name);                                                           \
		if (file < 0)                                                         \
			return real(fd, size);                                        \
		begun = note(e, NULL, 0);                                             \
		return (int)note_end(file, begun, real(fd, size));                    \
	}
FTRUNCATE(ftruncate)
FTRUNCATE(ftruncate64)

#define FALLOCATE(name)                                                               \
	int name(int fd, int mode, off_t off, off_t len)                              \
	{                                                                             \
		int file = file_of(fd);                                               \
		struct event e = { PUNCH, (uint32_t)file, (uint64_t)off, (uint64_t)len }; \
		uint64_t begun;                                                       \
		REAL(name);                                                           \
		if (file < 0)                                                         \
			return real(fd, mode, off, len);                              \
		if (mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)) {           \
			errno = ENOTSUP;                                              \
			fatal("a mode of fallocate that cannot be noted");            \
		}                                                                     \
		begun = note(e, NULL, 0);                                             \
		return (int)note_end(file, begun, real(fd, mode, off, len));          \
	}
FALLOCATE(fallocate)
FALLOCATE(fallocate64)

#define SYNCS(name)                                                                   \
	int name(int fd)                                                              \
	{                                                                             \
		int file = file_of(fd);                                               \
		struct event e = { SYNC, (uint32_t)file, 0, 0 };                      \
		uint64_t begun;                                                       \
		REAL(name);                                                           \
		if (file < 0)                                                         \
			return real(fd);                                              \
		begun = note(e, NULL, 0);                                             \
		return (int)note_end(file, begun, real(fd));                          \
	}
SYNCS(fsync)
SYNCS(fdatasync)
