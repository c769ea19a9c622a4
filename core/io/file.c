/* SPDX-License-Identifier: MIT */
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/range.h"

/* From include/uapi/linux/fs.h of Linux 6.14. */
#ifndef RWF_DONTCACHE
#define RWF_DONTCACHE 0x80
#endif

enum {
	STREAM_BYTES = 64 * 1024,
	DIRECT_BYTES = 256 * 1024, /* the least write that is worth a wait for the disk */
	DIRECT_TRIAL_BYTES = 32 << 20,
	DIRECT_SLOW_NS = 20 * 1000 * 1000, /* of a write, for each MiB */
};

struct fd_file {
	struct qc_file file;
	int fd;
	int direct_fd; /* the same file with O_DIRECT; -1: not open */
	atomic_bool no_direct;
	uint64_t cached_max; /* bytes that go to the page cache before direct writes begin */
	_Atomic uint64_t cached_bytes;
	_Atomic uint64_t direct_bytes, direct_ns; /* of the writes that returned */
	bool block; /* a block device: fstat() gives no size */
	atomic_bool no_stream; /* the kernel or file system has no RWF_DONTCACHE */
	_Atomic uint64_t end;  /* size of the file; only a hint */
};

static struct fd_file *to_fd_file(struct qc_file *f)
{
	return (struct fd_file *)f;
}

static qc_err fd_read(struct qc_file *f, uint64_t off, void *buf, size_t len, size_t *got)
{
	size_t done = 0;

	if (FAIL_POINT("io.read"))
		return -EIO;
	len = (size_t)range_clamp(off, len, INT64_MAX);
	while (done < len) {
		ssize_t n = pread(to_fd_file(f)->fd, (uint8_t *)buf + done, len - done,
				  (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	*got = done;
	return 0;
}

static int64_t to_nanoseconds(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static qc_err fd_size(struct qc_file *f, uint64_t *out)
{
	off_t end = lseek(to_fd_file(f)->fd, 0, SEEK_END);

	*out = (uint64_t)end;
	return end < 0 ? -errno : 0;
}

static qc_err fd_stat(struct qc_file *f, struct qc_file_stat *out)
{
	struct stat st;

	if (fstat(to_fd_file(f)->fd, &st))
		return -errno;
	*out = (struct qc_file_stat){
		.dev = st.st_dev,
		.ino = st.st_ino,
		.size = (uint64_t)st.st_size,
		.mtime_ns = to_nanoseconds(st.st_mtim),
		.ctime_ns = to_nanoseconds(st.st_ctim),
		.is_block_device = to_fd_file(f)->block,
		.names = S_ISREG(st.st_mode) ? st.st_nlink : 0,
		.allocated = (uint64_t)st.st_blocks * 512,
	};
	return to_fd_file(f)->block ? fd_size(f, &out->size) : 0;
}

/* Without support of the file system for SEEK_HOLE, the whole file is data. */
static qc_err fd_extent(struct qc_file *f, uint64_t off, struct qc_extent *out)
{
	off_t at = (off_t)off, next = lseek(to_fd_file(f)->fd, at, SEEK_DATA);

	out->data = next == at;
	if (next < 0 && errno == ENXIO) {
		next = lseek(to_fd_file(f)->fd, 0, SEEK_END);
		out->data = false;
	} else if (next < 0 || out->data) {
		out->data = true;
		next = lseek(to_fd_file(f)->fd, at, SEEK_HOLE);
		if (next < 0)
			next = lseek(to_fd_file(f)->fd, 0, SEEK_END);
	}
	if (next < 0)
		return -errno;
	if (next <= at) /* the file was truncated during the call */
		return -EIO;
	out->len = (uint64_t)(next - at);
	return 0;
}

/* Returns true for a large appending write: typically a disk is being copied.
 * RWF_DONTCACHE then makes the kernel write the pages back at once and reuse them, which
 * is twice as fast as filling the page cache.  A reader still finds the data in the page
 * cache of the mount. */
static bool is_stream(struct fd_file *f, uint64_t off, size_t len)
{
	uint64_t end = atomic_load_explicit(&f->end, memory_order_relaxed);

	if (off + len > end) /* two writers may race: only a hint */
		atomic_store_explicit(&f->end, off + len, memory_order_relaxed);
	return off >= end && len >= STREAM_BYTES &&
	       !atomic_load_explicit(&f->no_stream, memory_order_relaxed);
}

static ssize_t write_once(struct fd_file *f, uint64_t off, const void *buf, size_t len,
			  bool stream)
{
#ifdef HAVE_PWRITEV2
	struct iovec all = { (void *)buf, len }; /* the kernel does not change it */
	ssize_t n;

	if (!stream)
		return pwrite(f->fd, buf, len, (off_t)off);
	n = pwritev2(f->fd, &all, 1, (off_t)off, RWF_DONTCACHE);
	if (n >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL))
		return n;
	atomic_store(&f->no_stream, true);
#else
	(void)stream;
#endif
	return pwrite(f->fd, buf, len, (off_t)off);
}

/* ---- direct writes ----------------------------------------------------------- */

static bool is_aligned(uint64_t n)
{
	return n % QC_DIRECT_ALIGN == 0;
}

/* Counts a direct write.  A disk that is slow in the first writes gets no more of them: the page
 * cache takes the data at once, and the kernel writes it back later. */
static void note_direct_write(struct fd_file *f, size_t len, uint64_t ns)
{
	uint64_t bytes = atomic_fetch_add(&f->direct_bytes, len) + len;
	uint64_t total = atomic_fetch_add(&f->direct_ns, ns) + ns;

	if (bytes >= DIRECT_TRIAL_BYTES && bytes < 2 * DIRECT_TRIAL_BYTES &&
	    total / (bytes >> 20) > DIRECT_SLOW_NS)
		atomic_store(&f->no_direct, true);
}

static uint64_t read_clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)to_nanoseconds(t);
}

/* Writes past the page cache, if that is wanted and possible.  Returns the bytes that it wrote,
 * 0 if the page cache is to be used; else -1 and errno. */
static ssize_t try_direct_write(struct fd_file *f, uint64_t off, const void *buf, size_t len)
{
	uint64_t began;
	ssize_t n;

	if (f->direct_fd < 0 || len < DIRECT_BYTES || !is_aligned(off) || !is_aligned(len) ||
	    !is_aligned((uintptr_t)buf) || atomic_load_explicit(&f->no_direct, memory_order_relaxed))
		return 0;
	if (atomic_fetch_add_explicit(&f->cached_bytes, len, memory_order_relaxed) < f->cached_max)
		return 0;
	began = read_clock_ns();
	n = pwrite(f->direct_fd, buf, len, (off_t)off);
	if (n < 0 && errno == EINVAL) { /* the device has a larger alignment */
		atomic_store(&f->no_direct, true);
		return 0;
	}
	if (n > 0)
		note_direct_write(f, (size_t)n, read_clock_ns() - began);
	return n;
}

/* Returns how much the page cache takes at the speed of memory.  Beyond a tenth of the memory
 * that is free the kernel begins to write pages back (vm.dirty_background_ratio), and beyond a fifth
 * it slows writers down. */
static uint64_t cached_bytes_max(void)
{
#ifdef QC_FAILPOINTS
	return 0; /* tests write little */
#else
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

	return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size / 16 : 0;
#endif
}

void qc_file_enable_direct(struct qc_file *file)
{
	struct fd_file *f = to_fd_file(file);

	f->cached_max = cached_bytes_max();
	if (f->direct_fd < 0)
		f->direct_fd = qc_reopen(f->fd, O_WRONLY | O_DIRECT | O_NONBLOCK | O_NOCTTY);
}

/* ---- writes --------------------------------------------------------------------- */

static qc_err fd_write(struct qc_file *f, uint64_t off, const void *buf, size_t len)
{
	size_t done = 0;
	bool stream;

	if (FAIL_POINT("io.write"))
		return -EIO;
	if (!range_inside(off, len, INT64_MAX))
		return -EFBIG;
	stream = is_stream(to_fd_file(f), off, len) && to_fd_file(f)->direct_fd < 0;
	while (done < len) {
		const uint8_t *at = (const uint8_t *)buf + done;
		ssize_t n = try_direct_write(to_fd_file(f), off + done, at, len - done);

		if (n == 0)
			n = write_once(to_fd_file(f), off + done, at, len - done, stream);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return 0;
}

static qc_err fd_sync(struct qc_file *f)
{
	if (FAIL_POINT("io.sync"))
		return -EIO;
	return fdatasync(to_fd_file(f)->fd) ? -errno : 0;
}

static qc_err fd_resize(struct qc_file *f, uint64_t size)
{
	if (ftruncate(to_fd_file(f)->fd, (off_t)size))
		return -errno;
	atomic_store(&to_fd_file(f)->end, size);
	return 0;
}

static qc_err fd_punch(struct qc_file *f, uint64_t off, uint64_t len)
{
	return fallocate(to_fd_file(f)->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off,
			 (off_t)len) ? -errno : 0;
}

static int fd_fd(const struct qc_file *f)
{
	return ((const struct fd_file *)f)->fd;
}

static void fd_close(struct qc_file *f)
{
	if (to_fd_file(f)->direct_fd >= 0)
		close(to_fd_file(f)->direct_fd);
	close(to_fd_file(f)->fd);
	free(f);
}

static const struct qc_file_ops fd_ops = {
	.read = fd_read,
	.stat = fd_stat,
	.size = fd_size,
	.extent = fd_extent,
	.write = fd_write,
	.sync = fd_sync,
	.resize = fd_resize,
	.punch = fd_punch,
	.fd = fd_fd,
	.close = fd_close,
};

#ifdef QC_FAILPOINTS
const struct qc_file_ops *(*qc_file_interpose)(const struct qc_file_ops *real);
#endif

static const struct qc_file_ops *choose_ops(void)
{
#ifdef QC_FAILPOINTS
	if (qc_file_interpose)
		return qc_file_interpose(&fd_ops);
#endif
	return &fd_ops;
}

qc_err qc_file_of_fd(int fd, struct qc_file **out)
{
	struct fd_file *f;
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->file.ops = choose_ops();
	f->fd = fd;
	f->direct_fd = -1;
	f->block = S_ISBLK(st.st_mode);
	atomic_init(&f->end, f->block ? UINT64_MAX : (uint64_t)st.st_size);
	*out = &f->file;
	return 0;
}

qc_err qc_file_read(struct qc_file *f, uint64_t off, void *buf, size_t len, size_t *got)
{
	qc_err r = f->ops->read(f, off, buf, len, got);

	if (!r && *got < len)
		memset((uint8_t *)buf + *got, 0, len - *got);
	return r;
}

void qc_file_prefetch(const struct qc_file *f, uint64_t off, uint64_t len)
{
	int fd = qc_file_fd(f);

	if (fd >= 0 && range_inside(off, len, INT64_MAX))
		posix_fadvise(fd, (off_t)off, (off_t)len, POSIX_FADV_WILLNEED);
}
