/* SPDX-License-Identifier: MIT */
/*
 * qcow.h - the public header of core/: open QCOW images and use them as flat disks.
 *
 * A user of core/ includes this header only; it includes all others but qcow_array.h.
 *
 * Threads: any thread may call any function on any object at any time.  Only qc_close()
 * and qc_context_free() must be the last call on their object.
 *
 * Errors: a function of type qc_err returns 0 or a negative errno.  It never returns a
 * short count.  On failure its results are not valid, unless it says so.  "as read(2)"
 * stands for the errors of that system call.
 *
 * Units: offsets and lengths are in bytes.  "guest" offsets count on the disk, "host"
 * offsets in the image file.
 */
#ifndef QCOW_H
#define QCOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef int qc_err;

/* ---- callbacks of a program ------------------------------------------------ */

enum qc_level { QC_LOG_ERROR, QC_LOG_WARN, QC_LOG_INFO, QC_LOG_TRACE };

/* Logs one message, without a newline.  Called from any thread. */
typedef void qc_log_fn(void *arg, enum qc_level level, const char *msg);

enum qc_work { QC_WORK_REPAIR, QC_WORK_UNLOCK, QC_WORK_CHECK, QC_WORK_SEARCH };

/* Reports the progress of long work on the image file @path.  @percent only grows, and
 * is 100 at the end.  Called from any thread, also for several files at the same time. */
typedef void qc_progress_fn(void *arg, const char *path, enum qc_work work, unsigned int percent);
/* Asked now and then in qc_check() and qc_amend().  If true, they end with -ECANCELED, in order. */
typedef bool qc_interrupted_fn(void *arg);

enum { QC_KEY_MAX = 64 * 1024 }; /* bytes of a passphrase */

/*
 * qc_key_fn - provide a passphrase of an encrypted image file
 * @path:     the image file
 * @attempt:  0, then 1, 2, ... as long as no passphrase fits
 * @buf:      secure memory of @room bytes, for the passphrase
 * @len:      out: bytes of the passphrase
 *
 * Called from any thread, without a lock held.
 * Return: 0; -ENOENT there is no (further) passphrase; else it cannot be read
 */
typedef qc_err qc_key_fn(void *arg, const char *path, unsigned int attempt, void *buf,
			 size_t room, size_t *len);

/* ---- context: settings and caches that all images of a program share -------- */

/* Which backing files and data files an image may open. */
enum qc_refs {
	QC_REFS_SAMEDIR, /* files in or below the directory of the image */
	QC_REFS_ANY,	 /* any regular file */
	QC_REFS_NONE,
};

/* How to use QEMU's image locking. */
enum qc_locking {
	QC_LOCKING_ON,	  /* lock images; do not open one that another program writes */
	QC_LOCKING_SHARE, /* lock images; open one that another program writes, to read it */
	QC_LOCKING_OFF,
};

/* When to check refcounts before the first write to an image. */
enum qc_verifying {
	QC_VERIFY_AUTO, /* if that takes at most a second */
	QC_VERIFY_ON,
	QC_VERIFY_OFF,
};

/* The bytes that a read returns where those of the disk are lost. */
enum qc_lost {
	QC_LOST_EIO,   /* nothing: the read fails */
	QC_LOST_ZEROS, /* zeros */
	QC_LOST_MARK,  /* in each sector a line of text, with the guest offset and the reason */
};

/*
 * qc_unread_fn - provide the mapfile of an image file that GNU ddrescue has copied
 * @path:  the image file, or an external data file or raw backing file
 * @text:  out: content of the mapfile, to be freed
 *
 * Called from any thread, without a lock held.
 * Return: 0; -ENOENT all of the file could be read; else as read(2)
 */
typedef qc_err qc_unread_fn(void *arg, const char *path, char **text, size_t *len);

/* Replaces the beginning of a backing or data file name. */
struct qc_path_map {
	const char *old_prefix; /* a path, which ends at a slash or at the end of the name */
	const char *new_prefix; /* absolute */
};

struct qc_config {
	qc_log_fn *log; /* NULL: no log */
	void *log_arg;	/* for `log`, `progress` and `interrupted` */
	enum qc_level log_max;
	qc_progress_fn *progress;	/* may be NULL */
	qc_interrupted_fn *interrupted; /* may be NULL */
	enum qc_refs refs;
	enum qc_locking locking;
	const struct qc_path_map *path_maps; /* copied */
	size_t npath_maps;
	enum qc_verifying verify;
	bool keep_discarded;   /* discarded clusters stay allocated */
	bool drop_bitmaps;     /* the first change of an image removes its dirty bitmaps */
	/* Name of the data file that may be written, as images record it; perhaps with "=" and the
	 * absolute path where it is now.  NULL: none. */
	const char *data_file;
	qc_key_fn *key;	       /* NULL: encrypted images fail with QC_CAUSE_KEY */
	void *key_arg;
	int compress_level; /* of qc_write_compressed(), from 1 on; 0: the default of the method */
	size_t cache_bytes; /* table cache of one image; 0: 32 MiB */
	bool noatime;	    /* call qc_set_noatime() for each file that is opened */
	bool no_sync;	    /* never sync: for new images that are of no use half made */
	bool direct_writes; /* write large pieces with O_DIRECT, for images that are copied to */
	bool rescue;	    /* read what a damaged image still holds; no image is written, but
			     * for overlays of qc_open_over() */
	bool doubtful_is_lost; /* with `rescue` */
	enum qc_lost lost;
	qc_unread_fn *unread; /* NULL: there are no mapfiles */
	void *unread_arg;
};

struct qc_context;

/* Return: 0; -ENOMEM; -EAGAIN no thread can be started */
qc_err qc_context_new(const struct qc_config *config, struct qc_context **out);

/* Frees the context.  All its images are closed. */
void qc_context_free(struct qc_context *ctx);

struct qc_counters {
	uint64_t layers_open;		/* image files that are open */
	uint64_t layers_opened;		/* since the context was made */
	uint64_t table_loads;		/* table slices read from image files */
	uint64_t table_bytes;		/* memory of all table caches */
	uint64_t clusters_decompressed; /* since the context was made */
};
void qc_get_counters(struct qc_context *ctx, struct qc_counters *out);

/* ---- errors of an open ------------------------------------------------------- */

enum qc_cause {
	QC_CAUSE_IMAGE,	   /* unreadable, damaged or not supported */
	QC_CAUSE_LOCKED,   /* another program uses the image */
	QC_CAUSE_KEY,	   /* encrypted, and no passphrase fits */
	QC_CAUSE_READONLY, /* readable, but not writable */
};

/* Why an image cannot be opened: a class for programs, and one line for people, with
 * advice in parentheses. */
struct qc_reason {
	enum qc_cause cause;
	char text[600];
};

/* Returns advice on an errno, as " (advice)", or "". */
const char *qc_errno_hint(qc_err err);

/* ---- files and memory -------------------------------------------------------- */

/*
 * qc_secure_alloc() - allocate memory for passphrases and keys
 *
 * The memory is zeros.  It is locked against swapping if RLIMIT_MEMLOCK allows that, is
 * left out of core dumps, is zeros in a child process, and is wiped when it is freed.
 * Return: NULL without memory
 */
void *qc_secure_alloc(size_t n);
void qc_secure_free(void *p); /* NULL is allowed */

/*
 * qc_open_beneath() - open a path that must not leave a directory
 * @dirfd:  the directory
 * @path:   relative to it
 * @flags:  as for openat(2), without O_CREAT; O_CLOEXEC is added
 *
 * Return: a descriptor; -1 and errno as openat(2), or
 *	EXDEV  the path, or a symbolic link in it, leads out of the directory
 */
int qc_open_beneath(int dirfd, const char *path, int flags);

/*
 * qc_reopen() - open the file of a descriptor again
 * @fd:     any descriptor, also one of O_PATH
 * @flags:  as for open(2), without O_CREAT; O_CLOEXEC is added
 *
 * Unlike dup(2), makes a new open file description, which does not share access mode,
 * position and locks with that of @fd.  Needs /proc.
 * Return: a descriptor; -1 and errno as open(2)
 */
int qc_reopen(int fd, int flags);

/*
 * qc_set_noatime() - do not update the access time of a file
 * @fd:  open for reading
 *
 * Only the owner of a file may ask for that.  Else, unless the file system never updates
 * access times, logs a warning for the first such file of the context.  Does nothing
 * without qc_config.noatime.
 */
void qc_set_noatime(struct qc_context *ctx, int fd);

/* Returns true if the file begins with the magic number of QCOW images. */
bool qc_is_image(int fd);

/*
 * qc_times_are_reliable() - is a later change of a file seen by its times?
 * @mtime_ns:  st_mtim, in nanoseconds since 1970
 * @ctime_ns:  st_ctim
 *
 * Like git's "racily clean" entries: a file that was changed within the present tick of its
 * file system's clock may change again without a new time.  The tick is taken as 50 ms
 * where the times show that the file system stores the kernel's clock.  Else it is taken
 * as 2 s, the tick of FAT.
 * Return: true if both times are older than a tick.
 */
bool qc_times_are_reliable(int64_t mtime_ns, int64_t ctime_ns);

/*
 * qc_library() - list the libraries of this build
 * @i:    0, 1, 2, ...
 * @out:  at most @n bytes, such as "zlib 1.2.13", or "zstd none" if built without it
 *
 * Return: false if there are at most @i libraries
 */
bool qc_library(unsigned int i, char *out, size_t n);

/* ---- opening an image -------------------------------------------------------- */

/* An open image file and its directory. */
struct qc_image_location {
	int fd; /* open for reading */
	int dirfd;
	const char *dir;  /* absolute path of dirfd */
	const char *name; /* of the file, in dir */
};

struct qc_image;

enum qc_open_flag {
	/* Read the headers of the chain only: take no lock, ask for no passphrase.  The
	 * disk cannot be read.  For listings. */
	QC_OPEN_HEADERS_ONLY = 1 << 0,
	/* Open for writing, too. */
	QC_OPEN_WRITE = 1 << 1,
	/* With QC_OPEN_HEADERS_ONLY: on failure *out is a handle for qc_get_layer_info()
	 * and qc_close() with all that could be read, or NULL.  An image that is in use
	 * counts as a failure. */
	QC_OPEN_INSPECT = 1 << 2,
	/* Do not open the backing file.  Clusters that the image does not have read as zeros.
	 * For changes of the image file that need no guest data. */
	QC_OPEN_NO_BACKING = 1 << 3,
};

/*
 * qc_open() - open an image and its backing chain
 * @src:    the image; its descriptors stay the caller's
 * @flags:  enum qc_open_flag
 * @why:    out: the reason of a failure
 *
 * Return: 0;
 *	-EBUSY        another program uses the image, or a backing file is written here
 *	-EACCES       no passphrase fits, or a file that the image names is forbidden
 *	-ELOOP        the chain has a circle, or more than 256 files
 *	-EMEDIUMTYPE  not a QCOW image
 *	-ENOTSUP      unknown version or feature
 *	-EINVAL       impossible header
 *	-EFBIG        a size or a table beyond the limits
 *	-EROFS        with QC_OPEN_WRITE: the image cannot be written in its state
 *	-ENOMEM
 *	else as open(2), read(2), fcntl(2)
 */
qc_err qc_open(struct qc_context *ctx, const struct qc_image_location *src, unsigned int flags,
	       struct qc_image **out, struct qc_reason *why);

/*
 * qc_open_over() - open an overlay with a given backing file
 * @over:  the overlay; the backing file name stored in it is ignored
 * @src:   its backing file, exempt from qc_config.refs; the backing files of @src are
 *	   resolved as by qc_open()
 *
 * Return: as qc_open()
 */
qc_err qc_open_over(struct qc_context *ctx, const struct qc_image_location *over,
		    const struct qc_image_location *src, unsigned int flags, struct qc_image **out,
		    struct qc_reason *why);

/* Closes the image.  Writes changed tables to the file, and logs if that fails. */
void qc_close(struct qc_image *img);

/* Returns the size of the disk in bytes. */
uint64_t qc_size(const struct qc_image *img);

/* Returns 0 if the header allows writing, else -EROFS and the reason.  The permissions of
 * the file are not checked. */
qc_err qc_writable(const struct qc_image *img, struct qc_reason *why);

/* Returns the number of layers of the chain; the image is layer 0. */
unsigned int qc_depth(const struct qc_image *img);

/* Returns the absolute path of a layer, n < qc_depth(img). */
const char *qc_layer_path(const struct qc_image *img, unsigned int n);

/* Returns the cluster size of the image in bytes. */
uint32_t qc_cluster_size(const struct qc_image *img);

/*
 * struct qc_fingerprint - identity and times of all files that a disk is read from
 * @content:  differs if they are other files, or were written to
 * @exact:    if equal too, and @times_reliable, all bytes of the disk are the same
 * @times_reliable:  qc_times_are_reliable() was true for all files when they were opened.
 *	Always false with a block device: a write through another node of the same device
 *	changes no time.
 */
struct qc_fingerprint {
	uint64_t content, exact;
	bool times_reliable;
};
void qc_get_fingerprint(const struct qc_image *img, struct qc_fingerprint *out);

/* ---- reading and writing ------------------------------------------------------ */

/*
 * qc_read() - read from the disk
 * @buf:  all @len bytes are set
 *
 * Return: 0;
 *	-EINVAL  the range is not inside the disk
 *	-EIO     damaged image (the log says where), or a failure of the file
 *	-ESTALE  another program changed an image file while it was open
 *	-ENOMEM
 */
qc_err qc_read(struct qc_image *img, uint64_t off, void *buf, size_t len);

/*
 * qc_write() - write to the disk
 *
 * On failure some of the bytes may have changed.
 * Return: 0;
 *	-EROFS   the image was not opened with QC_OPEN_WRITE
 *	-ENOSPC  the file system of the image file is full
 *	-EFBIG   the image file cannot grow further
 *	else as qc_read()
 */
qc_err qc_write(struct qc_image *img, uint64_t off, const void *buf, size_t len);

/* Makes a range read as zeros; its clusters stay allocated.  Return: as qc_write() */
qc_err qc_write_zeroes(struct qc_image *img, uint64_t off, uint64_t len);

/* Makes a range read as zeros, and frees its clusters unless qc_config.keep_discarded.
 * Return: as qc_write() */
qc_err qc_discard(struct qc_image *img, uint64_t off, uint64_t len);

/*
 * qc_clear() - make the whole disk read as zeros
 *
 * The size stays.  Frees clusters as qc_discard() does, but tables as a whole: the time it
 * takes depends on the clusters that are allocated, not on the size.  On failure a part of
 * the disk may read as zeros.
 * Return: as qc_write()
 */
qc_err qc_clear(struct qc_image *img);

/* Allocates the clusters of a range, like fallocate(2) without FALLOC_FL flags.  The range
 * reads as before.  Return: as qc_write() */
qc_err qc_allocate(struct qc_image *img, uint64_t off, uint64_t len);

/*
 * qc_flush() - bring all changes made before the call to stable storage
 *
 * After a failure the image stays aborted until it is closed: the kernel may have dropped
 * some of the changes.
 * Return: 0, also if the image is open for reading only; else as qc_write()
 */
qc_err qc_flush(struct qc_image *img);

/* Writes changed tables to the file, without a sync if nothing changed.  For a close of
 * the user's file.  Return: as qc_flush() */
qc_err qc_writeback(struct qc_image *img);

/*
 * qc_resize() - change the size of the disk
 * @size:  whole sectors of 512 bytes
 *
 * Return: 0;
 *	-EOPNOTSUPP  the format forbids this change
 *	-EINVAL      no whole sectors
 *	-EFBIG       more than the format can hold
 *	else as qc_write()
 */
qc_err qc_resize(struct qc_image *img, uint64_t size);

/*
 * qc_grow() - grow a disk that is written from its beginning to its end
 * @size:  whole sectors; at most the size of the disk: does nothing
 *
 * Most calls change the size in memory only: the L1 table has room in advance, and qc_flush(),
 * qc_writeback() and qc_close() write the size to the file.
 * Return: as qc_resize()
 */
qc_err qc_grow(struct qc_image *img, uint64_t size);

struct qc_extent {
	uint64_t len;
	bool data; /* else a hole: reads as zeros */
};

/*
 * qc_block_status() - find the run of data, or the hole, at an offset
 * @off:  inside the disk
 * @out:  a run that begins at @off, in regard of all layers
 *
 * The next run may be of the same kind: a call looks at a bounded number of entries.
 * Return: as qc_read()
 */
qc_err qc_block_status(struct qc_image *img, uint64_t off, struct qc_extent *out);

#ifdef __cplusplus
}
#endif

#include "qcow_amend.h"
#include "qcow_bitmap.h"
#include "qcow_check.h"
#include "qcow_compact.h"
#include "qcow_copy.h"
#include "qcow_create.h"
#include "qcow_evidence.h"
#include "qcow_info.h"
#include "qcow_key.h"
#include "qcow_map.h"
#include "qcow_rescue.h"
#include "qcow_snapshot.h"

#endif
