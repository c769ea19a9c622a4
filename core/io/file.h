/* SPDX-License-Identifier: MIT */
/*
 * file.h - reads and writes image files: system calls behind a table of functions.
 *
 * Tests put memory or failures in place of system calls.  A file has no position: every
 * call takes an offset, and any thread may call at any time.
 */
#ifndef QC_FILE_H
#define QC_FILE_H

#include "base/util.h"

struct qc_file;

/* Identifies a file and its state: another inode, size or time means other content. */
struct qc_file_stat {
	uint64_t dev, ino, size;
	int64_t mtime_ns, ctime_ns;
	bool is_block_device; /* a write through another node of it changes no time */
	uint64_t names;	    /* hard links of a regular file; no part of the state */
	uint64_t allocated; /* bytes on the file system; no part of the state */
};

struct qc_file_ops {
	/* Reads @len bytes; *got is less only at the end of the file. */
	qc_err (*read)(struct qc_file *f, uint64_t off, void *buf, size_t len, size_t *got);
	qc_err (*stat)(struct qc_file *f, struct qc_file_stat *out);
	/* Reads the length alone, which costs less than stat() on a network; NULL: by stat(). */
	qc_err (*size)(struct qc_file *f, uint64_t *out);
	/* Finds the run of data or hole at @off, which is before the end of the file. */
	qc_err (*extent)(struct qc_file *f, uint64_t off, struct qc_extent *out);
	/* Writes all bytes, or fails.  Grows the file if needed. */
	qc_err (*write)(struct qc_file *f, uint64_t off, const void *buf, size_t len);
	/* Brings all writes that returned before to stable storage. */
	qc_err (*sync)(struct qc_file *f);
	qc_err (*resize)(struct qc_file *f, uint64_t size);
	/* Makes the bytes a hole, which reads as zeros.  -EOPNOTSUPP where there are none. */
	qc_err (*punch)(struct qc_file *f, uint64_t off, uint64_t len);
	int (*fd)(const struct qc_file *f); /* NULL: a file without a descriptor */
	void (*close)(struct qc_file *f);
};

struct qc_file {
	const struct qc_file_ops *ops;
};

/* Makes a file of a descriptor.  On success the file owns @fd, and closes it.
 * Return: 0; -ENOMEM; as fstat(2) */
qc_err qc_file_of_fd(int fd, struct qc_file **out);

enum { QC_DIRECT_ALIGN = 4096 };

/*
 * qc_file_enable_direct() - write large pieces past the page cache, with O_DIRECT
 * @f:  of qc_file_of_fd()
 *
 * For files that are written once, from begin to end: copies of disks.  Takes half of the processor
 * time, and leaves the page cache to others.  A write is large from 256 KiB on; its
 * offset, length and buffer must be multiples of QC_DIRECT_ALIGN.  All other writes, and all of a
 * file system without O_DIRECT or a slow disk, go to the page cache as before.
 */
void qc_file_enable_direct(struct qc_file *f);

/* Returns the descriptor, which stays the file's; -1 if it has none, as files of tests. */
static inline int qc_file_fd(const struct qc_file *f)
{
	return f->ops->fd ? f->ops->fd(f) : -1;
}

#ifdef QC_FAILPOINTS
/* Called by qc_file_of_fd() if a test has set it.  Returns a copy of the real functions in
 * which the test has replaced any but `fd` and `close`. */
extern const struct qc_file_ops *(*qc_file_interpose)(const struct qc_file_ops *real);
#endif

/*
 * qc_file_read() - read bytes, with zeros behind the end of the file
 * @len:  all bytes of @buf are set
 * @got:  out: how many of them came from the file
 *
 * Return: 0; else as pread(2)
 */
qc_err qc_file_read(struct qc_file *f, uint64_t off, void *buf, size_t len, size_t *got);

/* Asks the kernel to read bytes into its page cache, and does not wait for it. */
void qc_file_prefetch(const struct qc_file *f, uint64_t off, uint64_t len);

/* The following call the function of the same name of struct qc_file_ops. */
static inline qc_err qc_file_stat(struct qc_file *f, struct qc_file_stat *out)
{
	return f->ops->stat(f, out);
}

static inline qc_err qc_file_size(struct qc_file *f, uint64_t *out)
{
	struct qc_file_stat st;
	qc_err r;

	if (f->ops->size)
		return f->ops->size(f, out);
	r = f->ops->stat(f, &st);
	*out = r ? 0 : st.size;
	return r;
}

static inline qc_err qc_file_extent(struct qc_file *f, uint64_t off, struct qc_extent *out)
{
	return f->ops->extent(f, off, out);
}

static inline qc_err qc_file_write(struct qc_file *f, uint64_t off, const void *buf, size_t len)
{
	return f->ops->write(f, off, buf, len);
}

static inline qc_err qc_file_sync(struct qc_file *f)
{
	return f->ops->sync(f);
}

static inline qc_err qc_file_resize(struct qc_file *f, uint64_t size)
{
	return f->ops->resize(f, size);
}

static inline qc_err qc_file_punch(struct qc_file *f, uint64_t off, uint64_t len)
{
	return f->ops->punch(f, off, len);
}

static inline void qc_file_close(struct qc_file *f)
{
	if (f)
		f->ops->close(f);
}

#endif
