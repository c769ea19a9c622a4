/* SPDX-License-Identifier: MIT */
/*
 * path_dir.h - a path as a directory that is open, and a name in it.
 *
 * Used for files that are opened again later (images, key files, the pid file): the path may
 * lead elsewhere by then, since the mount covers a part of it or the daemon has changed its
 * working directory.  A symbolic link at the end of the path is not followed, so its
 * neighbours are those of the link.
 */
#ifndef PATH_DIR_H
#define PATH_DIR_H

struct path_dir {
	char *dir;  /* absolute path, without symbolic links */
	char *name; /* last component of the path */
	int fd;	    /* O_PATH descriptor of the directory; -1: not open */
};

#define PATH_DIR_NONE ((struct path_dir){ .fd = -1 })

/*
 * path_dir_open() - split @path and open its directory
 *
 * Trailing slashes are ignored; the name of "/" is "/".
 * Return: 0; -ENOMEM; the error of realpath(3) or open(2) on the directory.  On failure *@p
 * is PATH_DIR_NONE.
 */
int path_dir_open(struct path_dir *p, const char *path);

/* Closes and frees *@p, which is PATH_DIR_NONE afterwards.  Does nothing to PATH_DIR_NONE. */
void path_dir_close(struct path_dir *p);

#endif
