/* SPDX-License-Identifier: MIT */
#include "io/front_file.h"

static struct qc_file *real_of(const struct qc_file *f)
{
	return ((const struct qc_front_file *)f)->real;
}

qc_err qc_front_file_stat(struct qc_file *f, struct qc_file_stat *out)
{
	return qc_file_stat(real_of(f), out);
}

qc_err qc_front_file_size(struct qc_file *f, uint64_t *out)
{
	return qc_file_size(real_of(f), out);
}

qc_err qc_front_file_extent(struct qc_file *f, uint64_t off, struct qc_extent *out)
{
	return qc_file_extent(real_of(f), off, out);
}

qc_err qc_front_file_write(struct qc_file *f, uint64_t off, const void *buf, size_t len)
{
	return qc_file_write(real_of(f), off, buf, len);
}

qc_err qc_front_file_sync(struct qc_file *f)
{
	return qc_file_sync(real_of(f));
}

qc_err qc_front_file_resize(struct qc_file *f, uint64_t size)
{
	return qc_file_resize(real_of(f), size);
}

qc_err qc_front_file_punch(struct qc_file *f, uint64_t off, uint64_t len)
{
	return qc_file_punch(real_of(f), off, len);
}

int qc_front_file_fd(const struct qc_file *f)
{
	return qc_file_fd(real_of(f));
}

void qc_front_file_close(struct qc_file *f)
{
	qc_file_close(real_of(f));
	free(f);
}
