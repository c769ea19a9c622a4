/* SPDX-License-Identifier: MIT */
#include "tree/mirror_subdir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "tree/name.h"
#include "tree/tree_fields.h"
#include "util/report.h"

int mirror_subdir_open(struct tree *t, const struct node *dir, int flags)
{
	char *path = name_path_of_dir(t, dir);
	int fd = path ? source_open_path(t->src, path, flags | O_DIRECTORY) : -ENOMEM;

	free(path);
	return fd;
}

/* Opens a directory, and keeps scans off it while a name is made or removed in it.  Returns a
 * descriptor for unlock_dir(); -errno. */
static int lock_dir(struct tree *t, struct node *dir)
{
	int dirfd = tree_makes_files(t) ? mirror_subdir_open(t, dir, O_RDONLY) : -EROFS;

	if (dirfd >= 0)
		pthread_mutex_lock(&dir->dir.lock);
	return dirfd;
}

static void unlock_dir(struct node *dir, int dirfd)
{
	pthread_mutex_unlock(&dir->dir.lock);
	close(dirfd);
}

static int report_subdir(const char *shown, int r)
{
	report(QC_LOG_ERROR, "%s: cannot make the folder: a file of another kind has, or had, this name",
	       shown);
	return r;
}

static int make_dir(int dirfd, const char *name, const struct tree_maker *by)
{
	struct stat st;

	if (mkdirat(dirfd, name, by->mode))
		return errno == EEXIST ? -EPERM : -errno;
	if (geteuid() || by->uid == 0 || fstatat(dirfd, "", &st, AT_EMPTY_PATH))
		return 0;
	return fchownat(dirfd, name, by->uid, st.st_mode & S_ISGID ? (gid_t)-1 : by->gid,
			AT_SYMLINK_NOFOLLOW) ? -errno : 0;
}

/* Lets the name lead to the directory.  tree.lock is held. */
static int publish_dir(struct tree *t, struct node *dir, const char *shown, int dirfd,
		       struct node **out)
{
	struct name *nm = name_find_file(dir, shown, true);
	struct identity id;
	struct stat st;
	int r = 0;

	if (fstatat(dirfd, shown, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	id = identity_of(&st);
	if (!nm || !nm->node) {
		r = name_add_dir(t, dir, shown, &id);
		nm = r ? NULL : name_find_file(dir, shown, true);
	}
	if (!nm)
		return r ? r : -ENOMEM;
	nm->scan = dir->dir.scan;
	nm->gone = false;
	*out = name_ref_node(t, nm);
	return 0;
}

int mirror_subdir_make(struct tree *t, struct node *dir, const char *shown,
			const struct tree_maker *by, struct node **out)
{
	const struct name *nm;
	int dirfd = lock_dir(t, dir), r;

	if (dirfd < 0)
		return dirfd;
	pthread_mutex_lock(&t->lock);
	nm = name_find(dir, shown);
	r = !nm ? 0 : name_is_live(nm) ? -EEXIST : nm->is_dir ? 0 : -EPERM;
	pthread_mutex_unlock(&t->lock);
	if (!r)
		r = make_dir(dirfd, shown, by);
	if (!r) {
		pthread_mutex_lock(&t->lock);
		r = publish_dir(t, dir, shown, dirfd, out);
		pthread_mutex_unlock(&t->lock);
	}
	unlock_dir(dir, dirfd);
	return r == -EPERM ? report_subdir(shown, r) : r;
}

int mirror_subdir_remove(struct tree *t, struct node *dir, const char *shown)
{
	struct name *nm;
	int dirfd = lock_dir(t, dir), r;

	if (dirfd < 0)
		return dirfd;
	pthread_mutex_lock(&t->lock);
	nm = name_find(dir, shown);
	r = !nm || !name_is_live(nm) ? -ENOENT : nm->owner ? -EPERM : nm->is_dir ? 0 : -ENOTDIR;
	pthread_mutex_unlock(&t->lock);
	if (!r && unlinkat(dirfd, nm->file, AT_REMOVEDIR))
		r = -errno;
	if (!r) {
		pthread_mutex_lock(&t->lock);
		name_set_gone(t, nm);
		pthread_mutex_unlock(&t->lock);
	}
	unlock_dir(dir, dirfd);
	return r;
}
