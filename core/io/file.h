/* SPDX-License-Identifier: MIT */
/*
 * file.h - a file: the only place where system calls on image files are made.
 *
 * A table of functions stands between, so that tests can use memory, or fail.
 * Positions are arguments; a file has no cursor and any thread may use it.
 */
#ifndef QC_FILE_H
#define QC_FILE_H

#include "base/util.h"

struct qc_file;

/* What tells one state of a file from another. */
struct qc_file_stat {
	uint64_t dev, ino, size;
	int64_t mtime_ns, ctime_ns;
	bool is_block_device; /* other nodes of it have times of their own */
	uint64_t allocated; /* bytes that it takes of its file system; tells nothing apart */
};

struct qc_file_ops {
	/* Reads up to len bytes; less only where the file ends. */
	qc_err (*read)(struct qc_file *f, uint64_t off, void *buf, size_t len, size_t *got);
	qc_err (*stat)(struct qc_file *f, struct qc_file_stat *out);
	/* The run at off (before the end) that is data, or a hole. */
	qc_err (*extent)(struct qc_file *f, uint64_t off, struct qc_extent *out);
	/* Writes all, or fails; the file grows as needed. */
	qc_err (*write)(struct qc_file *f, uint64_t off, const void *buf, size_t len);
	/* What was written before is on stable storage. */
	qc_err (*sync)(struct qc_file *f);
	qc_err (*resize)(struct qc_file *f, uint64_t size);
	/* Reads as zeros from now on, and takes no space.  -EOPNOTSUPP. */
	qc_err (*punch)(struct qc_file *f, uint64_t off, uint64_t len);
	void (*close)(struct qc_file *f);
};

struct qc_file {
	const struct qc_file_ops *ops;
};

/* A file of the system.  The descriptor is the file's from now on. */
qc_err qc_file_of_fd(int fd, struct qc_file **out);
int qc_file_fd(const struct qc_file *f); /* -1 if it has none */

#ifdef QC_FAILPOINTS
/* A test may put functions of its own before those of each file of the system
 * that is opened: a copy of the real ones, all but `close` replaced at will. */
extern const struct qc_file_ops *(*qc_file_interpose)(const struct qc_file_ops *real);
#endif

/* Writes zeros. */
qc_err qc_file_zero(struct qc_file *f, uint64_t off, uint64_t len);

/* Fills all of buf; what lies past the end of the file is zeros, and *got says
 * how much came from the file. */
qc_err qc_file_read(struct qc_file *f, uint64_t off, void *buf, size_t len, size_t *got);

static inline qc_err qc_file_stat(struct qc_file *f, struct qc_file_stat *out)
{
	return f->ops->stat(f, out);
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
