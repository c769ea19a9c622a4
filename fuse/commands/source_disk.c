/* SPDX-License-Identifier: MIT */
#include "commands/source_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands/image_format.h"
#include "commands/snapshot_find.h"
#include "util/report.h"

enum { DIRECTORY_ENTRY_BYTES = 24 };

static int open_raw(const char *path, struct source_disk *out)
{
	struct stat st;
	off_t end;

	out->fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (out->fd < 0 || fstat(out->fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return -EMEDIUMTYPE;
	end = lseek(out->fd, 0, SEEK_END);
	if (end < 0)
		return -errno;
	/* QEMU counts whole sectors. */
	out->size = ((uint64_t)end + 511) / 512 * 512;
	return 0;
}

/* Opens the file as an image, unless it is to be raw.  Return: as command_try_open(). */
static qc_err try_open_as(struct command *c, const char *path, const char *format,
			  struct source_disk *out, struct qc_reason *why)
{
	struct command_file f;
	qc_err r = command_locate(c, path, 0, &f);

	if (!r && (format ? !strcmp(format, "raw") : !qc_is_image(f.at.fd)))
		r = -EMEDIUMTYPE;
	if (!r)
		r = image_format_check(f.at.fd, format, why);
	if (!r)
		r = qc_open(c->ctx, &f.at, 0, &out->img, why);
	if (r == -EMEDIUMTYPE && *why->text)
		r = -EINVAL; /* the image is one, but a file of its chain is none */
	command_file_close(&f);
	return r;
}

int source_disk_open(struct command *c, const char *path, struct source_disk *out)
{
	return source_disk_open_as(c, path, NULL, out);
}

int source_disk_open_as(struct command *c, const char *path, const char *format,
			struct source_disk *out)
{
	struct qc_reason why = { 0 };
	struct qc_layer_info info;
	qc_err r;

	*out = (struct source_disk){ .fd = -1 };
	r = try_open_as(c, path, format, out, &why);
	if (r == -EMEDIUMTYPE) {
		why = (struct qc_reason){ 0 };
		r = open_raw(path, out);
		if (!r)
			r = qc_lock_raw_disk(out->fd, false, c->o.locking, &why);
	} else if (!r) {
		r = qc_check_walk_ends(out->img, &why);
		out->size = qc_size(out->img);
		if (!qc_get_layer_info(out->img, 0, &info)) {
			out->bitmaps_possible = info.version == 3;
			qc_layer_info_free(&info);
		}
	}
	if (!r)
		return COMMAND_OK;
	source_disk_close(out);
	return command_fail(path, r, &why);
}

int source_disk_select_snapshot(const char *path, const char *name, struct source_disk *s)
{
	struct qc_image *of_snapshot;
	struct qc_reason why = { 0 };
	qc_err r = s->img ? snapshot_find_and_open(s->img, name, &of_snapshot, &why) : -ENOENT;

	if (r == -ENOENT) {
		report(QC_LOG_ERROR, "%s: there is no snapshot '%s'", path, name);
		return COMMAND_FAILED;
	}
	if (r)
		return command_fail(path, r, &why);
	qc_close(s->img);
	s->img = of_snapshot;
	s->size = qc_size(of_snapshot);
	r = qc_check_walk_ends(of_snapshot, &why);
	return r ? command_fail(path, r, &why) : COMMAND_OK;
}

void source_disk_close(struct source_disk *s)
{
	if (s->img)
		qc_close(s->img);
	if (s->fd >= 0)
		close(s->fd);
	s->img = NULL;
	s->fd = -1;
}

qc_err source_disk_status(const struct source_disk *s, uint64_t at, struct qc_extent *out)
{
	off_t data, hole;

	if (s->img)
		return qc_block_status(s->img, at, out);
	data = lseek(s->fd, (off_t)at, SEEK_DATA);
	if (data < 0 && errno != ENXIO) { /* a file system or device without holes */
		*out = (struct qc_extent){ s->size - at, true };
		return 0;
	}
	out->data = data == (off_t)at;
	hole = out->data ? lseek(s->fd, (off_t)at, SEEK_HOLE) : data;
	out->len = hole < 0 || (uint64_t)hole > s->size ? s->size - at : (uint64_t)hole - at;
	return 0;
}

qc_err source_disk_raw_mapping(void *disk, uint64_t at, struct qc_mapping *out)
{
	struct qc_extent e;
	qc_err r = source_disk_status(disk, at, &e);

	*out = (struct qc_mapping){ .start = at, .len = e.len, .present = true, .zero = !e.data,
				    .data = e.data, .has_offset = true, .offset = at, .file = "" };
	return r;
}

qc_err source_disk_measure_bitmaps(struct command *c, const char *path, struct source_disk *s,
				   uint32_t cluster)
{
	uint64_t directory = 0;
	struct qc_image *headers;
	struct qc_reason why;
	struct qc_bitmaps b;
	qc_err r;

	if (!s->img || !s->bitmaps_possible)
		return 0;
	r = command_try_open(c, path, QC_OPEN_HEADERS_ONLY, &headers, &why);
	if (r)
		return r;
	r = qc_list_bitmaps(headers, &b);
	for (size_t i = 0; !r && i < b.n; i++) {
		uint64_t bits = (s->size + b.at[i].granularity - 1) / b.at[i].granularity;
		uint64_t clusters = ((bits + 7) / 8 + cluster - 1) / cluster;

		s->bitmap_bytes += clusters * cluster +
				   (clusters * 8 + cluster - 1) / cluster * cluster;
		directory += (DIRECTORY_ENTRY_BYTES + b.at[i].name_len + 7) / 8 * 8;
	}
	s->bitmap_bytes += (directory + cluster - 1) / cluster * cluster;
	qc_bitmaps_free(&b);
	qc_close(headers);
	return r;
}
