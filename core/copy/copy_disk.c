/* SPDX-License-Identifier: MIT */
#include "copy/copy_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/range.h"
#include "image/chain_walk.h"
#include "io/image_lock.h"

enum {
	ZEROS_BYTES = 64 * 1024,
	EQUAL_STEPS_MAX = 1 << 14, /* of one call, so that it does not take long */
};

static const uint8_t zeros[ZEROS_BYTES];

qc_err qc_copy_disk_open(const struct qc_disk *d, enum qc_copy_side side,
			 struct qc_copy_disk *out)
{
	int fd = -1;
	qc_err r;

	*out = (struct qc_copy_disk){ .img = d->img, .fd = d->fd, .size = d->size };
	if (d->img)
		out->size = qc_size(d->img);
	if (d->img || side == QC_COPY_PIPE)
		return 0;
	fd = fcntl(d->fd, F_DUPFD_CLOEXEC, 0);
	r = fd < 0 ? -errno : qc_file_of_fd(fd, &out->file);
	if (!r && side == QC_COPY_TARGET)
		qc_file_enable_direct(out->file);
	if (r && fd >= 0)
		close(fd);
	return r;
}

void qc_copy_disk_close(struct qc_copy_disk *d)
{
	qc_file_close(d->file);
}

/* The locks of a writer are compared with those of a second open file description, since a
 * program's own locks are not in its way. */
qc_err qc_lock_raw_disk(int fd, bool write, enum qc_locking how, struct qc_reason *why)
{
	int reader = write ? qc_reopen(fd, O_RDONLY) : fd;
	bool has_writer;
	qc_err r;

	if (reader < 0)
		return qc_fail_errno(why, -errno, "cannot open the file once more");
	r = qc_image_lock_read(reader, how, &has_writer, why);
	if (!r && write)
		r = qc_image_lock_write(reader, fd, how, why);
	if (write)
		close(reader);
	return r;
}

/* ---- requests ------------------------------------------------------------- */

qc_err qc_copy_disk_read(struct qc_copy_disk *d, uint64_t off, uint8_t *buf, size_t len)
{
	size_t inside = range_clamp(off, len, d->size), got;

	memset(buf + inside, 0, len - inside);
	if (!inside)
		return 0;
	return d->img ? qc_read(d->img, off, buf, inside) :
			qc_file_read(d->file, off, buf, inside, &got);
}

/* Behind the end of a raw file its last sector has zeros. */
qc_err qc_copy_disk_extent(struct qc_copy_disk *d, uint64_t off, struct qc_extent *out)
{
	uint64_t end;
	qc_err r;

	*out = (struct qc_extent){ UINT64_MAX, false };
	if (off >= d->size)
		return 0;
	if (d->img)
		return qc_block_status(d->img, off, out);
	r = qc_file_size(d->file, &end);
	*out = (struct qc_extent){ d->size - off, false };
	if (!r && off < end)
		r = qc_file_extent(d->file, off, out);
	out->len = min_u64(out->len, d->size - off);
	return r;
}

qc_err qc_copy_disk_write(struct qc_copy_disk *d, uint64_t off, const uint8_t *buf, size_t len)
{
	return d->img ? qc_write(d->img, off, buf, len) : qc_file_write(d->file, off, buf, len);
}

/* Writes zeros where the file system cannot make a hole. */
static qc_err write_zeros_to_file(struct qc_file *f, uint64_t off, uint64_t len)
{
	qc_err r = 0;

	for (uint64_t n; !r && len; off += n, len -= n) {
		n = min_u64(len, sizeof(zeros));
		r = qc_file_write(f, off, zeros, n);
	}
	return r;
}

qc_err qc_copy_disk_zero(struct qc_copy_disk *d, uint64_t off, uint64_t len)
{
	if (d->img)
		return qc_discard(d->img, off, len);
	return qc_file_punch(d->file, off, len) ? write_zeros_to_file(d->file, off, len) : 0;
}

qc_err qc_copy_disk_append(struct qc_copy_disk *d, const uint8_t *buf, uint64_t len)
{
	while (len) {
		size_t n = buf ? len : min_u64(len, sizeof(zeros));
		ssize_t done = write(d->fd, buf ? buf : zeros, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		len -= (uint64_t)done;
		buf = buf ? buf + done : NULL;
	}
	return 0;
}

/* ---- equal ranges ------------------------------------------------------------ */

/* Makes one step of a walk.  Both images are in flight.  @step: the extent at @at, shortened to
 * begin there. */
static qc_err step_over(struct qc_walk *w, uint64_t at, struct qc_step *step, uint64_t *from)
{
	qc_err r = 0;

	while (!r && w->at <= at) {
		*from = w->at;
		r = qc_walk_step(w, step);
	}
	return r;
}

static bool steps_are_equal(const struct qc_step *a, uint64_t a_from, const struct qc_step *b,
			    uint64_t b_from)
{
	if (a->x.kind == QC_ZERO && b->x.kind == QC_ZERO)
		return true;
	if (a->layer != b->layer || a->x.kind != b->x.kind || a->x.kind == QC_DAMAGED)
		return false;
	if (a->at.v - a_from != b->at.v - b_from)
		return false;
	/* A snapshot and the active disk of one file have other tables. */
	return a->x.kind == QC_COMPRESSED ? a->x.host.v == b->x.host.v :
					    a->x.host.v - a_from == b->x.host.v - b_from;
}

static qc_err measure_equal(struct qc_image *a, struct qc_image *b, uint64_t off, uint64_t end,
			    uint64_t *len)
{
	struct qc_walk wa, wb;
	struct qc_step sa = { 0 }, sb = { 0 };
	uint64_t at = off, a_from = off, b_from = off;
	qc_err r = 0;

	qc_walk_begin(&wa, a, off, end);
	qc_walk_begin(&wb, b, off, end);
	for (int i = 0; at < end && i < EQUAL_STEPS_MAX; i++) {
		r = step_over(&wa, at, &sa, &a_from);
		if (!r)
			r = step_over(&wb, at, &sb, &b_from);
		if (r || !steps_are_equal(&sa, a_from, &sb, b_from))
			break;
		at = min_u64(wa.at, wb.at);
	}
	*len = at - off;
	return *len ? 0 : r;
}

static qc_err measure_equal_inflight(struct qc_image *a, struct qc_image *b, uint64_t off,
				     uint64_t end, uint64_t *len)
{
	struct qc_inflight *fa = &a->layer[0]->inflight, *fb = &b->layer[0]->inflight;
	struct qc_inflight_token ta = qc_inflight_begin(fa), tb = qc_inflight_begin(fb);
	qc_err r = measure_equal(a, b, off, end, len);

	qc_inflight_end(fb, tb);
	qc_inflight_end(fa, ta);
	return r;
}

qc_err qc_copy_disk_measure_equal(struct qc_copy_disk *a, struct qc_copy_disk *b, uint64_t off,
				  uint64_t end, uint64_t *len)
{
	uint64_t both = min_u64(end, min_u64(a->size, b->size));
	struct qc_extent of_a, of_b;
	qc_err r;

	*len = 0;
	if (a->img && b->img && off < both)
		return measure_equal_inflight(a->img, b->img, off, both, len);
	r = qc_copy_disk_extent(a, off, &of_a);
	if (!r)
		r = qc_copy_disk_extent(b, off, &of_b);
	if (!r && !of_a.data && !of_b.data)
		*len = min_u64(min_u64(of_a.len, of_b.len), end - off);
	return r;
}
