/* SPDX-License-Identifier: MIT */
/*
 * key_source.c - order of the sources: the file of the image in the key directory, then the key
 * file or key descriptor, then the terminal if there is none of these and SOURCE is one image.
 *
 * Both are opened relative to directories that were opened before the mount, because the mount
 * may cover their paths.
 */
#include "keys/key_source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/options.h"
#include "keys/cached_passphrase.h"
#include "keys/passphrase_prompt.h"
#include "util/report.h"

enum { PROMPTS_MAX = 3 };

/* Forbids core dumps and debuggers, which would show keys in the memory of this process. */
static void hide_memory(void)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
}

/* ---- files ------------------------------------------------------------------ */

/* Reads to the end of the file.  -EFBIG: more than @room bytes. */
static int read_passphrase(int fd, uint8_t *buf, size_t room, size_t *len)
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

static int read_key_file(int dirfd, const char *name, uint8_t *buf, size_t room, size_t *len)
{
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int r = fd < 0 ? -errno : read_passphrase(fd, buf, room, len);

	if (fd >= 0)
		close(fd);
	return r;
}

static int cache_passphrase_of_fd(struct key_source *k, int fd)
{
	uint8_t *buf = qc_secure_alloc(QC_KEY_MAX);
	size_t n = 0;
	int r = buf ? read_passphrase(fd, buf, QC_KEY_MAX, &n) : -ENOMEM;

	if (!r)
		r = cached_passphrase_new(NULL, buf, n, &k->cached);
	qc_secure_free(buf);
	return r;
}

/* Returns true if a later open() of the path may give other bytes: a pipe, a device, or
 * /dev/stdin and /proc/self/fd/N, which mean a descriptor of the shell. */
static bool can_be_read_only_once(const char *path, const struct stat *st)
{
	return !S_ISREG(st->st_mode) || !strncmp(path, "/dev/", 5) || !strncmp(path, "/proc/", 6);
}

static int open_key_file(struct key_source *k, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	int r = fd < 0 || fstat(fd, &st) ? -errno : 0;

	if (!r && S_ISDIR(st.st_mode))
		r = -EISDIR;
	if (!r && can_be_read_only_once(path, &st))
		r = cache_passphrase_of_fd(k, fd);
	else if (!r)
		r = path_dir_open(&k->file, path);
	if (fd >= 0)
		close(fd);
	return r;
}

static int open_key_dir(struct key_source *k, const char *path)
{
	k->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return k->dirfd < 0 ? -errno : 0;
}

static int read_key_fd(struct key_source *k, int fd)
{
	int r = cache_passphrase_of_fd(k, fd);

	if (fd > STDERR_FILENO)
		close(fd);
	return r;
}

/* ---- the key directory ------------------------------------------------------ */

static bool leaves_dir(const char *path)
{
	return !strncmp(path, "../", 3) || strstr(path, "/../") || !strcmp(path, "..");
}

/* Reads lab/db.qcow2.key for SOURCE/lab/db.qcow2, or else db.qcow2.key. */
static int read_from_key_dir(const struct key_source *k, const char *path, uint8_t *buf, size_t room,
			     size_t *len)
{
	size_t n = strlen(k->source);
	const char *slash = strrchr(path, '/');
	const char *names[] = { NULL, slash ? slash + 1 : path };
	int r = -ENOENT;

	if (!strncmp(path, k->source, n) && path[n] == '/' && !leaves_dir(path + n + 1))
		names[0] = path + n + 1;
	for (int i = 0; i < 2 && (r == -ENOENT || r == -ENOTDIR); i++) {
		char file[PATH_MAX];

		if (names[i] && snprintf(file, sizeof(file), "%s.key", names[i]) < PATH_MAX)
			r = read_key_file(k->dirfd, file, buf, room, len);
	}
	return r == -ENOTDIR ? -ENOENT : r;
}

/* ---- the terminal ----------------------------------------------------------- */

/* Finds the passphrase that was typed for an image.  -ENOENT: none was. */
static int find_prompted(struct key_source *k, const char *path, void *buf, size_t room, size_t *len)
{
	const struct cached_passphrase *p;
	int r = -ENOENT;

	pthread_mutex_lock(&k->lock);
	for (p = k->prompted; p && strcmp(p->path, path); p = p->next)
		;
	if (p)
		r = cached_passphrase_copy(p, buf, room, len);
	pthread_mutex_unlock(&k->lock);
	return r;
}

/* Stores the answer for an image.  An earlier answer was wrong, and is replaced. */
static int store_prompted(struct key_source *k, const char *path, const uint8_t *pass, size_t n)
{
	struct cached_passphrase *p, **at = &k->prompted;
	int r = cached_passphrase_new(path, pass, n, &p);

	if (r)
		return r;
	pthread_mutex_lock(&k->lock);
	while (*at && strcmp((*at)->path, path))
		at = &(*at)->next;
	if (*at) {
		struct cached_passphrase *old = *at;

		*at = old->next;
		cached_passphrase_free(old);
	}
	p->next = k->prompted;
	k->prompted = p;
	pthread_mutex_unlock(&k->lock);
	return 0;
}

static int prompt_for_image(struct key_source *k, const char *path, unsigned int attempt, void *buf,
			    size_t room, size_t *len)
{
	const char *slash = strrchr(path, '/');
	char question[NAME_MAX + 100];
	int r;

	if (attempt == PROMPTS_MAX)
		return -ENOENT;
	hide_memory();
	snprintf(question, sizeof(question), "%sqcowfs: passphrase of %s: ",
		 attempt ? "qcowfs: the passphrase does not fit\n" : "", slash ? slash + 1 : path);
	for (char *c = question; *c; c++)
		if ((unsigned char)*c < ' ' && *c != '\n')
			*c = '?';
	r = passphrase_prompt_ask(k->terminal, question, buf, room, len);
	return r ? r : store_prompted(k, path, buf, *len);
}

/* ---- all sources ------------------------------------------------------------ */

int key_source_get(void *arg, const char *path, unsigned int attempt, void *buf, size_t room,
		   size_t *len)
{
	struct key_source *k = arg;
	int r;

	if (k->prompt)
		return prompt_for_image(k, path, attempt, buf, room, len);
	if (k->dirfd >= 0 && attempt == 0) {
		r = read_from_key_dir(k, path, buf, room, len);
		if (r != -ENOENT)
			return r;
	} else if (k->dirfd >= 0) {
		/* The key file is the second attempt only if the directory had a first one. */
		r = read_from_key_dir(k, path, buf, room, len);
		attempt -= r != -ENOENT;
	}
	if (attempt > 0)
		return -ENOENT;
	if (k->file.fd >= 0)
		return read_key_file(k->file.fd, k->file.name, buf, room, len);
	if (k->cached)
		return cached_passphrase_copy(k->cached, buf, room, len);
	return find_prompted(k, path, buf, room, len);
}

bool key_source_exists(const struct key_source *k)
{
	return k->dirfd >= 0 || k->file.fd >= 0 || k->cached || k->prompt;
}

void key_source_end_prompting(struct key_source *k)
{
	if (k->terminal >= 0)
		close(k->terminal);
	k->terminal = -1;
	k->prompt = false;
}

/* Reports the error @r of an option, if there is one, and returns it. */
static int report_key_error(const char *option, const char *value, int r)
{
	if (r)
		report(QC_LOG_ERROR, "%s %s: %s", option, value,
		       r == -EFBIG ? "larger than 64 KiB, the most that a passphrase has" :
				     strerror(-r));
	return r;
}

int key_source_open(struct key_source *k, const struct options *o, const char *source, bool prompt)
{
	char number[20];
	int r = 0;

	k->source = source;
	if (!o->key_file && !o->key_dir && o->key_fd < 0 && prompt) {
		k->terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
		k->prompt = k->terminal >= 0;
	}
	if (o->key_file || o->key_dir || o->key_fd >= 0)
		hide_memory();
	if (o->key_fd >= 0) {
		snprintf(number, sizeof(number), "%d", o->key_fd);
		r = report_key_error("key-fd", number, read_key_fd(k, o->key_fd));
	}
	if (!r && o->key_file)
		r = report_key_error("key-file", o->key_file, open_key_file(k, o->key_file));
	if (!r && o->key_dir)
		r = report_key_error("key-dir", o->key_dir, open_key_dir(k, o->key_dir));
	return r;
}

void key_source_close(struct key_source *k)
{
	key_source_end_prompting(k);
	if (k->dirfd >= 0)
		close(k->dirfd);
	path_dir_close(&k->file);
	cached_passphrase_free(k->cached);
	while (k->prompted) {
		struct cached_passphrase *p = k->prompted;

		k->prompted = p->next;
		cached_passphrase_free(p);
	}
}
