/* SPDX-License-Identifier: MIT */
/*
 * tree.c - nodes, and the scan that keeps a folder's nodes up to date.
 *
 * A folder's lock is held while it is scanned; its children change only then.
 * A child is found by the name it is shown under, and by its file's name.  When
 * its file goes it stays, `gone`, since its name may not be given to another;
 * when another file takes that place, a new node takes over the name, and the
 * old one lives on for as long as somebody refers to it.
 *
 * Locks: a folder's `lock`, then a node's `facts`; neither with another of its
 * kind.
 */
#include "tree.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <search.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "names.h"
#include "report.h"

/* By this we see that a file is no longer the one that we looked into. */
struct identity {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
};

struct node {
	uint64_t ino;
	bool folder;
	struct node *parent;
	char *file;  /* name in SOURCE */
	char *shown; /* name in the mount */
	_Atomic uint64_t references;

	/* The parent's lock. */
	bool gone;
	bool was_replaced; /* freed with its last reference */
	struct node *next; /* among the replaced */
	unsigned int seen; /* in this scan */
	struct identity checked; /* when it was last known to be an image */

	/* Of a folder. */
	pthread_mutex_t lock;
	void *by_shown, *by_file; /* lock; trees of tsearch(3) */
	unsigned int scans;	  /* lock */
	struct node *replaced;	  /* lock; children that lost their place */

	/* Of an image. */
	pthread_mutex_t facts; /* for all below */
	bool probed;
	struct identity probed_at;
	int error;   /* 0: usable, when it was probed */
	uint64_t size;
	uint32_t cluster;
	unsigned int opens;
	struct stat last; /* what was last said of it */
	bool stamped;
	struct qc_stamp stamp; /* at the last open */
	char said[sizeof(((struct qc_reason *)0)->text)]; /* the last reason we logged */
};

struct tree {
	struct qc_context *ctx;
	const struct source *src;
	struct tree_look look;
	struct node *root;
	struct node *only; /* the image, where SOURCE is one */
	_Atomic uint64_t last_ino;
};

/* ---- nodes ---------------------------------------------------------------- */

static struct identity identity_of(const struct stat *st)
{
	return (struct identity){ st->st_dev, st->st_ino, st->st_size, st->st_mtim,
				  st->st_ctim };
}

static bool same_file(const struct identity *a, const struct identity *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same_content(const struct identity *a, const struct identity *b)
{
	return same_file(a, b) && a->size == b->size && same_time(a->mtime, b->mtime) &&
	       same_time(a->ctime, b->ctime);
}

static struct node *node_new(struct tree *t, struct node *parent, const char *file,
			     char *shown, bool folder)
{
	struct node *n = calloc(1, sizeof(*n));

	if (n)
		n->file = strdup(file);
	if (!n || !n->file || !shown) {
		free(shown);
		free(n);
		return NULL;
	}
	n->ino = ++t->last_ino;
	n->folder = folder;
	n->parent = parent ? parent : n;
	n->shown = shown;
	pthread_mutex_init(&n->lock, NULL);
	pthread_mutex_init(&n->facts, NULL);
	return n;
}

static void keep_node(void *p)
{
	(void)p;
}

static void node_free(void *p)
{
	struct node *n = p;

	tdestroy(n->by_file, keep_node); /* the same nodes */
	tdestroy(n->by_shown, node_free);
	while (n->replaced) {
		struct node *old = n->replaced;

		n->replaced = old->next;
		node_free(old);
	}
	pthread_mutex_destroy(&n->lock);
	pthread_mutex_destroy(&n->facts);
	free(n->file);
	free(n->shown);
	free(n);
}

static int by_shown(const void *a, const void *b)
{
	return strcmp(((const struct node *)a)->shown, ((const struct node *)b)->shown);
}

static int by_file(const void *a, const void *b)
{
	return strcmp(((const struct node *)a)->file, ((const struct node *)b)->file);
}

static struct node *find_shown(struct node *folder, const char *name)
{
	struct node key = { .shown = (char *)name };
	void *p = tfind(&key, &folder->by_shown, by_shown);

	return p ? *(struct node **)p : NULL;
}

static struct node *find_file(struct node *folder, const char *name)
{
	struct node key = { .file = (char *)name };
	void *p = tfind(&key, &folder->by_file, by_file);

	return p ? *(struct node **)p : NULL;
}

bool node_is_folder(const struct node *n)
{
	return n->folder;
}

const char *node_name(const struct node *n)
{
	return n->shown;
}

struct node *node_parent(const struct node *n)
{
	return n->parent;
}

uint64_t node_ino(const struct node *n)
{
	return n->ino;
}

void node_hold(struct node *n)
{
	n->references++;
}

struct node *tree_root(struct tree *t)
{
	return t->root;
}

struct node *tree_only(struct tree *t)
{
	return t->only;
}

/* The path in SOURCE, to be freed; "" for the root of a folder. */
static char *node_path(const struct node *n)
{
	size_t len = 1;
	char *path, *p;

	for (const struct node *i = n; i->parent != i; i = i->parent)
		len += strlen(i->file) + 1;
	if (n->parent == n)
		return strdup(n->file); /* "", or the one image */
	path = malloc(len);
	if (!path)
		return NULL;
	p = path + len - 1;
	*p = 0;
	for (const struct node *i = n; i->parent != i; i = i->parent) {
		size_t part = strlen(i->file);

		if (*p)
			*--p = '/';
		p -= part;
		memcpy(p, i->file, part);
	}
	memmove(path, p, strlen(p) + 1);
	return path;
}

/* ---- names ---------------------------------------------------------------- */

/* A name that nobody in the folder has had; the longer ones are for those who
 * come later.  NULL if there is no memory. */
static char *free_name(struct node *folder, const char *file)
{
	char *name = name_short(file);

	if (name && (find_shown(folder, name) || !strcmp(name, ".raw"))) {
		free(name);
		name = name_long(file);
	}
	while (name && find_shown(folder, name)) {
		char *longer = name_long(name);

		free(name);
		name = longer;
	}
	return name;
}

static int add_child(struct tree *t, struct node *folder, const char *file, bool is_folder,
		     const struct identity *checked)
{
	char *shown = is_folder ? strdup(file) : free_name(folder, file);
	struct node *n;

	if (is_folder && find_shown(folder, file)) {
		free(shown);
		report(QC_LOG_WARN, "folder %s is not shown: an image has its name", file);
		return 0;
	}
	n = node_new(t, folder, file, shown, is_folder);
	if (!n)
		return -ENOMEM;
	n->seen = folder->scans;
	if (checked)
		n->checked = *checked;
	if (!tsearch(n, &folder->by_shown, by_shown) || !tsearch(n, &folder->by_file, by_file)) {
		tdelete(n, &folder->by_shown, by_shown);
		node_free(n);
		return -ENOMEM;
	}
	return 0;
}

/* Of a node that lost its place; its folder's lock is held. */
static void drop_if_unused(struct node *n)
{
	struct node **p = &n->parent->replaced;

	if (!n->was_replaced || n->references)
		return;
	while (*p != n)
		p = &(*p)->next;
	*p = n->next;
	node_free(n);
}

/* Another file has come into the place of the node's. */
static int replace_child(struct tree *t, struct node *old, const struct identity *checked)
{
	struct node *folder = old->parent;
	char *shown = strdup(old->shown);
	struct node *n = node_new(t, folder, old->file, shown, old->folder);
	void *p;

	if (!n)
		return -ENOMEM;
	n->seen = folder->scans;
	n->checked = *checked;
	p = tfind(old, &folder->by_shown, by_shown);
	*(struct node **)p = n;
	p = tfind(old, &folder->by_file, by_file);
	*(struct node **)p = n;
	old->was_replaced = true;
	old->next = folder->replaced;
	folder->replaced = old;
	drop_if_unused(old);
	return 0;
}

/* ---- scanning ------------------------------------------------------------- */

struct found {
	char *file;
	bool folder;
	struct identity id;
};

struct scan {
	struct tree *t;
	struct node *folder;
	int dirfd;
	char *path; /* of the folder, with a slash unless it is the root */
	struct found *new;
	size_t n, room;
};

static int remember(struct scan *s, const char *file, bool folder, const struct identity *id)
{
	if (s->n == s->room) {
		size_t room = s->room ? 2 * s->room : 64;
		struct found *more = realloc(s->new, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		s->new = more;
		s->room = room;
	}
	s->new[s->n] = (struct found){ strdup(file), folder, *id };
	return s->new[s->n++].file ? 0 : -ENOMEM;
}

static bool looks_like_image(struct scan *s, const char *file)
{
	char *path;
	bool yes;
	int fd;

	if (asprintf(&path, "%s%s", s->path, file) < 0)
		return false;
	fd = source_open_image(s->t->src, path);
	free(path);
	yes = fd >= 0 && qc_is_image(fd);
	if (fd >= 0)
		close(fd);
	return yes;
}

static int scan_file(struct scan *s, const char *file, const struct stat *st)
{
	struct identity id = identity_of(st);
	struct node *n = find_file(s->folder, file);

	if (n && !n->folder && !n->gone && same_content(&n->checked, &id)) {
		n->seen = s->folder->scans;
		return 0;
	}
	if (!looks_like_image(s, file))
		return 0;
	if (!n)
		return remember(s, file, false, &id);
	if (n->folder || !same_file(&n->checked, &id))
		return replace_child(s->t, n, &id);
	n->checked = id;
	n->seen = s->folder->scans;
	return 0;
}

static int scan_folder(struct scan *s, const char *file, const struct stat *st)
{
	struct identity id = identity_of(st);
	struct node *n = find_file(s->folder, file);

	if (!n)
		return remember(s, file, true, &id);
	if (!n->folder)
		return 0; /* it had been an image: rare enough to ask for a remount */
	n->seen = s->folder->scans;
	return 0;
}

static int scan_entry(struct scan *s, const struct dirent *e, dev_t dev)
{
	const struct source *src = s->t->src;
	struct stat st;

	if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
		return 0;
	/* Not even looked at: this is where we are mounted. */
	if (e->d_ino == src->covered_ino && dev == src->covered_dev)
		return 0;
	if (fstatat(s->dirfd, e->d_name, &st, AT_SYMLINK_NOFOLLOW))
		return 0;
	if (S_ISDIR(st.st_mode))
		return scan_folder(s, e->d_name, &st);
	/* A link to a file, unless it leads out; links to folders could go round
	 * in circles. */
	if (S_ISLNK(st.st_mode) && fstatat(s->dirfd, e->d_name, &st, 0))
		return 0;
	return S_ISREG(st.st_mode) ? scan_file(s, e->d_name, &st) : 0;
}

static int read_folder(struct scan *s, DIR *d)
{
	struct dirent *e;
	struct stat st;

	if (fstat(s->dirfd, &st))
		return -errno;
	while (errno = 0, (e = readdir(d))) {
		int r = scan_entry(s, e, st.st_dev);

		if (r)
			return r;
	}
	return -errno;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct found *)a)->file, ((const struct found *)b)->file);
}

static int add_new(struct scan *s)
{
	int r = 0;

	if (s->n)
		qsort(s->new, s->n, sizeof(*s->new), by_name);
	/* Folders first: their names are what they are. */
	for (int folders = 1; folders >= 0; folders--)
		for (size_t i = 0; !r && i < s->n; i++)
			if (s->new[i].folder == folders)
				r = add_child(s->t, s->folder, s->new[i].file, folders,
					      &s->new[i].id);
	return r;
}

static void mark_gone(const void *p, VISIT which, void *folder)
{
	struct node *n = *(struct node *const *)p;

	if (which == postorder || which == leaf)
		n->gone = n->seen != ((struct node *)folder)->scans;
}

/* The folder's lock is held. */
static int scan(struct tree *t, struct node *folder)
{
	struct scan s = { .t = t, .folder = folder, .dirfd = -1 };
	char *path = node_path(folder);
	int fd, r = -ENOMEM;
	DIR *d = NULL;

	folder->scans++;
	if (path && asprintf(&s.path, "%s%s", path, *path ? "/" : "") >= 0) {
		fd = source_open_path(t->src, path, O_RDONLY | O_DIRECTORY);
		d = fd < 0 ? NULL : fdopendir(fd);
		r = fd < 0 ? fd : d ? 0 : -errno;
	}
	if (!r) {
		s.dirfd = dirfd(d);
		r = read_folder(&s, d);
	}
	if (!r)
		r = add_new(&s);
	if (!r)
		twalk_r(folder->by_shown, mark_gone, folder);
	if (d)
		closedir(d);
	for (size_t i = 0; i < s.n; i++)
		free(s.new[i].file);
	free(s.new);
	free(s.path);
	free(path);
	return r;
}

/* ---- lookup and listing --------------------------------------------------- */

/* Whether the node's file is still there, and still the same. */
static bool still_there(struct tree *t, const struct node *n)
{
	char *path = node_path(n);
	int fd = path ? source_open_path(t->src, path, O_PATH | (n->folder ? O_NOFOLLOW : 0)) :
			-ENOMEM;
	struct identity id;
	struct stat st;
	bool same = false;

	free(path);
	if (fd < 0)
		return false;
	if (!fstat(fd, &st)) {
		id = identity_of(&st);
		same = n->folder ? S_ISDIR(st.st_mode) : same_file(&id, &n->checked);
	}
	close(fd);
	return same;
}

int tree_lookup(struct tree *t, struct node *folder, const char *name, struct node **out)
{
	struct node *n;
	int r = 0;

	if (!folder->folder)
		return -ENOTDIR;
	pthread_mutex_lock(&folder->lock);
	n = find_shown(folder, name);
	if (!t->src->only && (!n || n->gone || !still_there(t, n))) {
		r = scan(t, folder);
		n = find_shown(folder, name);
	}
	if (!r && (!n || n->gone))
		r = -ENOENT;
	if (!r) {
		node_hold(n);
		*out = n;
	}
	pthread_mutex_unlock(&folder->lock);
	return r;
}

void tree_forget(struct tree *t, struct node *n, uint64_t references)
{
	struct node *folder = n->parent;

	(void)t;
	pthread_mutex_lock(&folder->lock);
	assert(n->references >= references);
	n->references -= references;
	drop_if_unused(n);
	pthread_mutex_unlock(&folder->lock);
}

static void count_child(const void *p, VISIT which, void *list)
{
	(void)p;
	if (which == postorder || which == leaf)
		((struct listing *)list)->n++;
}

static void list_child(const void *p, VISIT which, void *list)
{
	struct node *n = *(struct node *const *)p;
	struct listing *l = list;

	if ((which != postorder && which != leaf) || n->gone)
		return;
	node_hold(n);
	l->node[l->n++] = n;
}

int tree_list(struct tree *t, struct node *folder, struct listing *out)
{
	int r;

	if (!folder->folder)
		return -ENOTDIR;
	*out = (struct listing){ 0 };
	pthread_mutex_lock(&folder->lock);
	r = t->src->only ? 0 : scan(t, folder);
	if (!r) {
		twalk_r(folder->by_shown, count_child, out);
		out->node = calloc(out->n + 1, sizeof(*out->node));
		out->n = 0;
		r = out->node ? 0 : -ENOMEM;
	}
	if (!r)
		twalk_r(folder->by_shown, list_child, out);
	pthread_mutex_unlock(&folder->lock);
	return r;
}

void tree_list_free(struct tree *t, struct listing *l)
{
	for (size_t i = 0; i < l->n; i++)
		tree_forget(t, l->node[i], 1);
	free(l->node);
}

/* ---- opening -------------------------------------------------------------- */

static void log_reason(struct node *n, const struct qc_reason *why)
{
	char *path = node_path(n);
	bool news;

	pthread_mutex_lock(&n->facts);
	news = strcmp(n->said, why->text);
	memcpy(n->said, why->text, sizeof(n->said));
	pthread_mutex_unlock(&n->facts);
	if (news)
		report(QC_LOG_ERROR, "%s: %s", path ? path : n->file, why->text);
	free(path);
}

/* Opens the image of an open file.  Its folder is where its references start. */
static int open_fd(struct tree *t, const char *path, int fd, unsigned int flags,
		   struct qc_image **out, struct qc_reason *why)
{
	const char *slash = strrchr(path, '/');
	char *sub = strndup(path, slash ? (size_t)(slash - path) : 0), *dir = NULL;
	struct qc_source src = { .fd = fd, .dirfd = -1, .name = slash ? slash + 1 : path };
	int r = -ENOMEM;

	if (sub && asprintf(&dir, "%s%s%s", t->src->dir, *sub ? "/" : "", sub) >= 0)
		r = src.dirfd = source_open_path(t->src, sub, O_PATH | O_DIRECTORY);
	if (r < 0)
		snprintf(why->text, sizeof(why->text), "%s", strerror(-r));
	src.dir = dir;
	if (r >= 0)
		r = qc_open(t->ctx, &src, flags, out, why);
	if (src.dirfd >= 0)
		close(src.dirfd);
	free(sub);
	free(dir);
	return r;
}

/* Whether the kernel's pages of it, from before, are still good; and notes
 * what the next ones are of. */
static bool note_stamp(struct node *n, const struct qc_image *img)
{
	struct qc_stamp now;
	bool keep;

	qc_stamp(img, &now);
	pthread_mutex_lock(&n->facts);
	keep = n->stamped && n->stamp.settled && n->stamp.hash == now.hash;
	n->opens++;
	n->stamped = true;
	n->stamp = now;
	n->probed = false;
	n->said[0] = 0;
	pthread_mutex_unlock(&n->facts);
	return keep;
}

/* What open(2) says: that there is no key, that somebody else has it, or that
 * it cannot be read; the log knows more. */
static int public_error(int r, const struct qc_reason *why)
{
	if (r == -ENOMEM || r == -EMFILE || r == -ENFILE)
		return r;
	switch (why->cause) {
	case QC_CAUSE_LOCKED:
		return -EBUSY;
	case QC_CAUSE_KEY:
		return -EACCES;
	case QC_CAUSE_IMAGE:
		break;
	}
	return -EIO;
}

/* The node's file, if it still is that; a descriptor, or -errno. */
static int open_file(struct tree *t, struct node *n, const char *path, struct qc_reason *why)
{
	int fd = source_open_image(t->src, path);
	struct identity id;
	struct stat st;

	if (fd < 0) {
		snprintf(why->text, sizeof(why->text), "%s",
			 fd == -EMEDIUMTYPE ? "not a regular file" : strerror(-fd));
		return fd;
	}
	if (t->src->only || fstat(fd, &st))
		return fd;
	id = identity_of(&st);
	if (same_file(&id, &n->checked))
		return fd;
	close(fd);
	return -ESTALE;
}

int tree_open_first(struct tree *t, struct node *n, struct qc_image **out,
		    struct qc_reason *why)
{
	char *path = node_path(n);
	int fd, r = -ENOMEM;

	*why = (struct qc_reason){ 0 };
	fd = path ? open_file(t, n, path, why) : -ENOMEM;
	if (fd >= 0) {
		r = open_fd(t, path, fd, 0, out, why);
		if (r)
			r = public_error(r, why);
		close(fd);
	} else {
		r = fd;
	}
	free(path);
	return r;
}

int tree_open(struct tree *t, struct node *n, struct qc_image **out, bool *keep)
{
	struct qc_reason why;
	int r;

	if (n->folder)
		return -EISDIR;
	r = tree_open_first(t, n, out, &why);
	if (!r) {
		*keep = note_stamp(n, *out);
		return 0;
	}
	if (r != -ESTALE)
		log_reason(n, &why);
	pthread_mutex_lock(&n->facts);
	n->probed = false; /* so that its size tells, too */
	pthread_mutex_unlock(&n->facts);
	return r;
}

void tree_close(struct node *n, struct qc_image *img)
{
	qc_close(img);
	pthread_mutex_lock(&n->facts);
	n->opens--;
	pthread_mutex_unlock(&n->facts);
}

/* ---- attributes ----------------------------------------------------------- */

/* Looks into the headers of the chain. */
static void probe(struct tree *t, struct node *n, const char *path,
		  const struct identity *id)
{
	struct qc_image *img = NULL;
	struct qc_reason why;
	int fd = source_open_image(t->src, path);
	int r = fd < 0 ? fd : open_fd(t, path, fd, QC_OPEN_PEEK, &img, &why);

	if (fd >= 0)
		close(fd);
	pthread_mutex_lock(&n->facts);
	n->probed = true;
	n->probed_at = *id;
	n->error = r;
	n->size = r ? 0 : qc_size(img);
	n->cluster = r ? 0 : qc_cluster_size(img);
	pthread_mutex_unlock(&n->facts);
	if (!r)
		qc_close(img);
}

static void image_facts(struct tree *t, struct node *n, const char *path, struct stat *st)
{
	struct identity id = identity_of(st);
	bool known;

	pthread_mutex_lock(&n->facts);
	known = n->probed && !n->error && same_content(&n->probed_at, &id);
	pthread_mutex_unlock(&n->facts);
	if (!known)
		probe(t, n, path, &id);
	pthread_mutex_lock(&n->facts);
	st->st_size = (off_t)n->size;
	if (n->cluster)
		st->st_blksize = (blksize_t)(n->cluster < 4096 ? 4096 : n->cluster);
	pthread_mutex_unlock(&n->facts);
	st->st_mode = S_IFREG | (st->st_mode & 0777 & ~0222u);
	st->st_nlink = 1;
}

/* Of a file that is gone, or has been replaced, but is open: as it was. */
static int last_facts(struct node *n, struct stat *st)
{
	int r;

	pthread_mutex_lock(&n->facts);
	r = n->opens && n->last.st_ino ? 0 : -ESTALE;
	*st = n->last;
	pthread_mutex_unlock(&n->facts);
	return r;
}

static int stat_file(struct tree *t, struct node *n, const char *path, struct stat *st)
{
	int fd = source_open_path(t->src, path, O_PATH), r;
	struct identity id;

	if (fd < 0)
		return fd;
	r = fstat(fd, st) ? -errno : 0;
	close(fd);
	id = identity_of(st);
	if (!r && !n->folder && !t->src->only && !same_file(&id, &n->checked))
		r = -ESTALE;
	return r;
}

static void adorn(const struct tree *t, const struct node *n, struct stat *st)
{
	st->st_ino = n->ino;
	st->st_mode &= ~t->look.mask;
	if (t->look.set_uid)
		st->st_uid = t->look.uid;
	if (t->look.set_gid)
		st->st_gid = t->look.gid;
}

int tree_stat(struct tree *t, struct node *n, struct stat *st)
{
	char *path = node_path(n);
	int r = path ? stat_file(t, n, path, st) : -ENOMEM;

	if (!r && n->folder)
		st->st_mode = S_IFDIR | (st->st_mode & 0777 & ~0222u);
	else if (!r)
		image_facts(t, n, path, st);
	free(path);
	if (!r) {
		adorn(t, n, st);
		pthread_mutex_lock(&n->facts);
		n->last = *st;
		pthread_mutex_unlock(&n->facts);
	} else if (!n->folder && r != -ENOMEM) {
		r = last_facts(n, st);
	}
	return r;
}

int tree_statfs(struct tree *t, struct statvfs *st)
{
	return fstatvfs(t->src->dirfd, st) ? -errno : 0;
}

/* ---- the tree ------------------------------------------------------------- */

int tree_new(struct qc_context *ctx, const struct source *src, const struct tree_look *look,
	     bool in_folder, struct tree **out)
{
	bool image_is_root = src->only && !in_folder;
	struct tree *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->ctx = ctx;
	t->src = src;
	t->look = *look;
	t->root = node_new(t, NULL, image_is_root ? src->only : "", strdup(""), !image_is_root);
	r = t->root ? 0 : -ENOMEM;
	if (!r && src->only && in_folder)
		r = add_child(t, t->root, src->only, false, NULL);
	if (!r && src->only)
		t->only = in_folder ? find_file(t->root, src->only) : t->root;
	if (r)
		tree_free(t);
	else
		*out = t;
	return r;
}

void tree_free(struct tree *t)
{
	if (t->root)
		node_free(t->root);
	free(t);
}
