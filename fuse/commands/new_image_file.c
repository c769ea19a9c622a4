/* SPDX-License-Identifier: MIT */
#include "commands/new_image_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands/preallocation.h"
#include "qcow_info.h"
#include "util/report.h"

/* ---- the backing file ---------------------------------------------------------------- */

char *new_image_file_base_path(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');
	char *plain = qc_backing_path(name); /* of a json: or file: name */
	char *out;

	if (!plain || *plain == '/' || !slash)
		return plain ? plain : strdup(name);
	if (asprintf(&out, "%.*s/%s", (int)(slash - path), path, plain) < 0)
		out = NULL;
	free(plain);
	return out;
}

/* Takes the size of a raw file or a block device. */
static int measure_raw(const char *path, uint64_t *size)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	off_t end = fd < 0 || fstat(fd, &st) ? -1 : lseek(fd, 0, SEEK_END);
	int r = end < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	if (!r && !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		r = -EMEDIUMTYPE;
	*size = (uint64_t)end;
	return r ? command_fail(path, r, NULL) : COMMAND_OK;
}

static int measure_base(struct command *c, const char *path, struct qc_create_options *o,
			uint64_t *size)
{
	struct qc_image *img;
	struct qc_layer_info info;
	struct qc_reason why;
	qc_err r;

	if (o->backing_format && !strcmp(o->backing_format, "raw"))
		return measure_raw(path, size);
	r = command_try_open(c, path, QC_OPEN_HEADERS_ONLY, &img, &why);
	if (r == -EMEDIUMTYPE && !o->backing_format) {
		report(QC_LOG_ERROR, "%s: not a QCOW image (-F raw, if it is a raw disk)", path);
		return COMMAND_FAILED;
	}
	if (r)
		return command_fail(path, r, &why);
	*size = qc_size(img);
	if (!o->backing_format && !qc_get_layer_info(img, 0, &info)) {
		o->backing_format = info.version == 1 ? "qcow" : "qcow2";
		qc_layer_info_free(&info);
	}
	qc_close(img);
	return COMMAND_OK;
}

int new_image_file_look_at_base(struct command *c, const char *path, struct qc_create_options *o,
				uint64_t *size)
{
	static const char *const formats[] = { "raw", "qcow", "qcow2" };
	bool known = !o->backing_format;
	char *base;
	int status;

	for (size_t i = 0; i < 3 && !known; i++)
		known = !strcmp(o->backing_format, formats[i]);
	if (!known) {
		report(QC_LOG_ERROR, "-F: '%s' is none of raw, qcow and qcow2", o->backing_format);
		return COMMAND_FAILED;
	}
	base = new_image_file_base_path(path, o->backing);
	status = base ? measure_base(c, base, o, size) : command_fail(path, -ENOMEM, NULL);
	free(base);
	return status;
}

/* ---- the file --------------------------------------------------------------------------- */

static int make_data_file(const char *path, const struct qc_create_options *o)
{
	char *data = new_image_file_base_path(path, o->data_file);
	int fd = data ? open(data, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
	int r = fd < 0 || ftruncate(fd, (off_t)o->size) ? -errno : 0;

	if (fd >= 0)
		close(fd);
	if (r)
		command_fail(data ? data : path, r, NULL);
	free(data);
	return r;
}

/* Takes the passphrase of an encrypted image from the command's options. */
static int get_passphrase(struct command *c, const char *path, struct create_options *options)
{
	struct qc_create_options *o = &options->o;
	void *pass = qc_secure_alloc(QC_KEY_MAX);
	qc_err r = pass ? command_get_key(c, path, options->key_secret, pass, QC_KEY_MAX,
					  &o->passphrase_len) : -ENOMEM;

	o->passphrase = pass;
	if (r != -ENOENT)
		return r ? command_fail(path, r, NULL) : COMMAND_OK;
	report(QC_LOG_ERROR, "%s: an encrypted image needs a passphrase (--key-file=PATH)", path);
	return COMMAND_FAILED;
}

static int write_image_file(struct command *c, const char *path, struct qc_create_options *o)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	bool is_new = fd >= 0;
	struct qc_reason why = { 0 };
	qc_err r;

	if (fd < 0 && errno == EEXIST)
		fd = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return command_fail(path, -errno, NULL);
	o->locking = c->o.locking;
	r = qc_create(fd, o, &why);
	close(fd);
	if (!r && o->data_file)
		r = make_data_file(path, o);
	else if (r)
		command_fail(path, r, &why);
	if (r && is_new)
		unlink(path);
	return r ? COMMAND_FAILED : COMMAND_OK;
}

int new_image_file_create(struct command *c, const char *path, struct create_options *options)
{
	struct qc_create_options *o = &options->o;
	int status = COMMAND_OK;

	if (o->data_file_raw && options->preallocation == PREALLOC_OFF)
		options->preallocation = PREALLOC_METADATA; /* the data file alone is the disk */
	if (options->preallocation != PREALLOC_OFF && o->backing && *o->backing) {
		report(QC_LOG_ERROR, "%s: preallocation would hide the backing file", path);
		return COMMAND_FAILED;
	}
	if (o->data_file && options_set(&c->o, "data-file", o->data_file))
		return COMMAND_FAILED; /* preallocation may write to it */
	if (o->encryption != QC_CREATE_PLAIN)
		status = get_passphrase(c, path, options);
	if (status == COMMAND_OK)
		status = write_image_file(c, path, o);
	if (status == COMMAND_OK && options->preallocation != PREALLOC_OFF)
		status = preallocation_apply_to_file(c, path, 0, options->preallocation);
	qc_secure_free((void *)(uintptr_t)o->passphrase);
	o->passphrase = NULL;
	return status;
}
