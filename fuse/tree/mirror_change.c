/* SPDX-License-Identifier: MIT */
#include "tree/mirror_change.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h> /* RENAME_NOREPLACE */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tree/base_index.h"
#include "tree/image_file.h"
#include "tree/mirror_subdir.h"
#include "tree/name.h"
#include "tree/name_claim.h"
#include "tree/new_name.h"
#include "tree/node.h"
#include "tree/node_table.h"
#include "tree/tree_fields.h"
#include "util/report.h"

static int report_change(const char *shown, int r, const char *what, const char *why)
{
	report(QC_LOG_ERROR, "%s: cannot %s: %s", shown, what, why);
	return r;
}

/* ---- images that can go ----------------------------------------------------------- */

/* An image that is to be renamed or removed. */
struct victim {
	struct node *dir;
	const char *shown;
	struct name *nm;    /* never freed while the tree is served */
	char *file;	    /* its file */
	bool is_link;
	struct node *image; /* with a reference; NULL: the name leads to nothing */
	bool removing;	    /* it cannot be opened meanwhile */
};

/* Finds the image of a name.  Return: 0, also if there is none; -EISDIR, -EPERM it is no image. */
static int find_victim(struct tree *t, struct node *dir, const char *shown, struct victim *v)
{
	int r = 0;

	*v = (struct victim){ .dir = dir, .shown = shown };
	pthread_mutex_lock(&t->lock);
	v->nm = name_find(dir, shown);
	if (v->nm && name_is_live(v->nm)) {
		r = v->nm->is_dir ? -EISDIR : v->nm->owner ? -EPERM : 0;
		if (!r)
			v->file = strdup(v->nm->file);
		if (v->file)
			v->image = name_ref_node(t, v->nm);
		if (!r && !v->image)
			r = -ENOMEM;
		v->is_link = v->nm->is_link;
	}
	pthread_mutex_unlock(&t->lock);
	return r;
}

static void end_victim(struct tree *t, struct victim *v)
{
	if (v->removing)
		image_file_end_removal(v->image);
	node_forget(t, v->image, 1);
	free(v->file);
}

static int check_users(struct tree *t, const struct victim *v, const char *what)
{
	char users[400], why[500];
	int r = base_index_list_users(t, v->image, users, sizeof(users));

	if (r != -EBUSY)
		return r;
	snprintf(why, sizeof(why), "it is the backing file or data file of %s", users);
	return report_change(v->shown, r, what, why);
}

/* Checks that no program uses the image, this one included. */
static int check_unused(struct tree *t, const struct victim *v)
{
	struct image_inspection i;
	struct qc_layer_info info = { 0 };
	int r = image_file_inspect(t, v->image, &i);

	if (r)
		return r;
	if (i.failed && i.why.cause == QC_CAUSE_LOCKED)
		r = report_change(v->shown, -EBUSY, "remove it", i.why.text);
	else if (i.img)
		r = qc_get_layer_info(i.img, 0, &info);
	if (!r && info.use.open)
		r = report_change(v->shown, -EBUSY, "remove it", "it is open here (close that first)");
	qc_layer_info_free(&info);
	image_file_inspection_end(&i);
	return r;
}

/* Checks that the image can be removed, and keeps it from being opened until end_victim(). */
static int begin_removal(struct tree *t, struct victim *v)
{
	int r = image_file_begin_removal(v->image);

	if (r)
		return report_change(v->shown, r, "remove it", "it is open here (close that first)");
	v->removing = true;
	r = check_users(t, v, "remove it");
	return r ? r : check_unused(t, v);
}

/* Whether the file is still that of the name.  dir.lock is held. */
static int check_same_file(const struct victim *v, int dirfd)
{
	struct stat st;

	if (fstatat(dirfd, v->file, &st, 0))
		return -errno;
	return st.st_dev == v->image->image.id.dev && st.st_ino == v->image->image.id.ino ? 0 :
											     -ESTALE;
}

/* Takes the node out of the table of files: the next file that is made, in any directory, may get the
 * inode number.  An image with more names stays. */
static void retire_node(struct tree *t, const struct victim *v)
{
	pthread_mutex_lock(&t->lock);
	if (v->image->image.names == v->nm && !v->nm->next)
		node_table_remove_image(t->nodes, v->image);
	pthread_mutex_unlock(&t->lock);
}

/* Undoes that: the file is still there. */
static void reinstate_node(struct tree *t, const struct victim *v)
{
	const struct identity *id = &v->image->image.id;

	pthread_mutex_lock(&t->lock);
	if (!node_table_find_image(t->nodes, id->dev, id->ino))
		node_table_add_image(t->nodes, v->image);
	pthread_mutex_unlock(&t->lock);
}

/* ---- unlink -------------------------------------------------------------------------- */

static int unlink_victim(struct tree *t, struct victim *v)
{
	int dirfd = mirror_subdir_open(t, v->dir, O_RDONLY), r;

	if (dirfd < 0)
		return dirfd;
	pthread_mutex_lock(&v->dir->dir.lock);
	r = check_same_file(v, dirfd);
	if (!r) {
		retire_node(t, v);
		r = unlinkat(dirfd, v->file, 0) ? -errno : 0;
		if (r)
			reinstate_node(t, v);
	}
	if (!r || r == -ENOENT) {
		pthread_mutex_lock(&t->lock);
		name_set_gone(t, v->nm);
		pthread_mutex_unlock(&t->lock);
	}
	pthread_mutex_unlock(&v->dir->dir.lock);
	close(dirfd);
	return r;
}

int mirror_change_unlink(struct tree *t, struct node *dir, const char *shown)
{
	struct victim v;
	int r;

	if (!tree_makes_files(t))
		return -EROFS;
	r = find_victim(t, dir, shown, &v);
	if (!r && !v.image)
		r = -ENOENT;
	if (!r)
		r = begin_removal(t, &v);
	if (!r)
		r = unlink_victim(t, &v);
	end_victim(t, &v);
	return r;
}

/* ---- rename -------------------------------------------------------------------------- */

struct renaming {
	struct victim from, over;
	struct node *to_dir;
	const char *to;
	char *file; /* new name of the file */
	int from_fd, to_fd;
};

/* Whether the image, or a link to it, names a file from its directory. */
static int check_movable(struct tree *t, const struct victim *v)
{
	struct image_inspection i;
	struct qc_layer_info info = { 0 };
	bool relative = v->is_link;
	int r = image_file_inspect(t, v->image, &i);

	if (!r && i.img && !qc_get_layer_info(i.img, 0, &info))
		relative = relative || (*info.backing && *info.backing != '/') ||
			   (*info.data_file && *info.data_file != '/');
	qc_layer_info_free(&info);
	if (r)
		return r;
	image_file_inspection_end(&i);
	return !relative ? 0 : report_change(v->shown, -EPERM, "move it to another folder",
					      "it names its backing file, or another file, from this one");
}

static int check_renaming(struct tree *t, struct renaming *n)
{
	int r = find_victim(t, n->from.dir, n->from.shown, &n->from);

	if (!r && !n->from.image)
		r = -ENOENT;
	if (r == -EISDIR)
		return report_change(n->from.shown, -EPERM, "rename it",
				     "it is a folder (rename it in the source)");
	if (!r)
		r = find_victim(t, n->to_dir, n->to, &n->over);
	if (!r)
		r = new_name_of_image(n->to, new_name_ending(n->from.file), &n->file);
	if (!r && n->from.dir != n->to_dir)
		r = check_movable(t, &n->from);
	if (!r)
		r = check_users(t, &n->from, "rename it");
	if (!r && n->over.image && n->over.image != n->from.image)
		r = begin_removal(t, &n->over);
	return r;
}

static int rename_new(struct renaming *n)
{
	long r = syscall(SYS_renameat2, n->from_fd, n->from.file, n->to_fd, n->file,
			 RENAME_NOREPLACE);

	if (r && errno == EINVAL && faccessat(n->to_fd, n->file, F_OK, AT_SYMLINK_NOFOLLOW))
		r = renameat(n->from_fd, n->from.file, n->to_fd, n->file);
	return !r ? 0 : errno == EEXIST || errno == EINVAL ? -EPERM : -errno;
}

/* Renames the file.  An image of the same ending is replaced by the rename itself, one of another
 * ending is removed after it. */
static int rename_file(struct renaming *n)
{
	const char *old = n->over.image ? n->over.file : NULL;
	int r = check_same_file(&n->from, n->from_fd);

	if (!r && old)
		r = check_same_file(&n->over, n->to_fd);
	if (r)
		return r;
	if (old && !strcmp(old, n->file))
		return renameat(n->from_fd, n->from.file, n->to_fd, n->file) ? -errno : 0;
	r = rename_new(n);
	if (!r && old && unlinkat(n->to_fd, old, 0))
		r = -errno;
	return r;
}

/* Lets the new name lead to the image.  The image keeps one name at all times, and its paths. */
static int rename_name(struct tree *t, struct renaming *n)
{
	struct identity id = n->from.image->image.id;
	struct name *nm;
	struct stat st;
	int r;

	if (!fstatat(n->to_fd, n->file, &st, 0))
		id = identity_of(&st);
	if (n->over.image)
		name_set_gone(t, n->over.nm);
	r = name_claim(t, n->to_dir, n->to, n->file, &id, &nm);
	if (nm != n->from.nm)
		name_set_gone(t, n->from.nm);
	return r;
}

static int rename_locked(struct tree *t, struct renaming *n)
{
	int r = 0;

	pthread_mutex_lock(&t->lock);
	if (!n->over.image)
		r = name_claim_check(n->to_dir, n->to, n->file);
	pthread_mutex_unlock(&t->lock);
	if (!r && n->over.image)
		retire_node(t, &n->over);
	if (!r)
		r = rename_file(n);
	if (r && n->over.image)
		reinstate_node(t, &n->over);
	if (r == -EPERM)
		return report_change(n->from.shown, r, "rename it", "the new name is that of a file of another kind");
	if (r)
		return r;
	pthread_mutex_lock(&t->lock);
	r = rename_name(t, n);
	pthread_mutex_unlock(&t->lock);
	return r;
}

/* Keeps scans off both directories, the one at the lower address first. */
static int rename_without_scans(struct tree *t, struct renaming *n)
{
	struct node *a = n->from.dir, *b = n->to_dir;
	struct node *first = a < b ? a : b, *second = a < b ? b : a;
	int r;

	pthread_mutex_lock(&first->dir.lock);
	if (second != first)
		pthread_mutex_lock(&second->dir.lock);
	r = rename_locked(t, n);
	if (second != first)
		pthread_mutex_unlock(&second->dir.lock);
	pthread_mutex_unlock(&first->dir.lock);
	return r;
}

static int open_both_dirs(struct tree *t, struct renaming *n)
{
	n->from_fd = mirror_subdir_open(t, n->from.dir, O_RDONLY);
	n->to_fd = n->from_fd < 0 ? -1 : mirror_subdir_open(t, n->to_dir, O_RDONLY);
	return n->from_fd < 0 ? n->from_fd : n->to_fd < 0 ? n->to_fd : 0;
}

int mirror_change_rename(struct tree *t, struct node *dir, const char *shown, struct node *to_dir,
			 const char *to)
{
	struct renaming n = { .from = { .dir = dir, .shown = shown }, .to_dir = to_dir, .to = to,
			      .from_fd = -1, .to_fd = -1 };
	int r;

	if (to_dir->ops != dir->ops)
		return -EPERM;
	if (!tree_makes_files(t))
		return -EROFS;
	r = check_renaming(t, &n);
	/* Two links of one image: rename(2) does nothing. */
	if (!r && n.over.image != n.from.image) {
		r = open_both_dirs(t, &n);
		if (!r)
			r = rename_without_scans(t, &n);
	}
	if (n.from_fd >= 0)
		close(n.from_fd);
	if (n.to_fd >= 0)
		close(n.to_fd);
	end_victim(t, &n.from);
	end_victim(t, &n.over);
	free(n.file);
	return r;
}
