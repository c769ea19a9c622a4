/* SPDX-License-Identifier: MIT */
#include "copy/commit_base.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "copy/copy_disk.h"
#include "image/layer_table.h"
#include "io/image_lock.h"
#include "layer/context_fields.h"

/* Opens a raw file for writing, too.  Its layer keeps the locks of a reader on failure. */
static qc_err open_raw_base(struct qc_commit_base *b, struct qc_reason *why)
{
	struct qc_layer *l = b->layer;
	int fd = qc_reopen(qc_file_fd(l->file), O_RDWR);
	qc_err r;

	if (fd < 0)
		return qc_fail_errno(why, -errno, "cannot open for writing");
	r = qc_image_lock_write(qc_file_fd(l->file), fd, l->ctx->locking, why);
	if (!r)
		r = qc_file_of_fd(fd, &b->raw);
	if (r)
		close(fd);
	return r;
}

/* Makes an image of the layers from @n on.  It adds no user to them. */
static qc_err open_image_base(struct qc_image *chain, unsigned int n, struct qc_commit_base *b,
			      struct qc_reason *why)
{
	qc_err r = qc_layer_make_writable(b->layer, why);

	if (!r)
		b->img = calloc(1, sizeof(*b->img));
	if (!r && !b->img)
		r = qc_fail_errno(why, -ENOMEM, NULL);
	if (r)
		return r;
	b->img->ctx = chain->ctx;
	b->img->writable = true;
	b->img->depth = b->img->bottom = chain->depth - n;
	memcpy(b->img->layer, chain->layer + n, b->img->depth * sizeof(chain->layer[0]));
	return 0;
}

qc_err qc_commit_base_open(struct qc_image *chain, unsigned int n, struct qc_commit_base *out,
			   struct qc_reason *why)
{
	struct qc_layer *l = chain->layer[n];
	qc_err r;

	*out = (struct qc_commit_base){ .layer = l };
	qc_layer_adjust_backing(l, -1);
	if (l->format == QC_FORMAT_RAW)
		r = open_raw_base(out, why);
	else
		r = open_image_base(chain, n, out, why);
	if (r)
		qc_reason_prefix(why, "backing file %s", l->path);
	return r;
}

void qc_commit_base_close(struct qc_commit_base *b)
{
	qc_file_close(b->raw);
	free(b->img);
	qc_layer_adjust_backing(b->layer, 1);
}

uint64_t qc_commit_base_size(const struct qc_commit_base *b)
{
	return b->layer->size;
}

qc_err qc_commit_base_grow(struct qc_commit_base *b, uint64_t size)
{
	qc_err r = b->img ? qc_resize(b->img, size) : qc_file_resize(b->raw, size);

	if (!r && !b->img)
		atomic_store(&b->layer->size, size);
	return r;
}

qc_err qc_commit_base_write(struct qc_commit_base *b, uint64_t off, const uint8_t *buf, size_t len)
{
	return b->img ? qc_write(b->img, off, buf, len) : qc_file_write(b->raw, off, buf, len);
}

qc_err qc_commit_base_zero(struct qc_commit_base *b, uint64_t off, uint64_t len)
{
	struct qc_copy_disk d = { .img = b->img, .file = b->raw };

	return qc_copy_disk_zero(&d, off, len);
}

qc_err qc_commit_base_flush(struct qc_commit_base *b)
{
	return b->img ? qc_flush(b->img) : qc_file_sync(b->raw);
}
