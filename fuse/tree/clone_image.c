/* SPDX-License-Identifier: MIT */
#include "tree/clone_image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tree/image_attr.h"
#include "tree/image_file.h"
#include "tree/make_image.h"
#include "tree/mirror_change.h"
#include "tree/name.h"
#include "tree/node.h"
#include "tree/node_ops.h"
#include "tree/tree_fields.h"
#include "util/report.h"

enum { CHAIN_MOST = 256 }; /* files of a chain, as qc_open() allows */

static int report_clone(const char *shown, int r, const char *why)
{
	report(QC_LOG_ERROR, "%s: cannot make the overlay: %s", shown, why);
	return r;
}

/* ---- the base ------------------------------------------------------------------ */

/* Returns the part of an absolute target that is below the mountpoint; NULL: it is elsewhere. */
static const char *below_mountpoint(const struct tree *t, const char *target)
{
	size_t n = strlen(t->config.mountpoint);

	return !strncmp(target, t->config.mountpoint, n) && target[n] == '/' ? target + n : NULL;
}

/* Goes one component further.  Consumes the reference of @at, and returns one; NULL: there is no
 * such name. */
static struct node *walk_component(struct tree *t, struct node *at, const char *part)
{
	struct node *next = NULL;

	if (!at->is_dir || !strcmp(part, ".") || !*part)
		return at;
	if (!strcmp(part, "..")) {
		next = at->parent;
		if (next)
			node_ref(next);
	} else if (at->ops->lookup(t, at, part, &next)) {
		next = NULL;
	}
	node_forget(t, at, 1);
	return next;
}

int clone_image_find_base(struct tree *t, struct node *dir, const char *target, struct node **out)
{
	const char *path = *target == '/' ? below_mountpoint(t, target) : target;
	struct node *at = *target == '/' ? t->root : dir;
	char *copy = path ? strdup(path) : NULL, *rest = copy, *part;

	if (path && !copy)
		return -ENOMEM;
	if (copy)
		node_ref(at);
	while (copy && at && (part = strsep(&rest, "/")))
		at = walk_component(t, at, part);
	free(copy);
	if (copy && at && at->origin == at && !at->is_dir) {
		*out = at;
		return 0;
	}
	if (copy && at)
		node_forget(t, at, 1);
	return -EPERM;
}

/* ---- the name of the backing file -------------------------------------------------- */

/* Returns the path of a file from a directory, both below SOURCE; to be freed.  NULL: no memory. */
static char *relative_path(const char *dir, const char *path)
{
	size_t same = 0;
	const char *rest = dir;
	char *out = NULL, *more;

	for (size_t i = 0; dir[i] == path[i] || (!dir[i] && path[i] == '/'); i++) {
		if (path[i] == '/') {
			same = i + 1;
			rest = dir[i] ? dir + i + 1 : dir + i;
		}
		if (!dir[i])
			break;
	}
	/* QEMU takes what stands before a colon for a protocol. */
	more = *rest || !memchr(path + same, ':', strcspn(path + same, "/")) ? strdup("") : strdup("./");
	while (more && *rest) {
		rest += strcspn(rest, "/");
		rest += *rest == '/';
		if (asprintf(&out, "../%s", more) < 0)
			out = NULL;
		free(more);
		more = out;
	}
	if (!more || asprintf(&out, "%s%s", more, path + same) < 0)
		out = NULL;
	free(more);
	return out;
}

/* Finds the name to record, and checks that the overlay may open the file. */
static int name_backing_file(struct tree *t, struct node *dir, const char *shown,
			     const char *base_path, char **out)
{
	char *dir_path = name_path_of_dir(t, dir);

	*out = dir_path ? relative_path(dir_path, base_path) : NULL;
	free(dir_path);
	if (!*out)
		return -ENOMEM;
	if (t->config.refs == QC_REFS_NONE ||
	    (t->config.refs == QC_REFS_SAMEDIR && !strncmp(*out, "../", 3)))
		return report_clone(shown, -EPERM, "it could not open its backing file, which is "
				    "outside of its folder (backing=any allows it)");
	return 0;
}

/* ---- the overlay --------------------------------------------------------------------- */

/* A backing file, as an overlay of it needs to know it. */
struct clone_base {
	struct node *node;
	struct image_inspection headers;
	char *path, *name; /* in SOURCE; as it is recorded */
	mode_t mode;
};

static bool has_writer(const struct clone_base *b)
{
	struct qc_layer_use use;

	qc_get_layer_use(b->headers.img, 0, &use);
	return use.has_writer;
}

/* Fills the options that depend on the base. */
static int describe_base(struct clone_base *b, const char *shown, struct qc_create_options *o)
{
	struct qc_layer_info info;
	int r = qc_get_layer_info(b->headers.img, 0, &info);

	if (r)
		return r;
	o->size = info.size;
	o->backing = b->name;
	o->backing_format = qc_format_name(info.version);
	if (info.encryption != QC_PLAIN && o->encryption == QC_CREATE_PLAIN)
		report(QC_LOG_WARN, "%s: the overlay of an encrypted image is not encrypted itself "
		       "(create=encrypt.format=luks)", shown);
	qc_layer_info_free(&info);
	if (qc_depth(b->headers.img) >= CHAIN_MOST)
		return report_clone(shown, -ELOOP, "its chain would have too many files");
	return 0;
}

static int open_base(struct tree *t, struct node *dir, const char *shown, struct clone_base *b)
{
	struct stat st = { 0 };
	int r = image_file_inspect(t, b->node, &b->headers);

	if (r) {
		b->headers = (struct image_inspection){ 0 };
		return r;
	}
	if (b->headers.failed || !b->headers.img)
		r = image_file_report(t, b->node, -EIO, &b->headers.why);
	b->path = name_path_of_image(t, b->node, 0);
	if (!r && !b->path)
		r = -ENOENT;
	if (!r)
		r = image_attr_stat_file(t, b->node, &st);
	b->mode = st.st_mode;
	return r ? r : name_backing_file(t, dir, shown, b->path, &b->name);
}

/* Makes the overlay.  The check for writers of the base comes after the overlay is in the index of
 * bases, where each new writer looks when it has opened the base. */
static int make_clone(struct tree *t, struct node *dir, const char *shown,
			const struct tree_maker *by, struct clone_base *b, struct node **out)
{
	struct qc_create_options o = *t->config.create;
	struct image_paths paths = { .backing = b->path };
	struct tree_maker maker = *by;
	int r = describe_base(b, shown, &o);

	/* The kernel tells no umask with a symbolic link. */
	maker.mode = (b->mode & 0777) | S_IRUSR | S_IWUSR;

	if (!r && has_writer(b) && !t->config.write_base)
		r = -EBUSY;
	if (!r) {
		b->path = NULL;
		r = make_image_file(t, dir, shown, &maker, &o, &paths, out);
		if (!r && has_writer(b) && !t->config.write_base) {
			node_forget(t, *out, 1);
			mirror_change_unlink(t, dir, shown);
			r = -EBUSY;
		}
	}
	if (r == -EBUSY)
		report_clone(shown, r, "its backing file is open for writing here (close that first)");
	return r;
}

/* ---- the answer to the kernel ----------------------------------------------------------- */

static int getattr_of_link(struct tree *t, struct node *n, struct stat *st)
{
	(void)t;
	*st = (struct stat){ .st_mode = S_IFLNK | 0777, .st_nlink = 1, .st_ino = n->ino,
			     .st_size = (off_t)strlen(n->data) };
	return 0;
}

static void free_link(struct node *n)
{
	free(n->data);
}

static const struct node_ops link_ops = {
	.getattr = getattr_of_link,
	.free = free_link,
};

/* Replaces the node of the overlay by a link that holds it. */
static int replace_by_link(struct tree *t, const char *target, struct node **n)
{
	struct node *image = *n;
	char *copy = strdup(target);

	pthread_mutex_lock(&t->lock);
	*n = copy ? node_new(t, &link_ops, false, node_ino_of_part(image, "link", 4), image) : NULL;
	pthread_mutex_unlock(&t->lock);
	node_forget(t, image, 1);
	if (*n)
		(*n)->data = copy;
	else
		free(copy);
	return *n ? 0 : -ENOMEM;
}

int clone_image_make(struct tree *t, struct node *dir, const char *shown, const char *target,
		     struct node *base, const struct tree_maker *by, struct node **out)
{
	struct clone_base b = { .node = base };
	int r;

	if (!tree_makes_files(t))
		return -EROFS;
	if (!base)
		return report_clone(shown, -EPERM, "the link does not lead to an image of this mount");
	r = open_base(t, dir, shown, &b);
	if (!r)
		r = make_clone(t, dir, shown, by, &b, out);
	if (!r)
		r = replace_by_link(t, target, out);
	image_file_inspection_end(&b.headers);
	free(b.path);
	free(b.name);
	return r;
}
