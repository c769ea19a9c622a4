/* SPDX-License-Identifier: MIT */
#include "io/patched_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/range.h"
#include "base/util.h"

static qc_err read_patched(struct qc_file *f, uint64_t off, void *buf, size_t len, size_t *got)
{
	const struct qc_patched_file *p = (const struct qc_patched_file *)f;
	const struct qc_file_patch *patch = atomic_load_explicit(&p->patch, memory_order_acquire);
	struct qc_file *real = p->front.real;
	uint64_t first, end;
	qc_err r;

	if (!patch || !range_overlap(off, len, patch->off, patch->len))
		return real->ops->read(real, off, buf, len, got);
	first = max_u64(off, patch->off);
	end = min_u64(off + len, patch->off + patch->len);
	*got = 0;
	r = first == off && end == off + len ? 0 : real->ops->read(real, off, buf, len, got);
	if (r)
		return r;
	if (*got < first - off)
		memset((uint8_t *)buf + *got, 0, (size_t)(first - off) - *got);
	memcpy((uint8_t *)buf + (first - off), patch->bytes + (first - patch->off),
	       (size_t)(end - first));
	*got = (size_t)max_u64(*got, end - off);
	return 0;
}

static const struct qc_file_ops patched_ops = {
	.read = read_patched,
	.stat = qc_front_file_stat,
	.size = qc_front_file_size,
	.extent = qc_front_file_extent,
	.write = qc_front_file_write,
	.sync = qc_front_file_sync,
	.resize = qc_front_file_resize,
	.punch = qc_front_file_punch,
	.fd = qc_front_file_fd,
	.close = qc_front_file_close,
};

qc_err qc_patched_file_new(struct qc_file **f, struct qc_patched_file **out)
{
	struct qc_patched_file *p = malloc(sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->front = (struct qc_front_file){ { &patched_ops }, *f };
	atomic_init(&p->patch, NULL);
	*f = &p->front.file;
	*out = p;
	return 0;
}

void qc_patched_file_set(struct qc_patched_file *p, const struct qc_file_patch *patch)
{
	atomic_store_explicit(&p->patch, patch, memory_order_release);
}
