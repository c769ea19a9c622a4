/* SPDX-License-Identifier: MIT */
/*
 * open_file.h - an open file or folder, and the list of all of them.
 *
 * The file handle of the kernel is the address of a struct open_file, which refers to its node
 * and its open image.  So a read goes from the request straight to the core: it searches
 * nothing, and takes no lock.
 */
#ifndef OPEN_FILE_H
#define OPEN_FILE_H

#include "ops/server.h"
#include "tree/growing_disk.h"

struct open_file {
	struct node *node;	      /* of a file; with a reference */
	struct qc_image *img;	      /* of a disk, a partition or a VM state */
	struct shared_buf *text;      /* of a text, instead of an image */
	struct byte_range range;     /* the part of the image that the file shows */
	atomic_bool *written;	      /* set when the file is written; NULL: not wanted */
	bool writable;
	bool truncates;		      /* O_TRUNC was among the flags of open() */
	bool has_pages;		      /* the kernel may have pages that other files change */
	atomic_bool emptied;	      /* the disk was emptied through this file */
	_Atomic uint64_t full_size;   /* of the disk, before it was cut through this file; or 0 */
	atomic_bool closed;	      /* FLUSH came: a descriptor was closed, perhaps the last */
	unsigned int content_version; /* of the node, at open() */
	struct seek_run {
		uint64_t off, layout; /* on the disk; of qc_layout_version(), 0: there is no run */
		struct qc_extent extent;
	} seek_run;		      /* that the last lseek() has found; seek_lock */
	pthread_mutex_t seek_lock;
	struct listing *listing;      /* of a folder */
	struct open_file *next, **prev; /* in server.open_files */
};

/* Opens the file of a node, as the flags in @fi say, and makes it the handle of the request.
 * Return: 0; as tree_open() or disk_size_empty(). */
int op_open_node(fuse_req_t req, struct node *n, struct fuse_file_info *fi);

/* Adds an open file to the list and makes it the handle of the request.  From then on
 * open_file_close() frees it with all that it holds. */
void open_file_add(struct server *s, struct open_file *f, struct fuse_file_info *fi);
void open_file_close(struct server *s, struct open_file *f);

/* Waits until the images are closed whose close had begun before the call.  Gives up after
 * some seconds, in case one is stuck. */
void open_files_await_closes(struct server *s);

/* Closes all files.  Call it when the session has ended: the kernel sends no RELEASE for
 * files that were open at the unmount, or were closed just before. */
void open_files_close_all(struct server *s);

/*
 * open_files_await_release() - wait until the files of an image that were closed are released
 * @ms:  the most to wait
 *
 * The kernel sends RELEASE after close(2) has returned.  So a file that every user has closed can
 * still be open here.  Waits only if every open file of the image and its views has had a FLUSH since
 * it was last written.
 */
void open_files_await_release(struct server *s, const struct node *image, int ms);

/* Returns true while the node is open with O_TRUNC.
 *
 * The kernel sets its size of the file to 0 after the reply to OPEN, at a moment of which no
 * request tells.  If it asked for attributes just before, it would use this 0 for as long as
 * these attributes are valid.  So they must not be valid at all while this returns true. */
bool open_files_truncate(struct server *s, const struct node *n);

static inline struct open_file *open_file_of(const struct fuse_file_info *fi)
{
	return (struct open_file *)(uintptr_t)fi->fh;
}

/* Returns the size of the file now.  A resize through another file can change it. */
static inline uint64_t open_file_size(const struct open_file *f)
{
	uint64_t disk = growing_disk_is_growing(f->node) ? growing_disk_size(f->node) :
							   qc_size(f->img);
	uint64_t room = disk > f->range.start ? disk - f->range.start : 0;

	return room < f->range.len ? room : f->range.len;
}

/* Returns true if the image file was replaced or rewritten since the file was opened.  The
 * pages in the kernel belong to the new content then, so the old image must not be used. */
static inline bool open_file_is_stale(const struct open_file *f)
{
	return f->content_version != node_content_version(f->node);
}

static inline void open_file_mark_written(struct open_file *f)
{
	if (f->written && !atomic_load_explicit(f->written, memory_order_relaxed))
		atomic_store(f->written, true);
}

#endif
