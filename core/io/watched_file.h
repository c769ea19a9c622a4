/* SPDX-License-Identifier: MIT */
/*
 * watched_file.h - notices that another program has shortened, overwritten or replaced a file.
 *
 * QEMU's locks stop only programs that ask for them, and truncate(1), cp(1) and mv(1) do not
 * ask.  A layer puts this file in front of each of its files, and a writer in front of the
 * descriptors that it has opened of the same files.
 *
 * Invariant: a byte that was in the file is never read as a zero because the file is
 * shorter now.  No write makes a shortened file longer again, since the gap would read as
 * zeros, and no sync of a lost file succeeds.
 *
 * The kernel does not tell which program changed a file: our writes change its times, too,
 * and a lease needs the only descriptor.  So the length is compared before each write, and at
 * each sync also the header and the number of names.  A program that shortens the file and
 * writes all of it anew between two of these comparisons is noticed by the header only.
 */
#ifndef QC_WATCHED_FILE_H
#define QC_WATCHED_FILE_H

#include <pthread.h>
#include <stdatomic.h>

#include "io/file.h"

enum { QC_WATCH_HEADER_MAX = 104 };

struct qc_watch;

/* Called once, when a file is found to be lost.  @how follows "another program has ". */
typedef void qc_watch_fn(void *arg, const struct qc_watch *watch, const char *how);

/* The state of one file of the system, shared by all descriptors of it. */
struct qc_watch {
	_Atomic uint64_t end;	 /* bytes; the file is no shorter, unless another program cut it */
	_Atomic uint64_t cut_at; /* bytes from here on are lost; UINT64_MAX: none */
	atomic_bool lost;	 /* no more writes */
	bool has_name;		 /* a regular file that was in a directory when it was opened */
	qc_watch_fn *fn;
	void *arg;

	size_t header_bytes;	 /* 0: the header is not compared */
	pthread_mutex_t lock;	 /* a resize or a write to the header, against a comparison */
	uint8_t header[QC_WATCH_HEADER_MAX]; /* lock; as last read or written */
	bool header_known;		     /* lock; false after a write that failed */
};

/* @fn and @arg: see qc_watch_fn. */
void qc_watch_init(struct qc_watch *watch, qc_watch_fn *fn, void *arg);
void qc_watch_destroy(struct qc_watch *watch);

/*
 * qc_watched_file_new() - put a watched file in front of *f
 * @f:   in and out; the watched file owns the file that was there
 * @st:  the state of the file; NULL for another descriptor of a file that is watched
 *
 * Return: 0; -ENOMEM, and *f is as before.
 */
qc_err qc_watched_file_new(struct qc_file **f, struct qc_watch *watch,
			   const struct qc_file_stat *st);

/* Reads the first @bytes of the file, and compares them at each sync from then on.  Only
 * writes through a watched file may change them.  Return: 0; an errno of the file. */
qc_err qc_watch_header(struct qc_watch *watch, struct qc_file *f, size_t bytes);

/* Compares the file with its state as known.  A sync of a watched file does the same.
 * Return: 0; -EIO the file is lost; an errno of the file. */
qc_err qc_watch_compare(struct qc_watch *watch, struct qc_file *f);

#endif
