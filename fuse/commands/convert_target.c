/* SPDX-License-Identifier: MIT */
#include "commands/convert_target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands/new_image_file.h"
#include "util/report.h"

static bool is_raw(const struct convert_args *a)
{
	return !a->target_format || !strcmp(a->target_format, "raw");
}

/* ---- the source as target ---------------------------------------------------------- */

static bool is_same_file(const struct stat *a, const char *path)
{
	struct stat b;

	return !stat(path, &b) && a->st_dev == b.st_dev && a->st_ino == b.st_ino;
}

/* Returns true if the file at @path is part of the source, or a data file of it. */
static bool is_part_of_source(const struct source_disk *s, const char *path)
{
	struct stat st, of_raw;
	struct qc_layer_info info;
	bool found = false;

	if (stat(path, &st))
		return false;
	if (!s->img)
		return !fstat(s->fd, &of_raw) && st.st_dev == of_raw.st_dev &&
		       st.st_ino == of_raw.st_ino;
	for (unsigned int i = 0; i < qc_depth(s->img) && !found; i++) {
		found = is_same_file(&st, qc_layer_path(s->img, i));
		if (found || qc_get_layer_info(s->img, i, &info))
			continue;
		found = info.data_path && is_same_file(&st, info.data_path);
		qc_layer_info_free(&info);
	}
	return found;
}

/* ---- raw files ------------------------------------------------------------------------ */

/* Returns 0 if the file may be written as a raw disk, and locks it. */
static qc_err lock_raw_target(struct command *c, int fd, struct stat *st, struct qc_reason *why)
{
	enum qc_locking how = c->o.locking == QC_LOCKING_OFF ? QC_LOCKING_OFF : QC_LOCKING_ON;

	if (fstat(fd, st))
		return -errno;
	if (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode))
		return -EMEDIUMTYPE;
	return qc_lock_raw_disk(fd, true, how, why);
}

/* Prepares a raw file: a new one is as long as the source, and all of it is a hole. */
static qc_err prepare_raw(const struct convert_args *a, struct convert_target *t,
			  const struct stat *st, uint64_t size)
{
	bool keep = a->existing || S_ISBLK(st->st_mode);
	off_t end = lseek(t->disk.fd, 0, SEEK_END);

	if (end < 0)
		return -errno;
	if (keep && (uint64_t)end < size)
		return -ENOSPC;
	t->disk.size = keep ? (uint64_t)end : size;
	if (!keep && (ftruncate(t->disk.fd, 0) || ftruncate(t->disk.fd, (off_t)size)))
		return -errno;
	if (!keep || a->target_is_zero)
		t->copy_flags |= QC_COPY_TO_ZEROS;
	return 0;
}

static int open_raw_target(struct command *c, const struct convert_args *a, uint64_t size,
			   const char *path, struct convert_target *t)
{
	int flags = O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	struct qc_reason why = { 0 };
	struct stat st;
	qc_err r;

	if (!a->existing)
		t->disk.fd = open(path, flags | O_CREAT | O_EXCL, 0644);
	t->is_new = t->disk.fd >= 0;
	if (!t->is_new && (a->existing || errno == EEXIST))
		t->disk.fd = open(path, flags);
	r = t->disk.fd < 0 ? -errno : lock_raw_target(c, t->disk.fd, &st, &why);
	if (!r)
		r = prepare_raw(a, t, &st, size);
	if (r == -ENOSPC)
		snprintf(why.text, sizeof(why.text), "the file is smaller than the source");
	return r ? command_fail(path, r, &why) : COMMAND_OK;
}

static int use_standard_output(const struct convert_args *a, uint64_t size,
			       struct convert_target *t)
{
	if (!is_raw(a) || a->existing) {
		report(QC_LOG_ERROR, "-: only a raw disk can go to standard output");
		return COMMAND_FAILED;
	}
	t->disk.fd = dup(STDOUT_FILENO);
	t->disk.size = size;
	t->copy_flags = QC_COPY_STREAM;
	return t->disk.fd < 0 ? command_fail("-", -errno, NULL) : COMMAND_OK;
}

/* ---- images ----------------------------------------------------------------------------- */

static int create_target(struct command *c, struct convert_args *a, uint64_t size,
			 const char *path, struct convert_target *t)
{
	struct qc_create_options *o = &a->options.o;
	uint64_t base_size;
	struct stat st;
	int status = COMMAND_OK;

	if (!strcmp(a->target_format, "qcow"))
		o->version = 1;
	if (!a->options.has_size)
		o->size = size;
	if (o->size < size) {
		report(QC_LOG_ERROR, "%s: size: the source is larger", path);
		return COMMAND_FAILED;
	}
	if (o->backing && *o->backing)
		status = new_image_file_look_at_base(c, path, o, &base_size);
	t->is_new = stat(path, &st) && errno == ENOENT;
	if (status == COMMAND_OK)
		status = new_image_file_create(c, path, &a->options);
	t->is_new = t->is_new && status == COMMAND_OK;
	return status;
}

/* Opens the image in another context if the source is read in spite of a writer: the target
 * is never shared with one. */
static int open_target_image(struct command *c, const char *path, struct convert_target *t)
{
	struct qc_context *ctx = c->ctx;
	bool share = c->o.locking == QC_LOCKING_SHARE;
	int status;

	if (share) {
		c->o.locking = QC_LOCKING_ON;
		c->ctx = NULL;
	}
	status = command_open(c, path, QC_OPEN_WRITE, &t->disk.img);
	if (share) {
		c->o.locking = QC_LOCKING_SHARE;
		t->ctx = c->ctx;
		c->ctx = ctx;
	}
	return status;
}

/* An image that exists is emptied first, unless only differences are written to it. */
static int prepare_image(const struct convert_args *a, uint64_t size, const char *path,
			 struct convert_target *t)
{
	const char *why = NULL;
	qc_err r = 0;

	if (a->options.o.backing && *a->options.o.backing)
		t->copy_flags = QC_COPY_DIFFERENCES;
	else
		t->copy_flags = QC_COPY_TO_ZEROS;
	if (qc_size(t->disk.img) < size)
		why = "the disk is smaller than the source";
	else if (a->compress && !qc_image_can_compress(t->disk.img))
		why = "-c: this image cannot have compressed clusters";
	if (why) {
		report(QC_LOG_ERROR, "%s: %s", path, why);
		return COMMAND_FAILED;
	}
	if (a->existing && !a->target_is_zero && t->copy_flags == QC_COPY_TO_ZEROS)
		r = qc_clear(t->disk.img);
	return r ? command_fail(path, r, NULL) : COMMAND_OK;
}

static int open_image_target(struct command *c, struct convert_args *a, uint64_t size,
			     const char *path, struct convert_target *t)
{
	int status = a->existing ? COMMAND_OK : create_target(c, a, size, path, t);

	if (status == COMMAND_OK)
		status = open_target_image(c, path, t);
	if (status == COMMAND_OK)
		status = prepare_image(a, size, path, t);
	return status;
}

/* ---- public --------------------------------------------------------------------------------- */

int convert_target_open(struct command *c, struct convert_args *a, const struct source_disk *s,
			const char *path, struct convert_target *out)
{
	int status;

	*out = (struct convert_target){ .disk = { .fd = -1 } };
	if (!strcmp(path, "-"))
		return use_standard_output(a, s->size, out);
	if (is_part_of_source(s, path)) {
		report(QC_LOG_ERROR, "%s: cannot write: it is read from", path);
		return COMMAND_FAILED;
	}
	if (is_raw(a))
		status = open_raw_target(c, a, s->size, path, out);
	else
		status = open_image_target(c, a, s->size, path, out);
	return status;
}

qc_err convert_target_close(struct convert_target *t, const char *path, qc_err r, bool sync)
{
	if (t->disk.img && !r)
		r = sync ? qc_flush(t->disk.img) : qc_writeback(t->disk.img);
	if (t->disk.img)
		qc_close(t->disk.img);
	if (t->ctx)
		qc_context_free(t->ctx);
	if (t->disk.fd >= 0 && !r && sync && fsync(t->disk.fd) && errno != EINVAL)
		r = -errno;
	if (t->disk.fd >= 0 && close(t->disk.fd) && !r)
		r = -errno;
	if (r && t->is_new)
		unlink(path);
	return r;
}
