/* SPDX-License-Identifier: MIT */
/*
 * salvage.c - a read that fails is repeated sector by sector.
 */
#include "rescue/salvage.h"

#include <errno.h>
#include <string.h>

#include "format/qcow_layout.h"

static struct qc_salvage *salvage_of(struct qc_file *f)
{
	return (struct qc_salvage *)f;
}

static void mark_sector(struct qc_salvage *s, size_t i)
{
	if (s->marks)
		s->marks->bits[i / 8] |= (uint8_t)(1u << i % 8);
}

/* Reads the sectors of a range one by one.  *got: up to the end of the file. */
static qc_err salvage_sectors(struct qc_salvage *s, uint64_t off, uint8_t *buf, size_t len,
			   size_t *got)
{
	*got = 0;
	for (size_t at = 0; at < len;) {
		size_t n = (size_t)min_u64(SECTOR - (off + at) % SECTOR, len - at), part;
		qc_err r = s->front.real->ops->read(s->front.real, off + at, buf + at, n, &part);

		if (r == -ENOMEM)
			return r;
		if (r) {
			memset(buf + at, 0, n);
			mark_sector(s, at / SECTOR);
			s->unread += n;
			part = n;
		}
		*got = at + part;
		if (part < n)
			break;
		at += n;
	}
	return 0;
}

static qc_err read_salvaged(struct qc_file *f, uint64_t off, void *buf, size_t len, size_t *got)
{
	struct qc_salvage *s = salvage_of(f);
	qc_err r = s->front.real->ops->read(s->front.real, off, buf, len, got);

	if (r && r != -ENOMEM)
		r = salvage_sectors(s, off, buf, len, got);
	return r;
}

static const struct qc_file_ops salvage_ops = {
	.read = read_salvaged,
	.stat = qc_front_file_stat,
	.size = qc_front_file_size,
	.extent = qc_front_file_extent,
};

void qc_salvage_init(struct qc_salvage *s, struct qc_file *real)
{
	*s = (struct qc_salvage){ .front = { { &salvage_ops }, real } };
}

void qc_salvage_reset(struct qc_salvage *s)
{
	s->unread = 0;
}

qc_err qc_salvage_read(struct qc_salvage *s, uint64_t off, void *buf, size_t len,
		       struct qc_sector_marks *marks)
{
	size_t bytes = len / SECTOR / 8 + 1, got;
	qc_err r;

	if (bytes > marks->room) {
		free(marks->bits);
		marks->bits = malloc(bytes);
		marks->room = marks->bits ? bytes : 0;
		if (!marks->bits)
			return -ENOMEM;
	}
	memset(marks->bits, 0, bytes);
	s->marks = marks;
	r = qc_file_read(&s->front.file, off, buf, len, &got);
	s->marks = NULL;
	return r;
}
