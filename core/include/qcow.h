/* SPDX-License-Identifier: MIT */
/*
 * qcow.h - open QCOW images and read them as flat disks.
 *
 * This is the only header that a user of core/ includes.  Every call may be
 * made from any thread, on the same object, at the same time; qc_close() and
 * qc_context_free() are the exceptions: each is the last call on its object.
 *
 * A function of type qc_err returns 0 or a negative errno.  It never returns a
 * short count, and on failure fills nothing that the caller may rely upon.
 * All offsets and lengths are in bytes.
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

/* ---- log ------------------------------------------------------------- */

enum qc_level { QC_LOG_ERROR, QC_LOG_WARN, QC_LOG_INFO, QC_LOG_TRACE };

/* Takes one message, without a newline; may be called from any thread. */
typedef void qc_log_fn(void *arg, enum qc_level level, const char *msg);

/* The libraries that it was built with, "zlib 1.2.13", or "zstd none" for one that it does
 * without; false if there are not so many. */
bool qc_library(unsigned int i, char *out, size_t n);

enum qc_work { QC_WORK_REPAIR, QC_WORK_UNLOCK };

/* Long work on an image file has come so far: percent that grow, 100 when it ends.  May be
 * called from any thread; of several files at once, too. */
typedef void qc_progress_fn(void *arg, const char *path, enum qc_work work, unsigned int percent);

/* ---- keys -------------------------------------------------------------- */

/* Memory for passphrases and keys: zeros, locked where the limit allows that, not
 * dumped, not in a child; wiped when it is freed.  NULL: there is none. */
void *qc_secure_alloc(size_t n);
void qc_secure_free(void *p); /* NULL is fine */

enum { QC_KEY_MAX = 64 * 1024 }; /* bytes of a passphrase */

/* Fills buf, which is such memory and has `room` bytes, with the passphrase of the
 * encrypted image file `path`.  Asked again, with the next attempt, until one fits.
 * -ENOENT there is none (more); any other error: it cannot be read.  May be called
 * from any thread; nothing is locked. */
typedef qc_err qc_key_fn(void *arg, const char *path, unsigned int attempt, void *buf,
			 size_t room, size_t *len);

/* ---- context: what all images of one program share -------------------- */

/* Which files an image may make us open on its behalf. */
enum qc_refs {
	QC_REFS_SAMEDIR, /* those in the folder of the image, or below it */
	QC_REFS_ANY,	 /* any regular file */
	QC_REFS_NONE,
};

/* What to do with the byte-range locks by which QEMU's programs keep off
 * each other's images. */
enum qc_locking {
	QC_LOCKING_ON,	  /* take them, and refuse an image that is in use */
	QC_LOCKING_SHARE, /* read an image that somebody writes */
	QC_LOCKING_OFF,
};

/* Whether refcounts are compared with the tables before the first write. */
enum qc_verifying {
	QC_VERIFY_AUTO, /* where that takes no longer than a second */
	QC_VERIFY_ON,
	QC_VERIFY_OFF,
};

/* Backing names that begin with the path `old` are looked up below `new`. */
struct qc_path_map {
	const char *old_prefix;
	const char *new_prefix; /* absolute */
};

struct qc_config {
	qc_log_fn *log; /* NULL: silent */
	void *log_arg;
	enum qc_level log_max;
	qc_progress_fn *progress; /* NULL: nobody looks; gets log_arg, too */
	enum qc_refs refs;
	enum qc_locking locking;
	const struct qc_path_map *path_maps; /* copied */
	size_t npath_maps;
	enum qc_verifying verify;
	bool keep_discarded; /* what is discarded keeps its place */
	const char *data_file; /* the data file that may be written; NULL */
	qc_key_fn *key; /* NULL: encrypted images are refused, as QC_CAUSE_KEY */
	void *key_arg;
	size_t cache_bytes; /* mapping tables of one image; 0: 32 MiB */
	bool noatime;	    /* qc_set_noatime() all files that are opened */
};

struct qc_context;

qc_err qc_context_new(const struct qc_config *config, struct qc_context **out);
void qc_context_free(struct qc_context *ctx);

struct qc_counters {
	uint64_t layers_open;	/* image files open now */
	uint64_t layers_opened; /* since the start */
	uint64_t table_loads;	/* table slices read from image files */
	uint64_t table_bytes;	/* memory that table caches hold now */
	uint64_t clusters_decompressed; /* compressed clusters decoded */
};
void qc_get_counters(struct qc_context *ctx, struct qc_counters *out);

/* ---- images ----------------------------------------------------------- */

enum qc_cause {
	QC_CAUSE_IMAGE,	 /* it cannot be read, is damaged, or not supported */
	QC_CAUSE_LOCKED, /* another program uses it */
	QC_CAUSE_KEY,	 /* it is encrypted, and no key fits */
	QC_CAUSE_READONLY, /* it can be read, but not be written */
};

/* Why an image was refused: one line for people, and a class for programs. */
struct qc_reason {
	enum qc_cause cause;
	char text[600];
};

/* What may help against an error of the system, with a blank before it; "": who knows. */
const char *qc_errno_hint(qc_err err);

/* Where an image is.  `fd` is open for reading, and is the file `name` in the
 * folder `dir` (an absolute path), of which `dirfd` is a descriptor. */
struct qc_image_location {
	int fd;
	int dirfd;
	const char *dir;
	const char *name;
};

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
 * Unlike dup(2), makes a new open file description: with an access mode, a position and
 * locks of its own.  Needs /proc.
 * Return: a descriptor; -1 and errno as open(2)
 */
int qc_reopen(int fd, int flags);

/* Reading from the descriptor does not change the file's access time from now on, if
 * the system allows that: it is for the owner of the file.  Else, unless the file
 * system keeps it anyway, one line in the log says so, for the first such file. */
void qc_set_noatime(struct qc_context *ctx, int fd);

/* Whether the file begins as QCOW images of any version do. */
bool qc_is_image(int fd);

struct qc_image;

enum qc_open_flag {
	/* Look at the headers of the chain only: no lock is taken, nothing may
	 * be read, no passphrase is asked for.  For listings. */
	QC_OPEN_HEADERS_ONLY = 1 << 0,
	/* To be written to, too. */
	QC_OPEN_WRITE = 1 << 1,
	/* With QC_OPEN_HEADERS_ONLY: where the image cannot be used, *out is all the same what
	 * could be read of it, to ask for facts and to close; NULL if that is nothing.
	 * That somebody uses its files is a failure, too. */
	QC_OPEN_INSPECT = 1 << 2,
};

/* Opens the image and its chain.  `src` and its descriptors stay the caller's.
 * On failure says why in *why: -EBUSY locked, -EACCES no key fits, or forbidden,
 * -ELOOP chain without an end, -EMEDIUMTYPE not an image, -ENOTSUP a feature
 * that is not known, -EINVAL an impossible header, else what the file system
 * said. */
qc_err qc_open(struct qc_context *ctx, const struct qc_image_location *src, unsigned int flags,
	       struct qc_image **out, struct qc_reason *why);
void qc_close(struct qc_image *img);

/* As qc_open of the image file `over`, with the image at `src` below it, whatever `over`
 * says of that: it is the caller who knows that it is an overlay of it, and a reference
 * of the caller's own making is under no rule.  What is below `src` is found as ever. */
qc_err qc_open_over(struct qc_context *ctx, const struct qc_image_location *over,
		    const struct qc_image_location *src, unsigned int flags, struct qc_image **out,
		    struct qc_reason *why);

enum qc_create_encryption { QC_CREATE_PLAIN, QC_CREATE_AES, QC_CREATE_LUKS };

/* A new image. 0, false and NULL are the defaults, which are those of qemu-img. */
struct qc_create_options {
	uint64_t size;		   /* of the disk, in bytes; rounded up to whole sectors */
	unsigned int version;	   /* 1, 2, 3 (default) */
	unsigned int cluster_size; /* bytes; a power of two */
	unsigned int refcount_bits;
	const char *compression_type; /* "zlib", "zstd" */
	bool extended_l2, lazy_refcounts;
	const char *data_file; /* name, as it is recorded; the file is the caller's to make */
	bool data_file_raw;
	const char *backing;	    /* name, as it is recorded */
	const char *backing_format; /* "raw", "qcow", "qcow2" */
	enum qc_create_encryption encryption;
	/* The rest is for QC_CREATE_LUKS. */
	const char *cipher_alg;	    /* "aes-256", "aes-128", "serpent-256", ... */
	const char *cipher_mode;    /* "xts", "cbc", "ctr", "ecb" */
	const char *ivgen_alg;	    /* "plain64", "plain", "essiv" */
	const char *ivgen_hash_alg; /* of essiv */
	const char *hash_alg;	    /* of PBKDF2: "sha256", ... */
	unsigned int iter_time_ms;  /* how long to try a passphrase takes; 0: 2000 */
	const void *passphrase;	    /* secure memory */
	size_t passphrase_len;
};

/*
 * qc_create() - make an empty image of a file
 * @fd:  open for reading and writing; all that it holds is lost
 *
 * Checks the options before it changes the file. The file is synced.
 * Return:
 *   0
 *   -EINVAL        an option that the version does not have, or an impossible value
 *   -EFBIG         the disk is too large for this cluster size
 *   -ENAMETOOLONG  a name of more than 1,023 bytes, or too long for the header's cluster
 *   -ENOTSUP       an unknown cipher or hash, or a library that this build lacks
 *   or an error of the file
 */
qc_err qc_create(int fd, const struct qc_create_options *o, struct qc_reason *why);

/* Makes of the file an image (version 3) of a disk of this size, in which nothing was
 * written yet, over the image file `backing` of the format "qcow" or "qcow2".  The size
 * is rounded up to whole sectors.  -ENAMETOOLONG more than 1023 bytes; -EFBIG more than
 * 2 EiB. */
qc_err qc_create_overlay(int fd, uint64_t size, const char *backing, const char *format);

/* What an image file says of the one below it; "" is nothing. */
struct qc_backing_info {
	char backing[1024];
	char format[16];
};
qc_err qc_read_backing_info(int fd, struct qc_backing_info *out, struct qc_reason *why);

/* The size of the disk. */
uint64_t qc_size(const struct qc_image *img);

/* Whether the image's header lets it be written, by whom its file can be: 0, or -EROFS. */
qc_err qc_writable(const struct qc_image *img, struct qc_reason *why);

unsigned int qc_depth(const struct qc_image *img); /* layers in its chain */
uint32_t qc_cluster_size(const struct qc_image *img);

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

/* ---- reading and writing ------------------------------------------------- */

/* Fills all of buf from the disk at off.  -EINVAL if that leaves the disk,
 * -EIO damaged image or failing file, -ESTALE
 * somebody changed an image file while it was open here. */
qc_err qc_read(struct qc_image *img, uint64_t off, void *buf, size_t len);

/* Changes all of the bytes, or fails and may have changed some.  -EROFS if it was
 * not opened for writing, -ENOSPC a full disk, else as qc_read. */
qc_err qc_write(struct qc_image *img, uint64_t off, const void *buf, size_t len);

/* The bytes read as zeros from now on; discard also gives their space back. */
qc_err qc_write_zeroes(struct qc_image *img, uint64_t off, uint64_t len);
qc_err qc_discard(struct qc_image *img, uint64_t off, uint64_t len);

/* What has no place in the file gets one; it reads as before. */
qc_err qc_allocate(struct qc_image *img, uint64_t off, uint64_t len);

/* What had been changed before the call is on stable storage.  An error stays:
 * what was lost cannot be told from what was not. */
qc_err qc_flush(struct qc_image *img);

/* Brings tables that were changed to the file: for when a file is closed that could be
 * written. */
qc_err qc_writeback(struct qc_image *img);

/* Another size, in whole sectors.  -EOPNOTSUPP where the format forbids it. */
qc_err qc_resize(struct qc_image *img, uint64_t size);

/* A run from off on (off < size) that is all data or all hole, with regard to
 * every layer.  A hole reads as zeros.  The next call may go on with the same:
 * a call does not take long, however large the disk and odd its tables are. */
struct qc_extent {
	uint64_t len;
	bool data;
};
qc_err qc_block_status(struct qc_image *img, uint64_t off, struct qc_extent *out);

/* ---- snapshots, and other views of an open image ------------------------- */

/* An internal snapshot, as the image's table has it.  Names are any bytes, even
 * NUL; one more NUL stands behind each. */
struct qc_snapshot {
	const char *id, *name;
	size_t id_len, name_len;
	uint64_t size;		/* of its disk */
	uint64_t vmstate_bytes; /* 0: none */
	int64_t date_s;		/* since 1970 */
	uint32_t date_ns;
	uint64_t vm_clock_ns;
	uint64_t icount; /* UINT64_MAX: none */
	uint64_t l1_offset; /* host offset of its L1 table, which also identifies it */
	uint32_t l1_entries;
};

struct qc_snapshots {
	size_t n;
	struct qc_snapshot *at;
	char *text; /* that the names are in */
};

/* Those of the image, oldest first; version 1 has none.  -EINVAL, -EIO a
 * damaged table. */
qc_err qc_list_snapshots(struct qc_image *img, struct qc_snapshots *out);
void qc_snapshots_free(struct qc_snapshots *s);

enum qc_part { QC_PART_DISK, QC_PART_VMSTATE };

/* A snapshot's disk, or its VM state, as an image to be read and closed like any
 * other, also when `img` is closed by then.  It cannot be deleted or renamed meanwhile.
 * -ENOENT: the table has it no more, or it is another one. */
qc_err qc_snapshot_open(struct qc_image *img, const struct qc_snapshot *s, enum qc_part part,
			struct qc_image **out, struct qc_reason *why);

/* Takes, deletes, or renames a snapshot of an image that is open for writing; all at
 * once, whatever happens meanwhile.  What was written before is in a snapshot, what is
 * written after is not.  -EOPNOTSUPP the format has none (version 1, a data file); -EINVAL an
 * empty name or a NUL in it, -ENAMETOOLONG more than 255 bytes, -EEXIST one has that name; -EMLINK
 * 65,536 snapshots, or a cluster that can be counted no higher; -ENOENT, -EBUSY it is
 * gone, or open; else as qc_write. */
qc_err qc_snapshot_take(struct qc_image *img, const char *name, size_t len);
qc_err qc_snapshot_delete(struct qc_image *img, const struct qc_snapshot *s);
qc_err qc_snapshot_rename(struct qc_image *img, const struct qc_snapshot *s, const char *name,
			  size_t len);

/* The disk as seen from layer n of the chain (0: the image itself) down, to be read.
 * Layer 0 follows what is written to the image. */
qc_err qc_open_chain_from(struct qc_image *img, unsigned int n, struct qc_image **out,
		    struct qc_reason *why);
const char *qc_layer_path(const struct qc_image *img, unsigned int n); /* absolute */

#ifdef __cplusplus
}
#endif
#include "qcow_info.h"

#endif
