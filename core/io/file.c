/* SPDX-License-Identifier: MIT */
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/range.h"

/* (include/uapi/linux/fs.h; of Linux 6.14) */
#ifndef RWF_DONTCACHE
#define RWF_DONTCACHE 0x80
#endif

enum { STREAM_BYTES = 64 * 1024 };

struct fd_file {
	struct qc_file file;
	int fd;
	bool block; /* a block device, of which fstat tells no size */
	atomic_bool no_stream;
	_Atomic uint64_t end; /* of the file, as far as it is known */
};

static struct fd_file *of(struct qc_file *f)
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
		ssize_t n = pread(of(f)->fd, (uint8_t *)buf + done, len - done,
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

static int64_t nanoseconds(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static qc_err fd_stat(struct qc_file *f, struct qc_file_stat *out)
{
	struct stat st;

	if (fstat(of(f)->fd, &st))
		return -errno;
	*out = (struct qc_file_stat){
		.dev = st.st_dev,
		.ino = st.st_ino,
		.size = (uint64_t)st.st_size,
		.mtime_ns = nanoseconds(st.st_mtim),
		.ctime_ns = nanoseconds(st.st_ctim),
		.is_block_device = of(f)->block,
		.allocated = (uint64_t)st.st_blocks * 512,
	};
	if (of(f)->block) {
		off_t end = lseek(of(f)->fd, 0, SEEK_END);

		if (end < 0)
			return -errno;
		out->size = (uint64_t)end;
	}
	return 0;
}

/* Where the file system cannot tell, all is data. */
static qc_err fd_extent(struct qc_file *f, uint64_t off, struct qc_extent *out)
{
	off_t at = (off_t)off, next = lseek(of(f)->fd, at, SEEK_DATA);

	out->data = next == at;
	if (next < 0 && errno == ENXIO) {
		next = lseek(of(f)->fd, 0, SEEK_END);
		out->data = false;
	} else if (next < 0 || out->data) {
		out->data = true;
		next = lseek(of(f)->fd, at, SEEK_HOLE);
		if (next < 0)
			next = lseek(of(f)->fd, 0, SEEK_END);
	}
	if (next < 0)
		return -errno;
	if (next <= at) /* it was cut off meanwhile */
		return -EIO;
	out->len = (uint64_t)(next - at);
	return 0;
}

/* What comes in large pieces to the end of the file is a disk that is being copied. The
 * kernel begins to write it at once, in pages that it uses again: twice as fast as to
 * fill all memory with it, and who reads it soon has it in the pages above ours. */
static bool is_stream(struct fd_file *f, uint64_t off, size_t len)
{
	uint64_t end = atomic_load_explicit(&f->end, memory_order_relaxed);

	if (off + len > end) /* (a hint: the last of two at once will do) */
		atomic_store_explicit(&f->end, off + len, memory_order_relaxed);
	return off >= end && len >= STREAM_BYTES &&
	       !atomic_load_explicit(&f->no_stream, memory_order_relaxed);
}

static ssize_t write_some(struct fd_file *f, uint64_t off, const void *buf, size_t len,
			  bool stream)
{
#ifdef HAVE_PWRITEV2
	struct iovec all = { (void *)buf, len }; /* which it does not change */
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

static qc_err fd_write(struct qc_file *f, uint64_t off, const void *buf, size_t len)
{
	size_t done = 0;
	bool stream;

	if (FAIL_POINT("io.write"))
		return -EIO;
	if (!range_inside(off, len, INT64_MAX))
		return -EFBIG;
	stream = is_stream(of(f), off, len);
	while (done < len) {
		ssize_t n = write_some(of(f), off + done, (const uint8_t *)buf + done,
				       len - done, stream);

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
	return fdatasync(of(f)->fd) ? -errno : 0;
}

static qc_err fd_resize(struct qc_file *f, uint64_t size)
{
	if (ftruncate(of(f)->fd, (off_t)size))
		return -errno;
	atomic_store(&of(f)->end, size);
	return 0;
}

static qc_err fd_punch(struct qc_file *f, uint64_t off, uint64_t len)
{
	return fallocate(of(f)->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off,
			 (off_t)len) ? -errno : 0;
}

static void fd_close(struct qc_file *f)
{
	close(of(f)->fd);
	free(f);
}

static const struct qc_file_ops fd_ops = {
	.read = fd_read,
	.stat = fd_stat,
	.extent = fd_extent,
	.write = fd_write,
	.sync = fd_sync,
	.resize = fd_resize,
	.punch = fd_punch,
	.close = fd_close,
};

#ifdef QC_FAILPOINTS
const struct qc_file_ops *(*qc_file_interpose)(const struct qc_file_ops *real);

static const struct qc_file_ops *ops_of_new(void)
{
	return qc_file_interpose ? qc_file_interpose(&fd_ops) : &fd_ops;
}
#else
static const struct qc_file_ops *ops_of_new(void)
{
	return &fd_ops;
}
#endif

qc_err qc_file_of_fd(int fd, struct qc_file **out)
{
	struct fd_file *f;
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->file.ops = ops_of_new();
	f->fd = fd;
	f->block = S_ISBLK(st.st_mode);
	atomic_init(&f->end, f->block ? UINT64_MAX : (uint64_t)st.st_size);
	*out = &f->file;
	return 0;
}

int qc_file_fd(const struct qc_file *f)
{
	return f->ops->close == fd_close ? ((const struct fd_file *)f)->fd : -1;
}

qc_err qc_file_read(struct qc_file *f, uint64_t off, void *buf, size_t len, size_t *got)
{
	qc_err r = f->ops->read(f, off, buf, len, got);

	if (!r && *got < len)
		memset((uint8_t *)buf + *got, 0, len - *got);
	return r;
}

qc_err qc_file_zero(struct qc_file *f, uint64_t off, uint64_t len)
{
	static const uint8_t zeros[64 * 1024];
	qc_err r = 0;

	for (; !r && len; len -= min_u64(len, sizeof(zeros)), off += sizeof(zeros))
		r = qc_file_write(f, off, zeros, (size_t)min_u64(len, sizeof(zeros)));
	return r;
}
