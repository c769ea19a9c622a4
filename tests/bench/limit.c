/* SPDX-License-Identifier: MIT */
/*
 * limit.c - one raw file through FUSE and nothing else: the ceiling for any daemon that
 * answers from /dev/fuse.
 *
 * usage: limit RAW-FILE MOUNTPOINT THREADS      (shows MOUNTPOINT/f)
 * build: cc -O2 limit.c -o limit $(pkg-config --cflags --libs fuse3)
 *
 * Each request is one pread or pwrite with a buffer of the thread.  It does not splice,
 * which was measured to be about half as fast for reads of 1 MiB, and as fast for those
 * of 4 KiB.  What matters most is that each worker has a descriptor of /dev/fuse of its
 * own (clone_fd): four read 4 KiB about three times as fast as one.
 */
#define _GNU_SOURCE
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_IO = 1 << 20, DAY = 86400 };

static int raw_fd;
static off_t raw_size;

static void attr_of(fuse_ino_t ino, struct stat *st)
{
	*st = (struct stat){.st_ino = ino,
			    .st_nlink = 1,
			    .st_mode = S_IFREG | 0644,
			    .st_size = raw_size};
	if (ino == FUSE_ROOT_ID) {
		st->st_mode = S_IFDIR | 0755;
		st->st_nlink = 2;
		st->st_size = 0;
	}
}

static void op_init(void *arg, struct fuse_conn_info *conn)
{
	(void)arg;
	conn->want &= ~(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE);
	conn->max_write = conn->max_read = conn->max_readahead = MAX_IO;
	conn->max_background = 64;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e = {.ino = 2, .attr_timeout = DAY, .entry_timeout = DAY};

	(void)parent;
	if (strcmp(name, "f")) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	attr_of(2, &e.attr);
	fuse_reply_entry(req, &e);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	(void)fi;
	attr_of(ino, &st);
	fuse_reply_attr(req, &st, DAY);
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int which,
		       struct fuse_file_info *fi)
{
	(void)st, (void)which;
	op_getattr(req, ino, fi);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	fi->keep_cache = 1;
	fuse_reply_open(req, fi);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t len, off_t off,
		    struct fuse_file_info *fi)
{
	static __thread char *buf;
	ssize_t n;

	(void)ino, (void)fi;
	if (!buf && posix_memalign((void **)&buf, 4096, MAX_IO)) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	n = pread(raw_fd, buf, len, off);
	if (n < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_buf(req, buf, n);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t len,
		     off_t off, struct fuse_file_info *fi)
{
	ssize_t n = pwrite(raw_fd, buf, len, off);

	(void)ino, (void)fi;
	if (n < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_write(req, n);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
		     struct fuse_file_info *fi)
{
	(void)ino, (void)datasync, (void)fi;
	fuse_reply_err(req, fdatasync(raw_fd) ? errno : 0);
}

static const struct fuse_lowlevel_ops ops = {
	.init = op_init,
	.lookup = op_lookup,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.fsync = op_fsync,
};

int main(int argc, char **argv)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct fuse_loop_config *loop = fuse_loop_cfg_create();
	struct fuse_session *se;
	struct stat st;
	int rc;

	if (argc != 4 || (raw_fd = open(argv[1], O_RDWR | O_CLOEXEC)) < 0 ||
	    fstat(raw_fd, &st)) {
		fprintf(stderr, "usage: limit RAW-FILE MOUNTPOINT THREADS\n");
		return 1;
	}
	raw_size = st.st_size;
	fuse_opt_add_arg(&args, "limit");
	fuse_opt_add_arg(&args, "-omax_read=1048576");
	se = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	if (!se || fuse_session_mount(se, realpath(argv[2], NULL)))
		return 1;
	fuse_daemonize(0);
	fuse_loop_cfg_set_clone_fd(loop, 1);
	fuse_loop_cfg_set_max_threads(loop, atoi(argv[3]));
	fuse_loop_cfg_set_idle_threads(loop, atoi(argv[3]));
	rc = fuse_session_loop_mt(se, loop);
	fuse_session_unmount(se);
	return rc;
}
