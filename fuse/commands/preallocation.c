/* SPDX-License-Identifier: MIT */
#include "commands/preallocation.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILL_BYTES = 1 << 20 };

static qc_err write_zeros_from(struct command *c, struct qc_image *img, uint64_t from)
{
	static const uint8_t zeros[FILL_BYTES];
	uint64_t size = qc_size(img);
	qc_err r = 0;

	for (uint64_t at = from; !r && at < size; at += FILL_BYTES) {
		uint64_t len = size - at < FILL_BYTES ? size - at : FILL_BYTES;

		r = qc_write(img, at, zeros, len);
		command_show_progress(c, at + len - from, size - from);
	}
	return r;
}

qc_err preallocation_apply(struct command *c, struct qc_image *img, uint64_t from,
			   enum preallocation how)
{
	if (how == PREALLOC_OFF || from >= qc_size(img))
		return 0;
	return how == PREALLOC_FULL ? write_zeros_from(c, img, from) :
				      qc_preallocate(img, from, qc_size(img) - from);
}

int preallocation_reserve_space(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;
	int r = fd < 0 || fstat(fd, &st) || fallocate(fd, 0, 0, st.st_size) ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return r;
}

int preallocation_apply_to_file(struct command *c, const char *path, uint64_t from,
				enum preallocation how)
{
	struct qc_image *img;
	int status = command_open(c, path, QC_OPEN_WRITE, &img);
	qc_err r;

	if (status != COMMAND_OK)
		return status;
	r = preallocation_apply(c, img, from, how);
	if (!r)
		r = qc_flush(img);
	qc_close(img);
	if (!r && how == PREALLOC_FALLOC)
		r = preallocation_reserve_space(path);
	return r ? command_fail(path, r, NULL) : COMMAND_OK;
}
