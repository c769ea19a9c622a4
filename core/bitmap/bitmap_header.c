/* SPDX-License-Identifier: MIT */
#include "bitmap/bitmap_header.h"

#include <errno.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/range.h"
#include "update/autoclear.h"
#include "update/checkpoint.h"

enum {
	EXT_HEAD_BYTES = 8, /* u32 magic, u32 length */
	EXT_BYTES = EXT_HEAD_BYTES + EXT_BITMAPS_BYTES,
	/* Fields of the extension, behind its head. */
	BITMAPS_N = 0,	     /* u32, then a reserved u32 */
	BITMAPS_BYTES = 8,   /* u64 */
	BITMAPS_OFFSET = 16, /* u64 */
};

qc_err qc_bitmap_header_declare(struct qc_writer *w, bool valid)
{
	uint64_t others = w->layer->head.autoclear & ~(uint64_t)AUTOCLEAR_BITMAPS;

	return qc_autoclear_set(w, valid ? others | AUTOCLEAR_BITMAPS : others);
}

/* ---- a new extension ---------------------------------------------------------- */

/* Moves the name of the backing file towards the end of the first cluster, so that @bytes fit
 * before it.  The old name stays until the header locates the new one. */
static qc_err move_backing_name(struct qc_writer *w, uint64_t bytes)
{
	struct qc_header *h = &w->layer->head;
	uint64_t to = max_u64(h->extensions_end + bytes, h->backing_offset + h->backing_len);
	uint8_t be[8];
	qc_err r;

	to = round_up(to, 8);
	if (!range_inside(to, h->backing_len, geom_cluster(&h->geom)))
		return -ENOSPC;
	r = qc_writer_update_header(w, to, h->backing, h->backing_len);
	be64_to(be, to);
	if (!r)
		r = qc_writer_update_header(w, HEAD_BACKING_OFFSET, be, sizeof(be));
	if (!r)
		h->backing_offset = to;
	return r;
}

/* Returns where the extension can begin: instead of one that is skipped, or of the end. */
static qc_err find_extension_room(struct qc_writer *w, uint64_t *at)
{
	struct qc_header *h = &w->layer->head;
	uint64_t limit = h->backing_offset ? h->backing_offset : geom_cluster(&h->geom);

	*at = h->unused_extension;
	if (*at)
		return 0;
	*at = h->extensions_end;
	if (range_inside(*at, EXT_BYTES + EXT_HEAD_BYTES, limit))
		return 0;
	return h->backing_offset ? move_backing_name(w, EXT_BYTES + EXT_HEAD_BYTES) : -ENOSPC;
}

/* Writes the extension behind its magic, then the magic, which makes it an extension. */
static qc_err add_extension(struct qc_writer *w, const uint8_t *data)
{
	uint8_t tail[EXT_BITMAPS_BYTES + EXT_HEAD_BYTES] = { 0 }, magic[EXT_HEAD_BYTES];
	struct qc_header *h = &w->layer->head;
	uint64_t at;
	qc_err r = find_extension_room(w, &at);
	bool last = at != h->unused_extension;

	if (r)
		return r;
	memcpy(tail, data, EXT_BITMAPS_BYTES);
	be32_to(magic, EXT_BITMAPS);
	be32_to(magic + 4, EXT_BITMAPS_BYTES);
	r = qc_writer_update_header(w, at + EXT_HEAD_BYTES, tail,
				    last ? sizeof(tail) : EXT_BITMAPS_BYTES);
	if (!r)
		r = qc_writer_update_header(w, at, magic, sizeof(magic));
	if (r)
		return r;
	h->bitmaps_extension = at;
	if (last)
		h->extensions_end = at + EXT_BYTES;
	else
		h->unused_extension = 0;
	return 0;
}

/* ---- changes of an extension ---------------------------------------------------- */

/* Writes the fields of the extension.  A crash leaves the old ones or the new ones if they
 * are in one sector.  Else the bitmaps are not valid meanwhile. */
static qc_err update_extension(struct qc_writer *w, const uint8_t *data)
{
	uint64_t at = w->layer->head.bitmaps_extension + EXT_HEAD_BYTES;
	bool atomic = at / SECTOR == (at + EXT_BITMAPS_BYTES - 1) / SECTOR;
	qc_err r = atomic ? 0 : qc_bitmap_header_declare(w, false);

	return r ? r : qc_writer_update_header(w, at, data, EXT_BITMAPS_BYTES);
}

qc_err qc_bitmap_header_switch(struct qc_writer *w, uint32_t n, uint64_t bytes, uint64_t offset)
{
	struct qc_header *h = &w->layer->head;
	uint8_t data[EXT_BITMAPS_BYTES] = { 0 };
	qc_err r;

	be32_to(data + BITMAPS_N, n);
	be64_to(data + BITMAPS_BYTES, bytes);
	be64_to(data + BITMAPS_OFFSET, offset);
	if (!h->bitmaps_extension)
		r = add_extension(w, data);
	else if (h->bitmaps == n && h->bitmaps_bytes == bytes) /* 8 bytes are in one sector */
		r = qc_writer_update_header(w, h->bitmaps_extension + EXT_HEAD_BYTES +
					    BITMAPS_OFFSET, data + BITMAPS_OFFSET, 8);
	else
		r = update_extension(w, data);
	if (r)
		return r;
	h->bitmaps = n;
	h->bitmaps_reserved = 0;
	h->bitmaps_bytes = bytes;
	h->bitmaps_offset = offset;
	return qc_bitmap_header_declare(w, true);
}

/* Takes the extension out with one write inside a sector, so that a power cut leaves it or
 * takes it.  As the last extension it becomes the end.  Before others it becomes a table of
 * feature names that is too short for a name, which all readers skip. */
static qc_err remove_extension(struct qc_writer *w)
{
	struct qc_header *h = &w->layer->head;
	bool last = h->extensions_end == h->bitmaps_extension + EXT_BYTES;
	uint8_t magic[EXT_HEAD_BYTES];
	qc_err r;

	be32_to(magic, last ? EXT_END : EXT_FEATURE_NAMES);
	be32_to(magic + 4, last ? 0 : EXT_BITMAPS_BYTES);
	r = qc_writer_update_header(w, h->bitmaps_extension, magic, sizeof(magic));
	if (r)
		return r;
	if (last)
		h->extensions_end = h->bitmaps_extension;
	else
		h->unused_extension = h->bitmaps_extension;
	h->bitmaps_extension = 0;
	return 0;
}

qc_err qc_bitmap_header_remove(struct qc_writer *w)
{
	struct qc_header *h = &w->layer->head;
	qc_err r = qc_bitmap_header_declare(w, false);

	if (!r && h->bitmaps_extension)
		r = remove_extension(w);
	if (r)
		return r;
	h->bitmaps = 0;
	h->bitmaps_bytes = 0;
	h->bitmaps_offset = 0;
	return 0;
}
