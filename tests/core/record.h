/* SPDX-License-Identifier: MIT */
/*
 * record.h - a log of all operations on one or two files, and faults on demand.
 *
 * The files are known by their inodes.  crash.h replays the log to make the possible
 * content of the disk after a power cut.  An operation that no sync covered may be
 * done, or not, or in part.
 */
#ifndef RECORD_H
#define RECORD_H

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "base/failpoint.h"
#include "io/file.h"
#include "make.h"

enum { REC_FILES = 2, REC_SECTOR = 512 };

enum rec_kind { REC_READ, REC_WRITE, REC_SYNC, REC_RESIZE, REC_PUNCH, REC_KINDS };

struct rec_op {
	enum rec_kind kind;
	int file;
	uint64_t off, len;
	uint8_t *bytes; /* of a write */
	size_t covers;	/* a sync: of the operations before this one */
	bool failed;	/* a sync: the operations before it may be lost */
};

/* Calls number nth, nth + 1, ... of one kind fail, so many of them. */
struct rec_fault {
	enum rec_kind kind;
	uint64_t nth, times;
	qc_err err;
	bool half; /* a write is half done before it fails */
};

static struct {
	pthread_mutex_t lock;
	const struct qc_file_ops *real;
	struct qc_file_ops ops;
	struct stat file[REC_FILES];
	int files;
	bool on;
	struct rec_op *op;
	size_t n, room;
	uint64_t calls[REC_KINDS], failures;
	struct rec_fault fault;
	void (*during_sync)(void);
} rec = { .lock = PTHREAD_MUTEX_INITIALIZER };

static inline int rec_file(struct qc_file *f)
{
	struct stat st;

	if (!rec.on || fstat(qc_file_fd(f), &st))
		return -1;
	for (int i = 0; i < rec.files; i++)
		if (rec.file[i].st_dev == st.st_dev && rec.file[i].st_ino == st.st_ino)
			return i;
	return -1;
}

static inline qc_err rec_fault(enum rec_kind kind)
{
	qc_err r = 0;
	uint64_t n;

	pthread_mutex_lock(&rec.lock);
	n = ++rec.calls[kind];
	if (rec.fault.err && rec.fault.kind == kind && n >= rec.fault.nth &&
	    n - rec.fault.nth < rec.fault.times) {
		r = rec.fault.err;
		rec.failures++;
	}
	pthread_mutex_unlock(&rec.lock);
	return r;
}

static inline void rec_note(struct rec_op op)
{
	pthread_mutex_lock(&rec.lock);
	if (rec.n == rec.room) {
		rec.room = rec.room ? 2 * rec.room : 1024;
		rec.op = realloc(rec.op, rec.room * sizeof(*rec.op));
	}
	rec.op[rec.n++] = op;
	pthread_mutex_unlock(&rec.lock);
}

static inline size_t rec_position(void)
{
	size_t n;

	pthread_mutex_lock(&rec.lock);
	n = rec.n;
	pthread_mutex_unlock(&rec.lock);
	return n;
}

/* ---- interposed operations ------------------------------------------------------ */

static inline qc_err rec_read(struct qc_file *f, uint64_t off, void *buf, size_t len,
			      size_t *got)
{
	qc_err r = rec_file(f) >= 0 ? rec_fault(REC_READ) : 0;

	return r ? r : rec.real->read(f, off, buf, len, got);
}

static inline qc_err rec_write(struct qc_file *f, uint64_t off, const void *buf, size_t len)
{
	int i = rec_file(f);
	qc_err fault = i >= 0 ? rec_fault(REC_WRITE) : 0, r = 0;
	size_t n = fault ? len / 2 / REC_SECTOR * REC_SECTOR : len;

	if (fault && (!rec.fault.half || !n))
		return fault;
	r = rec.real->write(f, off, buf, n);
	if (!r && i >= 0) {
		uint8_t *bytes = malloc(n + 1);

		memcpy(bytes, buf, n);
		rec_note((struct rec_op){ REC_WRITE, i, off, n, bytes, 0, false });
	}
	return fault ? fault : r;
}

static inline qc_err rec_sync(struct qc_file *f)
{
	int i = rec_file(f);
	size_t covers = rec_position();
	qc_err r = i >= 0 ? rec_fault(REC_SYNC) : 0;

	if (i >= 0 && rec.during_sync)
		rec.during_sync();
	if (i >= 0)
		rec_note((struct rec_op){ REC_SYNC, i, 0, 0, NULL, covers, r });
	return r;
}

static inline qc_err rec_resize(struct qc_file *f, uint64_t size)
{
	int i = rec_file(f);
	qc_err r = i >= 0 ? rec_fault(REC_RESIZE) : 0;

	if (!r)
		r = rec.real->resize(f, size);
	if (!r && i >= 0)
		rec_note((struct rec_op){ REC_RESIZE, i, size, 0, NULL, 0, false });
	return r;
}

static inline qc_err rec_punch(struct qc_file *f, uint64_t off, uint64_t len)
{
	int i = rec_file(f);
	qc_err r = i >= 0 ? rec_fault(REC_PUNCH) : 0;

	if (!r)
		r = rec.real->punch(f, off, len);
	if (!r && i >= 0)
		rec_note((struct rec_op){ REC_PUNCH, i, off, len, NULL, 0, false });
	return r;
}

static const struct qc_file_ops *rec_interpose(const struct qc_file_ops *real)
{
	rec.real = real;
	rec.ops = *real;
	rec.ops.read = rec_read;
	rec.ops.write = rec_write;
	rec.ops.sync = rec_sync;
	rec.ops.resize = rec_resize;
	rec.ops.punch = rec_punch;
	return &rec.ops;
}

/* The interposed functions come to stay; only here, while there is one thread. */
static inline void rec_init(void)
{
	if (!qc_file_interpose) {
		struct qc_file *f = NULL;

		qc_file_interpose = rec_interpose;
		if (qc_file_of_fd(open("/dev/null", O_RDONLY | O_CLOEXEC), &f))
			fatal("/dev/null");
		qc_file_close(f);
	}
}

static inline void rec_clear(void)
{
	for (size_t i = 0; i < rec.n; i++)
		free(rec.op[i].bytes);
	free(rec.op);
	rec.op = NULL;
	rec.n = rec.room = 0;
}

static inline void rec_start(const char *const *path, int n, struct rec_fault fault)
{
	rec_init();
	rec_clear();
	for (int i = 0; i < n; i++)
		if (stat(path[i], &rec.file[i]))
			fatal(path[i]);
	memset(rec.calls, 0, sizeof(rec.calls));
	rec.failures = 0;
	rec.fault = fault;
	rec.files = n;
	rec.on = true;
}

static inline void rec_stop(void)
{
	rec.on = false;
}

/* ---- disks -------------------------------------------------------------------- */

struct disk {
	uint8_t *bytes;
	uint64_t size, room;
};

static inline void disk_room(struct disk *d, uint64_t end)
{
	if (end > d->room) {
		d->bytes = realloc(d->bytes, end * 2);
		memset(d->bytes + d->room, 0, end * 2 - d->room);
		d->room = end * 2;
	}
}

static inline void disk_resize(struct disk *d, uint64_t size)
{
	disk_room(d, size);
	if (size < d->size)
		memset(d->bytes + size, 0, d->size - size);
	d->size = size;
}

static inline void disk_copy(struct disk *to, const struct disk *from)
{
	disk_resize(to, 0);
	disk_resize(to, from->size);
	if (from->size)
		memcpy(to->bytes, from->bytes, from->size);
}

/* Part of an operation: what the sectors [first, end) of its range get. */
static inline void disk_apply(struct disk *d, const struct rec_op *op, uint64_t a, uint64_t b)
{
	if (op->kind == REC_RESIZE) {
		disk_resize(d, op->off);
	} else if (op->kind == REC_PUNCH && op->off < d->size) {
		memset(d->bytes + op->off, 0, min_u64(op->len, d->size - op->off));
	} else if (op->kind == REC_WRITE) {
		if (op->off + b > d->size)
			disk_resize(d, op->off + b);
		memcpy(d->bytes + op->off + a, op->bytes + a, b - a);
	}
}

/* An operation that came to the disk in part: sectors of a write, at random. */
static inline void disk_apply_torn(struct disk *d, const struct rec_op *op, uint64_t *seed)
{
	if (op->kind != REC_WRITE) {
		disk_apply(d, op, 0, op->len);
		return;
	}
	for (uint64_t a = 0; a < op->len;) {
		uint64_t b = min_u64(op->len, a + REC_SECTOR - (op->off + a) % REC_SECTOR);

		if (random_u64(seed) & 1)
			disk_apply(d, op, a, b);
		a = b;
	}
}

#endif
