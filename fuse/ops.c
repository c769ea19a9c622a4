/* SPDX-License-Identifier: MIT */
/*
 * ops.c - the callbacks of libfuse's low-level interface.
 *
 * A node's number, for the kernel, is its address; a file's handle is its open
 * image.  So a read goes from the request straight to the core: it finds no
 * name, takes no lock, and copies nothing but into the reply.
 *
 * Nothing can be changed through the mount; whatever would is EROFS.
 */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

/* Names and attributes are asked for again after this, in seconds. */
static const double TIMEOUT = 1.0;

static struct server *server_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static struct node *node_of(fuse_req_t req, fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? tree_root(server_of(req)->tree) : (struct node *)ino;
}

static fuse_ino_t ino_of(fuse_req_t req, struct node *n)
{
	return n == tree_root(server_of(req)->tree) ? FUSE_ROOT_ID : (fuse_ino_t)n;
}

static void reply_err(fuse_req_t req, int r)
{
	fuse_reply_err(req, -r);
}

static void op_init(void *arg, struct fuse_conn_info *conn)
{
	(void)arg;
	/* One read into a buffer and one reply beats splicing. */
	conn->want &= ~(unsigned int)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE);
	conn->want |= conn->capable & (FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
				       FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_ASYNC_READ |
				       FUSE_CAP_ASYNC_DIO | FUSE_CAP_AUTO_INVAL_DATA);
	conn->max_read = conn->max_write = conn->max_readahead = MAX_IO;
	conn->max_background = 64;
	conn->congestion_threshold = 48;
	/* Times come from the image files, in their precision. */
	conn->time_gran = 1;
}

/* ---- names and attributes ------------------------------------------------- */

/* Fills *e for a node that the caller has a reference of. */
static int entry_of(fuse_req_t req, struct node *n, struct fuse_entry_param *e)
{
	*e = (struct fuse_entry_param){
		.ino = ino_of(req, n),
		.attr_timeout = TIMEOUT,
		.entry_timeout = TIMEOUT,
	};
	return tree_stat(server_of(req)->tree, n, &e->attr);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct tree *t = server_of(req)->tree;
	struct fuse_entry_param e;
	struct node *n;
	int r = tree_lookup(t, node_of(req, parent), name, &n);

	if (!r) {
		r = entry_of(req, n, &e);
		if (r)
			tree_forget(t, n, 1);
	}
	if (r)
		reply_err(req, r);
	else
		fuse_reply_entry(req, &e);
}

static void forget_one(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	if (ino != FUSE_ROOT_ID)
		tree_forget(server_of(req)->tree, node_of(req, ino), n);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	forget_one(req, ino, n);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *f)
{
	for (size_t i = 0; i < count; i++)
		forget_one(req, f[i].ino, f[i].nlookup);
	fuse_reply_none(req);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;
	int r = tree_stat(server_of(req)->tree, node_of(req, ino), &st);

	(void)fi;
	if (r)
		reply_err(req, r);
	else
		fuse_reply_attr(req, &st, TIMEOUT);
}

/* Times may be set, to no effect. */
static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int which,
		       struct fuse_file_info *fi)
{
	const int times = FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_CTIME |
			  FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_MTIME_NOW;

	(void)st;
	if (which & ~times)
		reply_err(req, -EROFS);
	else
		op_getattr(req, ino, fi);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st;
	int r = tree_statfs(server_of(req)->tree, &st);

	(void)ino;
	if (r)
		reply_err(req, r);
	else
		fuse_reply_statfs(req, &st);
}

/* ---- what is open ------------------------------------------------------- */

static void note_close(struct server *s)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	s->idle_since = t.tv_sec;
	s->opens--;
}

struct handle {
	struct node *node;
	struct qc_image *img;  /* of a file */
	uint64_t size;
	struct listing *listing; /* of a folder */
	struct handle *next, **prev; /* among the server's */
};

static void add_handle(struct server *s, struct handle *h)
{
	pthread_mutex_lock(&s->handles_lock);
	h->next = s->handles;
	h->prev = &s->handles;
	if (h->next)
		h->next->prev = &h->next;
	s->handles = h;
	s->opens++;
	pthread_mutex_unlock(&s->handles_lock);
}

static void close_handle(struct server *s, struct handle *h)
{
	pthread_mutex_lock(&s->handles_lock);
	*h->prev = h->next;
	if (h->next)
		h->next->prev = h->prev;
	pthread_mutex_unlock(&s->handles_lock);
	if (h->listing)
		tree_list_free(s->tree, h->listing);
	else
		tree_close(h->node, h->img);
	free(h->listing);
	free(h);
	note_close(s);
}

void server_close_all(struct server *s)
{
	while (s->handles)
		close_handle(s, s->handles);
}

static struct handle *handle_of(const struct fuse_file_info *fi)
{
	return (struct handle *)(uintptr_t)fi->fh;
}

/* ---- folders -------------------------------------------------------------- */

static void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct server *s = server_of(req);
	struct handle *h = calloc(1, sizeof(*h));
	struct listing *l = calloc(1, sizeof(*l));
	int r = h && l ? tree_list(s->tree, node_of(req, ino), l) : -ENOMEM;

	if (r) {
		free(l);
		free(h);
		reply_err(req, r);
		return;
	}
	h->listing = l;
	add_handle(s, h);
	fi->fh = (uintptr_t)h;
	fuse_reply_open(req, fi);
}

static void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	close_handle(server_of(req), handle_of(fi));
	fuse_reply_err(req, 0);
}

/* The entry at a position of a listing: ".", "..", then the nodes. */
static struct node *entry_at(const struct listing *l, struct node *folder, size_t at,
			     const char **name)
{
	if (at < 2) {
		*name = at ? ".." : ".";
		return at ? node_parent(folder) : folder;
	}
	*name = node_name(l->node[at - 2]);
	return l->node[at - 2];
}

/* Adds one entry to the reply.  The size it needs, which may be more than
 * there is room; 0 to leave it out. */
static size_t add_plain(fuse_req_t req, char *buf, size_t room, const char *name,
			struct node *n, off_t next)
{
	struct stat st = {
		.st_ino = node_ino(n),
		.st_mode = node_is_folder(n) ? S_IFDIR : S_IFREG,
	};

	return fuse_add_direntry(req, buf, room, name, &st, next);
}

static size_t add_plus(fuse_req_t req, char *buf, size_t room, const char *name,
		       struct node *n, off_t next)
{
	size_t need = fuse_add_direntry_plus(req, NULL, 0, name, NULL, 0);
	struct fuse_entry_param e;

	if (need > room)
		return need;
	if (entry_of(req, n, &e))
		return 0; /* it has gone */
	/* The kernel holds a reference of all but "." and "..". */
	if (next > 2)
		node_hold(n);
	return fuse_add_direntry_plus(req, buf, room, name, &e, next);
}

static void read_folder(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			struct fuse_file_info *fi, bool plus)
{
	const struct listing *l = handle_of(fi)->listing;
	struct node *folder = node_of(req, ino);
	char *buf = malloc(size);
	size_t used = 0;

	if (!buf) {
		reply_err(req, -ENOMEM);
		return;
	}
	for (size_t at = (size_t)off; at < l->n + 2; at++) {
		const char *name;
		struct node *n = entry_at(l, folder, at, &name);
		size_t need = (plus ? add_plus : add_plain)(req, buf + used, size - used, name,
							    n, (off_t)at + 1);

		if (need > size - used)
			break;
		used += need;
	}
	fuse_reply_buf(req, buf, used);
	free(buf);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	read_folder(req, ino, size, off, fi, false);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			   struct fuse_file_info *fi)
{
	read_folder(req, ino, size, off, fi, true);
}

/* ---- files ---------------------------------------------------------------- */

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct server *s = server_of(req);
	struct handle *h;
	bool keep = false;
	int r;

	if ((fi->flags & O_ACCMODE) != O_RDONLY) {
		reply_err(req, -EROFS);
		return;
	}
	h = calloc(1, sizeof(*h));
	r = h ? tree_open(s->tree, node_of(req, ino), &h->img, &keep) : -ENOMEM;
	if (r) {
		free(h);
		reply_err(req, r);
		return;
	}
	/* The size may be another one, too.  (This is about attributes only, else it
	 * could not be said from here.) */
	if (!keep)
		fuse_lowlevel_notify_inval_inode(s->session, ino, -1, 0);
	h->node = node_of(req, ino);
	h->size = qc_size(h->img);
	add_handle(s, h);
	fi->fh = (uintptr_t)h;
	fi->keep_cache = keep;
	fi->direct_io = s->direct_io;
	fuse_reply_open(req, fi);
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	close_handle(server_of(req), handle_of(fi));
	fuse_reply_err(req, 0);
}

/* One buffer per worker, for the largest request. */
static pthread_key_t buffer_key;
static pthread_once_t buffer_once = PTHREAD_ONCE_INIT;

static void make_buffer_key(void)
{
	if (pthread_key_create(&buffer_key, free))
		abort();
}

static void *own_buffer(void)
{
	void *buf;

	pthread_once(&buffer_once, make_buffer_key);
	buf = pthread_getspecific(buffer_key);
	if (buf || posix_memalign(&buf, 4096, MAX_IO))
		return buf;
	if (pthread_setspecific(buffer_key, buf)) {
		free(buf);
		return NULL;
	}
	return buf;
}

static void count_read(struct server *s, size_t bytes)
{
	static atomic_uint workers;
	static _Thread_local unsigned int mine; /* 0: not known yet */
	struct server_count *c;

	if (!mine)
		mine = atomic_fetch_add(&workers, 1) + 1;
	c = &s->count[mine % (sizeof(s->count) / sizeof(s->count[0]))];
	atomic_fetch_add_explicit(&c->reads, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&c->bytes, bytes, memory_order_relaxed);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t len, off_t off,
		    struct fuse_file_info *fi)
{
	struct handle *h = handle_of(fi);
	void *buf = own_buffer();
	int r;

	(void)ino;
	if (!buf || len > MAX_IO) {
		reply_err(req, buf ? -EINVAL : -ENOMEM);
		return;
	}
	if ((uint64_t)off >= h->size)
		len = 0;
	else if (len > h->size - (uint64_t)off)
		len = (size_t)(h->size - (uint64_t)off);
	r = len ? qc_read(h->img, (uint64_t)off, buf, len) : 0;
	count_read(server_of(req), len);
	if (r)
		reply_err(req, r);
	else
		fuse_reply_buf(req, buf, len);
}

static int seek(const struct handle *h, uint64_t off, bool data, uint64_t *found)
{
	while (off < h->size) {
		struct qc_extent e;
		int r = qc_extent(h->img, off, &e);

		if (r)
			return r;
		if (e.data == data)
			break;
		off += e.len;
	}
	if (off >= h->size && data)
		return -ENXIO;
	*found = off;
	return 0;
}

static void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
		     struct fuse_file_info *fi)
{
	const struct handle *h = handle_of(fi);
	uint64_t found = 0;
	int r = -EINVAL;

	(void)ino;
	if (off < 0 || (uint64_t)off >= h->size)
		r = -ENXIO;
	else if (whence == SEEK_DATA || whence == SEEK_HOLE)
		r = seek(h, (uint64_t)off, whence == SEEK_DATA, &found);
	if (r)
		reply_err(req, r);
	else
		fuse_reply_lseek(req, (off_t)found);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)ino, (void)datasync, (void)fi;
	fuse_reply_err(req, 0); /* nothing was written */
}

static void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino, (void)fi;
	fuse_reply_err(req, 0);
}

/* ---- what would change something ------------------------------------------ */

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		     dev_t dev)
{
	(void)parent, (void)name, (void)mode, (void)dev;
	reply_err(req, -EROFS);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	(void)parent, (void)name, (void)mode;
	reply_err(req, -EROFS);
}

static void op_remove(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	(void)parent, (void)name;
	reply_err(req, -EROFS);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
		       const char *name)
{
	(void)target, (void)parent, (void)name;
	reply_err(req, -EROFS);
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
		      fuse_ino_t newparent, const char *newname, unsigned int flags)
{
	(void)parent, (void)name, (void)newparent, (void)newname, (void)flags;
	reply_err(req, -EROFS);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent,
		    const char *newname)
{
	(void)ino, (void)newparent, (void)newname;
	reply_err(req, -EROFS);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	(void)parent, (void)name, (void)mode, (void)fi;
	reply_err(req, -EROFS);
}

const struct fuse_lowlevel_ops server_ops = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.statfs = op_statfs,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.releasedir = op_releasedir,
	.open = op_open,
	.release = op_release,
	.read = op_read,
	.lseek = op_lseek,
	.fsync = op_fsync,
	.flush = op_flush,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_remove,
	.rmdir = op_remove,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.create = op_create,
};
