/* SPDX-License-Identifier: MIT */
/*
 * make.h - images for the core tests: made by qemu-img and qemu-io in a folder
 * that goes with the program, changed byte by byte, opened.
 */
#ifndef MAKE_H
#define MAKE_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/failpoint.h"
#include "qcow.h"
#include "tap.h"
#include "unit/random.h"
#include "unit/tempdir.h"
#include "unit/threads.h"

static inline bool is_sanitized(void)
{
	const char *s = getenv("TEST_SANITIZER");

	return s && *s;
}

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define K ((uint64_t)1024)
#define M (K * K)

static inline void fatal(const char *what)
{
	printf("# %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- commands --------------------------------------------------------------- */

static inline int try_sh(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static inline int try_sh(const char *fmt, ...)
{
	char cmd[8000];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	fflush(stdout);
	return system(cmd);
}

#define sh(...)                                                                       \
	do {                                                                          \
		if (try_sh(__VA_ARGS__)) {                                            \
			printf("# %s:%d: a command failed\n", __FILE__, __LINE__);    \
			exit(1);                                                      \
		}                                                                     \
	} while (0)

/* First of all in each program. */
static inline void begin(void)
{
	if (try_sh("qemu-img --version >/dev/null 2>&1 && qemu-io --version >/dev/null 2>&1"))
		SKIP("needs qemu-img and qemu-io");
	tempdir_enter();
}

/* ---- bytes of files --------------------------------------------------------- */

static inline uint8_t *slurp(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint8_t *buf;

	if (fd < 0 || fstat(fd, &st))
		fatal(path);
	buf = malloc((size_t)st.st_size + 1);
	for (off_t at = 0; at < st.st_size;) {
		ssize_t n = pread(fd, buf + at, (size_t)(st.st_size - at), at);

		if (n <= 0)
			fatal(path);
		at += n;
	}
	close(fd);
	*size = (size_t)st.st_size;
	return buf;
}

static inline void spill(const char *path, const void *buf, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, buf, size) != (ssize_t)size || close(fd))
		fatal(path);
}

static inline void poke(const char *path, uint64_t off, const void *buf, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || pwrite(fd, buf, len, (off_t)off) != (ssize_t)len || close(fd))
		fatal(path);
}

static inline void poke64(const char *path, uint64_t off, uint64_t v)
{
	uint8_t b[8];

	for (unsigned int i = 0; i < 8; i++)
		b[i] = (uint8_t)(v >> 8 * (7 - i));
	poke(path, off, b, 8);
}

static inline uint64_t peek64(const char *path, uint64_t off)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t b[8];
	uint64_t v = 0;

	if (fd < 0 || pread(fd, b, 8, (off_t)off) != 8 || close(fd))
		fatal(path);
	for (unsigned int i = 0; i < 8; i++)
		v = v << 8 | b[i];
	return v;
}

/* Of a version 2 or 3 image with one L1 entry in use: where its L2 entry is. */
static inline uint64_t l1_at(const char *path)
{
	return peek64(path, 40);
}

static inline uint64_t l2_at(const char *path, uint64_t index)
{
	return (peek64(path, l1_at(path)) & UINT64_C(0x00fffffffffffe00)) + 8 * index;
}

/* What qemu-img reads from it. */
static inline uint8_t *reference(const char *path, const char *format, size_t *size)
{
	uint8_t *buf;

	sh("qemu-img convert -q -f %s -O raw %s reference.raw", format, path);
	buf = slurp("reference.raw", size);
	unlink("reference.raw");
	return buf;
}

/* ---- the log ---------------------------------------------------------------- */

struct logbook {
	pthread_mutex_t lock;
	unsigned int lines;
	size_t used;
	char text[20000];
};

#define LOGBOOK { .lock = PTHREAD_MUTEX_INITIALIZER }

static inline void logbook_fn(void *arg, enum qc_level level, const char *msg)
{
	struct logbook *b = arg;

	pthread_mutex_lock(&b->lock);
	b->lines++;
	if (b->used < sizeof(b->text))
		b->used += (size_t)snprintf(b->text + b->used, sizeof(b->text) - b->used,
					    "%d: %s\n", (int)level, msg);
	pthread_mutex_unlock(&b->lock);
}

static inline void logbook_clear(struct logbook *b)
{
	pthread_mutex_lock(&b->lock);
	b->lines = 0;
	b->used = 0;
	*b->text = 0;
	pthread_mutex_unlock(&b->lock);
}

static inline bool logged(struct logbook *b, const char *word)
{
	bool found;

	pthread_mutex_lock(&b->lock);
	found = strstr(b->text, word);
	pthread_mutex_unlock(&b->lock);
	if (!found)
		printf("# no '%s' in the log:\n%s", word, b->text);
	return found;
}

/* ---- contexts and images ---------------------------------------------------- */

static inline struct qc_context *context_of(const struct qc_config *config)
{
	struct qc_context *ctx = NULL;

	if (qc_context_new(config, &ctx))
		fatal("context");
	return ctx;
}

static inline struct qc_context *context_new(struct logbook *log)
{
	struct qc_config config = { .log = log ? logbook_fn : NULL, .log_arg = log,
				    .log_max = QC_LOG_WARN };

	return context_of(&config);
}

/* Of a path below the folder of the test, "a" or "sub/a". */
static inline qc_err image_try(struct qc_context *ctx, const char *path, unsigned int flags,
			       struct qc_image **out, struct qc_reason *why)
{
	const char *slash = strrchr(path, '/');
	char dir[600];
	struct qc_image_location src = { .name = slash ? slash + 1 : path, .dir = dir };
	qc_err r;

	snprintf(dir, sizeof(dir), "%s%s%.*s", tempdir, slash ? "/" : "",
		 slash ? (int)(slash - path) : 0, path);
	src.fd = open(path, O_RDONLY | O_CLOEXEC);
	src.dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (src.fd < 0 || src.dirfd < 0)
		fatal(path);
	memset(why, 0, sizeof(*why));
	r = qc_open(ctx, &src, flags, out, why);
	close(src.fd);
	close(src.dirfd);
	return r;
}

static inline struct qc_image *image_open(struct qc_context *ctx, const char *path)
{
	struct qc_image *img = NULL;
	struct qc_reason why;

	if (image_try(ctx, path, 0, &img, &why)) {
		printf("# %s: %s\n", path, why.text);
		exit(1);
	}
	return img;
}

static inline bool image_refused(struct qc_context *ctx, const char *path, qc_err err,
				 enum qc_cause cause, const char *word)
{
	struct qc_image *img = NULL;
	struct qc_reason why;
	qc_err r = image_try(ctx, path, 0, &img, &why);

	if (!r)
		qc_close(img);
	if (r == err && why.cause == cause && strstr(why.text, word))
		return true;
	printf("# %s: not refused with %d for '%s': %d %s\n", path, err, word, r, why.text);
	return false;
}

static inline struct qc_counters counters(struct qc_context *ctx)
{
	struct qc_counters c;

	qc_get_counters(ctx, &c);
	return c;
}

/* All images are closed: nothing may be left. */
static inline void context_end(struct qc_context *ctx)
{
	CHECK(counters(ctx).layers_open == 0);
	CHECK(counters(ctx).table_bytes == 0);
	qc_context_free(ctx);
}

/* Whether [off, off + len) reads as the same bytes as `want` has there. */
static inline bool reads_as(struct qc_image *img, uint64_t off, size_t len,
			    const uint8_t *want)
{
	uint8_t *buf = malloc(len + 1);
	bool same;
	qc_err r;

	memset(buf, 0xcc, len + 1);
	r = qc_read(img, off, buf, len);
	same = !r && !memcmp(buf, want + off, len) && buf[len] == 0xcc;
	if (!same)
		printf("# read of %zu at %" PRIu64 ": %d\n", len, off, r);
	free(buf);
	return same;
}

/* Whether all of it is one byte. */
static inline bool reads_byte(struct qc_image *img, uint64_t off, size_t len, uint8_t byte)
{
	uint8_t *buf = malloc(len);
	qc_err r = qc_read(img, off, buf, len);
	bool same = !r;

	for (size_t i = 0; same && i < len; i++)
		same = buf[i] == byte;
	if (!same)
		printf("# read of %zu at %" PRIu64 ": %d, byte %d\n", len, off, r, buf[0]);
	free(buf);
	return same;
}

static inline qc_err read_error(struct qc_image *img, uint64_t off, size_t len)
{
	uint8_t *buf = malloc(len);
	qc_err r = qc_read(img, off, buf, len);

	free(buf);
	return r;
}

#endif
