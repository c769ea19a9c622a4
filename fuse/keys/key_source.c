/* SPDX-License-Identifier: MIT */
/*
 * key_source.c - which passphrase for which image.
 *
 * The folder of keys is asked first, then the file, or what was read once.  Key
 * files are found from folders that were opened before anything was mounted, lest
 * the mount hide them.
 *
 * What could be read only once (a descriptor, a pipe, the terminal) must be had
 * again whenever the image is opened.  It is kept in memory for secrets, and there
 * in two halves, one of them random, so that the memory never holds the passphrase
 * itself for longer than it is in use.
 */
#include "keys/key_source.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/options.h"
#include "util/report.h"
#include "keys/passphrase_prompt.h"

enum { TRIES = 3 };

struct kept {
	char *path; /* of the image; NULL: of any */
	size_t len;
	uint8_t *pad, *masked; /* both are secrets */
	struct kept *next;
};

/* Who may look at the memory of a process, or at a dump of it, sees its keys. */
static void hide_memory(void)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
}

/* ---- kept in halves --------------------------------------------------------- */

static void kept_free(struct kept *p)
{
	if (!p)
		return;
	qc_secure_free(p->pad);
	qc_secure_free(p->masked);
	free(p->path);
	free(p);
}

static int random_bytes(uint8_t *to, size_t n)
{
	while (n) {
		ssize_t got = getrandom(to, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		to += got;
		n -= (size_t)got;
	}
	return 0;
}

static int keep(const char *path, const uint8_t *pass, size_t n, struct kept **out)
{
	struct kept *p = calloc(1, sizeof(*p));
	int r = -ENOMEM;

	if (!p)
		return r;
	p->path = path ? strdup(path) : NULL;
	p->pad = qc_secure_alloc(n);
	p->masked = qc_secure_alloc(n);
	p->len = n;
	if (p->pad && p->masked && !path == !p->path)
		r = random_bytes(p->pad, n);
	if (r) {
		kept_free(p);
		return r;
	}
	for (size_t i = 0; i < n; i++)
		p->masked[i] = pass[i] ^ p->pad[i];
	*out = p;
	return 0;
}

static int give(const struct kept *p, uint8_t *buf, size_t room, size_t *len)
{
	if (p->len > room)
		return -EFBIG;
	for (size_t i = 0; i < p->len; i++)
		buf[i] = p->masked[i] ^ p->pad[i];
	*len = p->len;
	return 0;
}

/* ---- files ------------------------------------------------------------------ */

static int read_all(int fd, uint8_t *buf, size_t room, size_t *len)
{
	uint8_t more;

	for (*len = 0;;) {
		ssize_t n = *len < room ? read(fd, buf + *len, room - *len) : read(fd, &more, 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return 0;
		if (*len == room)
			return -EFBIG;
		*len += (size_t)n;
	}
}

static int read_file(int dirfd, const char *name, uint8_t *buf, size_t room, size_t *len)
{
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int r = fd < 0 ? -errno : read_all(fd, buf, room, len);

	if (fd >= 0)
		close(fd);
	return r;
}

static int read_once(struct key_source *k, int fd)
{
	uint8_t *buf = qc_secure_alloc(QC_KEY_MAX);
	size_t n = 0;
	int r = buf ? read_all(fd, buf, QC_KEY_MAX, &n) : -ENOMEM;

	if (!r)
		r = keep(NULL, buf, n, &k->once);
	qc_secure_free(buf);
	return r;
}

/* Whether the name leads to whatever is there when it is opened. */
static bool is_fleeting(const char *path, const struct stat *st)
{
	return !S_ISREG(st->st_mode) || !strncmp(path, "/dev/", 5) || !strncmp(path, "/proc/", 6);
}

static int open_file(struct key_source *k, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char *copy = strdup(path), *name = strdup(path);
	struct stat st;
	int r = fd < 0 || fstat(fd, &st) ? -errno : copy && name ? 0 : -ENOMEM;

	if (!r && S_ISDIR(st.st_mode))
		r = -EISDIR;
	if (!r && is_fleeting(path, &st)) {
		r = read_once(k, fd);
	} else if (!r) {
		k->file_name = strdup(basename(name));
		k->file_dirfd = open(dirname(copy), O_PATH | O_DIRECTORY | O_CLOEXEC);
		r = !k->file_name ? -ENOMEM : k->file_dirfd < 0 ? -errno : 0;
	}
	if (fd >= 0)
		close(fd);
	free(copy);
	free(name);
	return r;
}

static int open_folder(struct key_source *k, const char *path)
{
	k->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return k->dirfd < 0 ? -errno : 0;
}

static int open_descriptor(struct key_source *k, int fd)
{
	int r = read_once(k, fd);

	if (fd > 2)
		close(fd);
	return r;
}

/* ---- the folder of keys ----------------------------------------------------- */

static bool goes_up(const char *path)
{
	return !strncmp(path, "../", 3) || strstr(path, "/../") || !strcmp(path, "..");
}

/* For SOURCE/lab/db.qcow2: lab/db.qcow2.key, or else db.qcow2.key. */
static int read_from_folder(const struct key_source *k, const char *path, uint8_t *buf, size_t room,
			    size_t *len)
{
	size_t n = strlen(k->source);
	const char *slash = strrchr(path, '/');
	const char *names[] = { NULL, slash ? slash + 1 : path };
	int r = -ENOENT;

	if (!strncmp(path, k->source, n) && path[n] == '/' && !goes_up(path + n + 1))
		names[0] = path + n + 1;
	for (int i = 0; i < 2 && (r == -ENOENT || r == -ENOTDIR); i++) {
		char file[PATH_MAX];

		if (names[i] && snprintf(file, sizeof(file), "%s.key", names[i]) < PATH_MAX)
			r = read_file(k->dirfd, file, buf, room, len);
	}
	return r == -ENOTDIR ? -ENOENT : r;
}

/* ---- the terminal ----------------------------------------------------------- */

static int recall(struct key_source *k, const char *path, void *buf, size_t room, size_t *len)
{
	const struct kept *p;
	int r = -ENOENT;

	pthread_mutex_lock(&k->lock);
	for (p = k->asked; p && strcmp(p->path, path); p = p->next)
		;
	if (p)
		r = give(p, buf, room, len);
	pthread_mutex_unlock(&k->lock);
	return r;
}

/* In the place of what was said before, which was wrong. */
static int remember(struct key_source *k, const char *path, const uint8_t *pass, size_t n)
{
	struct kept *p, **at = &k->asked;
	int r = keep(path, pass, n, &p);

	if (r)
		return r;
	pthread_mutex_lock(&k->lock);
	while (*at && strcmp((*at)->path, path))
		at = &(*at)->next;
	if (*at) {
		struct kept *old = *at;

		*at = old->next;
		kept_free(old);
	}
	p->next = k->asked;
	k->asked = p;
	pthread_mutex_unlock(&k->lock);
	return 0;
}

static int ask(struct key_source *k, const char *path, unsigned int attempt, void *buf, size_t room,
	       size_t *len)
{
	const char *slash = strrchr(path, '/');
	char question[NAME_MAX + 100];
	int r;

	if (attempt == TRIES)
		return -ENOENT;
	hide_memory();
	snprintf(question, sizeof(question), "%sqcowfs: passphrase of %s: ",
		 attempt ? "qcowfs: it does not fit\n" : "", slash ? slash + 1 : path);
	for (char *c = question; *c; c++)
		if ((unsigned char)*c < ' ' && *c != '\n')
			*c = '?';
	r = passphrase_prompt_ask(k->terminal, question, buf, room, len);
	return r ? r : remember(k, path, buf, *len);
}

/* --------------------------------------------------------------------------- */

int key_source_get(void *arg, const char *path, unsigned int attempt, void *buf, size_t room,
	     size_t *len)
{
	struct key_source *k = arg;
	int r;

	if (k->ask)
		return ask(k, path, attempt, buf, room, len);
	if (k->dirfd >= 0 && attempt == 0) {
		r = read_from_folder(k, path, buf, room, len);
		if (r != -ENOENT)
			return r;
	} else if (k->dirfd >= 0) {
		/* The file is the second, if the folder had the first. */
		r = read_from_folder(k, path, buf, room, len);
		attempt -= r != -ENOENT;
	}
	if (attempt > 0)
		return -ENOENT;
	if (k->file_dirfd >= 0)
		return read_file(k->file_dirfd, k->file_name, buf, room, len);
	if (k->once)
		return give(k->once, buf, room, len);
	return recall(k, path, buf, room, len);
}

bool key_source_exists(const struct key_source *k)
{
	return k->dirfd >= 0 || k->file_dirfd >= 0 || k->once || k->ask;
}

void key_source_end_asking(struct key_source *k)
{
	if (k->terminal >= 0)
		close(k->terminal);
	k->terminal = -1;
	k->ask = false;
}

static int said(const char *what, const char *name, int r)
{
	if (r)
		report(QC_LOG_ERROR, "%s %s: %s", what, name,
		       r == -EFBIG ? "larger than 64 KiB, the most that a passphrase has" :
				     strerror(-r));
	return r;
}

int key_source_open(struct key_source *k, const struct options *o, const char *source, bool single)
{
	char number[20];
	int r = 0;

	k->source = source;
	if (!o->key_file && !o->key_dir && o->key_fd < 0 && single) {
		k->terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
		k->ask = k->terminal >= 0;
	}
	if (o->key_file || o->key_dir || o->key_fd >= 0)
		hide_memory();
	if (o->key_fd >= 0) {
		snprintf(number, sizeof(number), "%d", o->key_fd);
		r = said("key-fd", number, open_descriptor(k, o->key_fd));
	}
	if (!r && o->key_file)
		r = said("key-file", o->key_file, open_file(k, o->key_file));
	if (!r && o->key_dir)
		r = said("key-dir", o->key_dir, open_folder(k, o->key_dir));
	return r;
}

void key_source_close(struct key_source *k)
{
	key_source_end_asking(k);
	if (k->dirfd >= 0)
		close(k->dirfd);
	if (k->file_dirfd >= 0)
		close(k->file_dirfd);
	free(k->file_name);
	kept_free(k->once);
	while (k->asked) {
		struct kept *p = k->asked;

		k->asked = p->next;
		kept_free(p);
	}
}
