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
	char *name; /* last component of the path; NULL: the path is the directory */
	int fd;	    /* of the directory; -1: not open */
};

#define PATH_DIR_NONE ((struct path_dir){ .fd = -1 })

/*
 * path_dir_open() - split @path and open its directory with O_PATH
 *
 * Trailing slashes are ignored; the name of "/" is "/".
 * Return: 0; -ENOMEM; the error of realpath(3) or open(2) on the directory.  On failure *@p
 * is PATH_DIR_NONE.
 */
int path_dir_open(struct path_dir *p, const char *path);

/* The same, with @flags of open(2) for the directory. */
int path_dir_open_as(struct path_dir *p, const char *path, int flags);

/* Opens the directory @path itself.  Return: as path_dir_open(). */
int path_dir_open_self(struct path_dir *p, const char *path, int flags);

/* Closes and frees *@p, which is PATH_DIR_NONE afterwards.  Does nothing to PATH_DIR_NONE. */
void path_dir_close(struct path_dir *p);

#endif
