/* SPDX-License-Identifier: MIT */
#include "evidence/pieces.h"

#include <errno.h>

#include "base/range.h"
#include "qcow_array.h"

enum { PIECES_MAX = 1 << 22 }; /* 96 MiB */

uint64_t qc_pieces_len(const struct qc_pieces *p, size_t i)
{
	return (i + 1 < p->n ? p->piece[i + 1].at : p->end) - p->piece[i].at;
}

qc_err qc_pieces_add(struct qc_pieces *p, uint64_t host, uint64_t len, unsigned int kind)
{
	struct qc_piece *last = p->n ? &p->piece[p->n - 1] : NULL;
	qc_err r = 0;

	if (!len)
		return 0;
	if (!last || last->kind != kind || last->host + (p->end - last->at) != host) {
		if (p->n == PIECES_MAX)
			return -EFBIG;
		r = array_reserve(&p->piece, &p->room, p->n + 1, sizeof(*p->piece));
		if (r)
			return r;
		p->piece[p->n++] = (struct qc_piece){ host, p->end, kind };
	}
	p->end += len;
	return 0;
}

void qc_pieces_free(struct qc_pieces *p)
{
	free(p->piece);
	*p = (struct qc_pieces){ 0 };
}

/* Finds the extent of a file at an offset; where the file system cannot tell, all is data. */
static struct qc_extent extent_of_file(struct qc_file *f, uint64_t off, uint64_t len)
{
	struct qc_extent e;

	if (qc_file_extent(f, off, &e) || !e.len)
		e = (struct qc_extent){ len, true };
	e.len = min_u64(e.len, len);
	return e;
}

qc_err qc_pieces_add_data(struct qc_pieces *p, struct qc_file *f, uint64_t host, uint64_t len,
			  unsigned int kind, bool whole)
{
	qc_err r = 0;

	for (uint64_t at = 0; !r && at < len;) {
		struct qc_extent e = extent_of_file(f, host + at, len - at);

		if (e.data && whole)
			return qc_pieces_add(p, host, len, kind);
		if (e.data)
			r = qc_pieces_add(p, host + at, e.len, kind);
		at += e.len;
	}
	return r;
}

/* ---- the image ---------------------------------------------------------------- */

static size_t find_piece(const struct qc_pieces *p, uint64_t off)
{
	size_t low = 0, high = p->n;

	while (high - low > 1) { /* the last one that begins at or before the offset */
		size_t mid = low + (high - low) / 2;

		if (p->piece[mid].at <= off)
			low = mid;
		else
			high = mid;
	}
	return low;
}

static qc_err read_pieces(struct qc_image *img, uint64_t off, uint8_t *buf, size_t len)
{
	const struct qc_pieces *p = img->bytes_state;
	qc_err r = 0;

	for (size_t i = len ? find_piece(p, off) : 0; !r && len; i++) {
		uint64_t inside = off - p->piece[i].at;
		size_t n = (size_t)min_u64(len, qc_pieces_len(p, i) - inside), got;

		r = qc_file_read(img->layer[0]->file, p->piece[i].host + inside, buf, n, &got);
		off += n;
		buf += n;
		len -= n;
	}
	return r;
}

static qc_err all_is_data(struct qc_image *img, uint64_t off, struct qc_extent *out)
{
	*out = (struct qc_extent){ img->size - off, true };
	return 0;
}

static void free_pieces(void *state)
{
	qc_pieces_free(state);
	free(state);
}

static const struct qc_image_bytes_ops pieces_ops = {
	.read = read_pieces,
	.block_status = all_is_data,
	.free = free_pieces,
};

qc_err qc_pieces_open(struct qc_image *img, struct qc_pieces *p, struct qc_image **out)
{
	struct qc_pieces *state = malloc(sizeof(*state));
	struct qc_image *v = state ? qc_open_share(img) : NULL;

	if (!v) {
		free(state);
		qc_pieces_free(p);
		return -ENOMEM;
	}
	*state = *p;
	v->bytes_ops = &pieces_ops;
	v->bytes_state = state;
	v->size = p->end;
	*out = v;
	return 0;
}
