/* SPDX-License-Identifier: MIT */
/*
 * unread_areas.c - finished areas are kept, sorted and merged; all else is unread.
 */
#include "io/unread_areas.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/range.h"
#include "io/front_file.h"
#include "qcow_array.h"

struct finished_area {
	uint64_t start, end;
};

struct qc_unread_areas {
	struct finished_area *at; /* ascending; neighbours do not touch */
	size_t n, room;
};

/* ---- parsing ---------------------------------------------------------------- */

/* Reads a number of at most @left characters, decimal or with 0x.  Returns the characters that it
 * takes; 0: there is no number, or it does not fit. */
static size_t parse_map_number(const char *p, size_t left, uint64_t *out)
{
	bool hex = left > 2 && p[0] == '0' && (p[1] == 'x' || p[1] == 'X');
	unsigned int base = hex ? 16 : 10;
	size_t first = hex ? 2 : 0, i = first;

	*out = 0;
	for (; i < left && isxdigit((unsigned char)p[i]); i++) {
		int c = tolower((unsigned char)p[i]);
		unsigned int digit = (unsigned int)(c <= '9' ? c - '0' : c - 'a' + 10);

		if (digit >= base || *out > (UINT64_MAX - digit) / base)
			return 0;
		*out = *out * base + digit;
	}
	return i > first ? i : 0;
}

static size_t skip_blanks(const char *p, size_t left)
{
	size_t i = 0;

	while (i < left && (p[i] == ' ' || p[i] == '\t' || p[i] == '\r'))
		i++;
	return i;
}

struct map_line {
	uint64_t number[2];
	unsigned int numbers;
	char status;
};

/* Splits a line "POS SIZE STATUS", or the first one, "POS STATUS [PASS]". */
static bool parse_map_line(const char *p, size_t left, struct map_line *out)
{
	*out = (struct map_line){ 0 };
	for (;;) {
		size_t n = skip_blanks(p, left);

		p += n;
		left -= n;
		n = out->numbers < 2 ? parse_map_number(p, left, &out->number[out->numbers]) : 0;
		if (!n)
			break;
		out->numbers++;
		p += n;
		left -= n;
	}
	if (!left || !strchr("?*/-+FG", *p))
		return false;
	out->status = *p;
	return left == 1 || isspace((unsigned char)p[1]);
}

static qc_err add_finished(struct qc_unread_areas *a, const struct map_line *l)
{
	uint64_t end = l->number[0] + l->number[1];
	qc_err r;

	if (end < l->number[0] || (a->n && l->number[0] < a->at[a->n - 1].end))
		return -EINVAL;
	if (l->status != '+' || !l->number[1])
		return 0;
	if (a->n && a->at[a->n - 1].end == l->number[0]) {
		a->at[a->n - 1].end = end;
		return 0;
	}
	r = array_reserve(&a->at, &a->room, a->n + 1, sizeof(*a->at));
	if (!r)
		a->at[a->n++] = (struct finished_area){ l->number[0], end };
	return r;
}

/* Reads one line.  @areas counts those after the first one, which is the status of ddrescue. */
static qc_err read_map_line(struct qc_unread_areas *a, const char *p, size_t n, unsigned int *areas)
{
	size_t blanks = skip_blanks(p, n);
	struct map_line l;

	if (blanks == n || p[blanks] == '#')
		return 0;
	if (!parse_map_line(p, n, &l) || l.numbers != (*areas ? 2 : 1))
		return -EINVAL;
	return (*areas)++ ? add_finished(a, &l) : 0;
}

static qc_err read_map(struct qc_unread_areas *a, const char *text, size_t len,
		       struct qc_reason *why)
{
	unsigned int areas = 0, line = 1;

	for (size_t at = 0; at < len; line++) {
		const char *end = memchr(text + at, '\n', len - at);
		size_t n = end ? (size_t)(end - text) - at : len - at;
		qc_err r = read_map_line(a, text + at, n, &areas);

		if (r == -ENOMEM)
			return qc_fail(why, r, "out of memory");
		if (r)
			return qc_fail(why, r, "line %u is none of a mapfile of ddrescue", line);
		at += n + 1;
	}
	return areas ? 0 : qc_fail(why, -EINVAL, "no mapfile of ddrescue: it has no lines");
}

qc_err qc_unread_areas_parse(const char *text, size_t len, struct qc_unread_areas **out,
			     struct qc_reason *why)
{
	struct qc_unread_areas *a = calloc(1, sizeof(*a));
	qc_err r = a ? read_map(a, text, len, why) : qc_fail(why, -ENOMEM, "out of memory");

	if (r)
		qc_unread_areas_free(a);
	else
		*out = a;
	return r;
}

void qc_unread_areas_free(struct qc_unread_areas *a)
{
	if (a)
		free(a->at);
	free(a);
}

bool qc_unread_areas_find(const struct qc_unread_areas *a, uint64_t off, uint64_t *len)
{
	size_t low = 0, high = a->n;

	while (low < high) { /* the first area that ends behind the offset */
		size_t mid = low + (high - low) / 2;

		if (a->at[mid].end <= off)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == a->n || a->at[low].start > off) {
		*len = (low == a->n ? UINT64_MAX : a->at[low].start) - off;
		return true;
	}
	*len = a->at[low].end - off;
	return false;
}

/* ---- the file --------------------------------------------------------------- */

struct masked_file {
	struct qc_front_file front;
	const struct qc_unread_areas *areas;
};

static struct masked_file *masked_of(struct qc_file *f)
{
	return (struct masked_file *)f;
}

/* Fails if a byte of the range is unread.  Bytes behind the end of the file are not. */
static qc_err read_masked(struct qc_file *f, uint64_t off, void *buf, size_t len, size_t *got)
{
	struct masked_file *m = masked_of(f);
	uint64_t size, n;
	qc_err r = qc_file_size(m->front.real, &size);

	if (r)
		return r;
	if (off < size && len &&
	    (qc_unread_areas_find(m->areas, off, &n) || n < range_clamp(off, len, size)))
		return -EIO;
	return m->front.real->ops->read(m->front.real, off, buf, len, got);
}

/* Reads a range with zeros in its unread areas. */
static qc_err read_filled(struct qc_file *f, uint64_t off, void *buf, size_t len, size_t *got)
{
	struct masked_file *m = masked_of(f);
	qc_err r = m->front.real->ops->read(m->front.real, off, buf, len, got);

	for (uint64_t at = 0, n; !r && at < *got; at += n) {
		bool unread = qc_unread_areas_find(m->areas, off + at, &n);

		n = min_u64(n, *got - at);
		if (unread)
			memset((uint8_t *)buf + at, 0, n);
	}
	return r;
}

static const struct qc_file_ops masked_ops = {
	.read = read_masked,
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

qc_err qc_unread_areas_mask(struct qc_file **f, const struct qc_unread_areas *a)
{
	struct masked_file *m = malloc(sizeof(*m));

	if (!m)
		return -ENOMEM;
	*m = (struct masked_file){ { { &masked_ops }, *f }, a };
	*f = &m->front.file;
	return 0;
}

/* The file belongs to the masked one. */
static void close_filled(struct qc_file *f)
{
	free(f);
}

static const struct qc_file_ops filled_ops = {
	.read = read_filled,
	.stat = qc_front_file_stat,
	.size = qc_front_file_size,
	.extent = qc_front_file_extent,
	.close = close_filled,
};

qc_err qc_unread_areas_fill(struct qc_file *masked, struct qc_file **out)
{
	struct masked_file *m = malloc(sizeof(*m));

	if (!m)
		return -ENOMEM;
	*m = *masked_of(masked);
	m->front.file.ops = &filled_ops;
	*out = &m->front.file;
	return 0;
}
