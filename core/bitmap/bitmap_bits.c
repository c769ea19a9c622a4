/* SPDX-License-Identifier: MIT */
#include "bitmap/bitmap_bits.h"

#include <errno.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/range.h"

static uint64_t bits_cluster(const struct qc_bitmap_set *s)
{
	return geom_cluster(&s->layer->head.geom);
}

/* Returns the bytes of a page: the unit of dirty bits, and of reads. */
static uint32_t bits_page(const struct qc_bitmap_set *s)
{
	return qc_bitmap_page_bytes(&s->layer->head.geom);
}

/* ---- reading ---------------------------------------------------------------- */

/* Clears the bits of @buf, which begins at byte @at of the bitmap, from bit @end on. */
static void clear_bits_behind(uint8_t *buf, uint64_t at, uint64_t len, uint64_t end)
{
	uint64_t keep = range_clamp(at, len, end / 8);

	if (keep == len)
		return;
	if (at + keep == end / 8)
		buf[keep] &= (uint8_t)((1u << end % 8) - 1);
	else
		buf[keep] = 0;
	memset(buf + keep + 1, 0, len - keep - 1);
}

/* Reads bits as they are in the clusters of the table.  @at, @len: bytes of the bitmap inside
 * of one cluster. */
static qc_err read_table_bits(struct qc_bitmap_set *s, const struct qc_tracked_bitmap *b, uint64_t at,
			      uint8_t *buf, uint64_t len)
{
	uint64_t i = at / bits_cluster(s), entry = i < b->entries ? b->table[i] : 0;
	size_t got;
	qc_err r = 0;

	if (entry & L1_OFFSET_MASK)
		r = qc_file_read(s->file, (entry & L1_OFFSET_MASK) + at % bits_cluster(s), buf, len,
				 &got);
	else
		memset(buf, entry == QC_BITMAP_ONES ? 0xff : 0, len);
	clear_bits_behind(buf, at, len, b->bits);
	return r;
}

/* Reads a page with its dirty bits. */
static qc_err read_bits_page(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b, uint64_t page,
			     uint8_t *buf)
{
	uint32_t len = bits_page(s);
	qc_err r = read_table_bits(s, b, page * len, buf, len);

	qc_dirty_bits_copy(&b->dirty, page, buf);
	clear_bits_behind(buf, page * len, len, b->bits);
	return r;
}

/* Returns the number of bits from @bit on that are equal in a page of @n bits. */
static uint64_t count_equal_bits(const uint8_t *buf, uint64_t bit, uint64_t n)
{
	bool set = buf[bit / 8] >> bit % 8 & 1;
	uint64_t at = bit;

	while (at < n) {
		if (at % 8 == 0 && buf[at / 8] == (set ? 0xff : 0))
			at += 8;
		else if ((buf[at / 8] >> at % 8 & 1) == set)
			at++;
		else
			break;
	}
	return min_u64(at, n) - bit;
}

/* Returns how many bits from @bit on are known to be equal without reading: those of a cluster
 * that is all 0 or all 1.  *set: their value. */
static uint64_t skip_uniform_cluster(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b,
				     uint64_t bit, bool *set)
{
	uint64_t bits = bits_cluster(s) * 8, i = bit / bits, pages = bits_cluster(s) / bits_page(s);

	if (i >= b->entries || b->table[i] & L1_OFFSET_MASK)
		return 0;
	*set = b->table[i] == QC_BITMAP_ONES;
	for (uint64_t k = i * pages; !*set && k < (i + 1) * pages; k++)
		if (qc_dirty_bits_has(&b->dirty, k))
			return 0;
	return min_u64((i + 1) * bits, b->bits) - bit;
}

/* Finds a run of equal bits at @bit that is not necessarily the longest. */
static qc_err find_run(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b, uint64_t bit,
		       uint64_t *n, bool *set)
{
	uint64_t bits = UINT64_C(8) * bits_page(s), first = bit / bits * bits;
	uint8_t buf[QC_DIRTY_PAGE_MAX];
	qc_err r;

	*n = skip_uniform_cluster(s, b, bit, set);
	if (*n)
		return 0;
	r = read_bits_page(s, b, bit / bits, buf);
	*set = buf[(bit - first) / 8] >> bit % 8 & 1;
	*n = count_equal_bits(buf, bit - first, min_u64(bits, b->bits - first));
	return r;
}

qc_err qc_bitmap_bits_extent(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b, uint64_t off,
			     struct qc_extent *out)
{
	uint64_t bit = off >> b->granularity_bits, size = s->layer->size, n, end;
	bool set = false, next;
	qc_err r;

	qc_lock(&s->lock);
	r = find_run(s, b, bit, &n, &set);
	bit += n;
	while (!r && bit < b->bits) {
		r = find_run(s, b, bit, &n, &next);
		if (r || next != set)
			break;
		bit += n;
	}
	qc_unlock(&s->lock);
	end = bit < b->bits ? bit << b->granularity_bits : size;
	*out = (struct qc_extent){ end > off ? end - off : 1, set };
	return r;
}

qc_err qc_bitmap_bits_count(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b, uint64_t *bytes)
{
	uint64_t size = s->layer->size;
	struct qc_extent x;
	qc_err r = 0;

	*bytes = 0;
	for (uint64_t at = 0; !r && at < size; at += x.len) {
		r = qc_bitmap_bits_extent(s, b, at, &x);
		*bytes += x.data ? x.len : 0;
	}
	return r;
}

/* ---- storing ------------------------------------------------------------------ */

/* Takes the cluster of an entry out of the table.  A fresh one becomes free. */
static qc_err release_entry(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b, uint64_t i)
{
	struct hoff host = { b->table[i] & L1_OFFSET_MASK };
	qc_err r = 0;

	if (host.v && b->fresh[i])
		qc_alloc_cancel(&s->w->alloc, host, 1);
	else if (host.v)
		r = qc_free_list_add(&b->replaced, s->w->alloc.cluster_bits, host.v, bits_cluster(s));
	if (!r) {
		b->table[i] = 0;
		b->fresh[i] = false;
	}
	return r;
}

/* Returns 0 or QC_BITMAP_ONES for a cluster with equal bits, as far as the disk reaches; else
 * any other number. */
static uint64_t classify_cluster(const struct qc_bitmap_set *s, const struct qc_tracked_bitmap *b,
				 uint64_t i, const uint8_t *buf)
{
	uint64_t first = i * bits_cluster(s) * 8, n = range_clamp(first, bits_cluster(s) * 8, b->bits);

	if (!n || count_equal_bits(buf, 0, n) == n)
		return n && *buf & 1 ? QC_BITMAP_ONES : 0;
	return UINT64_MAX;
}

/* Writes the bits of cluster @i, all in @buf, to a fresh cluster, or into the table. */
static qc_err store_cluster(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b, uint64_t i,
			    const uint8_t *buf)
{
	uint64_t uniform = classify_cluster(s, b, i, buf), got;
	struct hoff host = { b->table[i] & L1_OFFSET_MASK };
	bool never_written, fresh = b->fresh[i];
	qc_err r = 0;

	b->changed = true;
	if (uniform == UINT64_MAX) {
		if (!fresh)
			r = qc_alloc_clusters(&s->w->alloc, QC_ALLOC_TABLE, 1, &host, &got,
					      &never_written);
		if (r)
			return r;
		r = FAIL_POINT("bitmap.store") ? -EIO :
			qc_file_write(s->file, host.v, buf, bits_cluster(s));
		if (fresh)
			return r;
		if (!r)
			r = release_entry(s, b, i);
		if (r)
			qc_alloc_cancel(&s->w->alloc, host, 1);
		uniform = host.v;
		fresh = true;
	} else {
		r = release_entry(s, b, i);
		fresh = false;
	}
	if (!r) {
		b->table[i] = uniform;
		b->fresh[i] = fresh;
	}
	return r;
}

/* Stores the dirty bits of one cluster.  @buf: one cluster of memory. */
static qc_err store_dirty_cluster(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b, uint64_t i,
				  uint8_t *buf)
{
	uint64_t cs = bits_cluster(s), pages = cs / bits_page(s), first = i * pages, k = first;
	qc_err r;

	while (k < first + pages && !qc_dirty_bits_has(&b->dirty, k))
		k++;
	if (k == first + pages)
		return 0;
	r = read_table_bits(s, b, i * cs, buf, cs);
	if (r)
		return r;
	for (; k < first + pages; k++)
		qc_dirty_bits_take(&b->dirty, k, buf + (k - first) * bits_page(s));
	clear_bits_behind(buf, i * cs, cs, b->bits);
	r = store_cluster(s, b, i, buf);
	for (k = first; r && k < first + pages; k++)
		qc_dirty_bits_put(&b->dirty, k, buf + (k - first) * bits_page(s));
	return r;
}

qc_err qc_bitmap_bits_store(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b)
{
	AUTO_FREE uint8_t *buf = malloc(bits_cluster(s));
	qc_err r = buf ? 0 : -ENOMEM;

	for (uint64_t i = 0; !r && i < b->entries; i++)
		r = store_dirty_cluster(s, b, i, buf);
	return r;
}

static void coarsen_cluster(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b, uint64_t i)
{
	uint64_t pages = bits_cluster(s) / bits_page(s);

	for (uint64_t k = i * pages; k < (i + 1) * pages; k++)
		qc_dirty_bits_coarsen(&b->dirty, k);
}

void qc_bitmap_bits_make_room(struct qc_bitmap_set *s)
{
	AUTO_FREE uint8_t *buf = malloc(bits_cluster(s));

	qc_lock(&s->lock);
	for (size_t n = 0; n < s->n && qc_bitmap_bits_are_many(s); n++) {
		struct qc_tracked_bitmap *b = s->bitmap[n];

		for (uint64_t i = 0; b->usable && i < b->entries &&
				     s->memory > s->memory_max / 2; i++)
			if (!buf || store_dirty_cluster(s, b, i, buf))
				coarsen_cluster(s, b, i);
	}
	qc_unlock(&s->lock);
}

/* ---- other changes -------------------------------------------------------------- */

qc_err qc_bitmap_bits_clear(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b)
{
	struct qc_dirty_bits none;
	qc_err r = qc_dirty_bits_init(&none, b->bits, bits_page(s), &s->memory);

	for (uint64_t i = 0; !r && i < b->entries; i++)
		r = release_entry(s, b, i);
	if (r) {
		qc_dirty_bits_free(&none);
		return r;
	}
	qc_dirty_bits_free(&b->dirty);
	b->dirty = none;
	b->changed = true;
	return 0;
}

/* Gives the table another number of entries.  Those behind are empty. */
static qc_err resize_table(struct qc_tracked_bitmap *b, uint64_t entries)
{
	uint64_t *table = calloc(entries + 1, sizeof(*table));
	bool *fresh = calloc(entries + 1, sizeof(*fresh));
	uint64_t n = min_u64(entries, b->entries);

	if (!table || !fresh) {
		free(table);
		free(fresh);
		return -ENOMEM;
	}
	memcpy(table, b->table, n * sizeof(*table));
	memcpy(fresh, b->fresh, n * sizeof(*fresh));
	free(b->table);
	free(b->fresh);
	b->table = table;
	b->fresh = fresh;
	b->entries = entries;
	return 0;
}

/* Stores the cluster with the old or the new end, whichever is first, for @bits bits: so that
 * its bits behind that end are 0. */
static qc_err store_last_cluster(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b, uint64_t bits)
{
	uint64_t cs = bits_cluster(s), end = min_u64(bits, b->bits), i = end / (cs * 8);
	AUTO_FREE uint8_t *buf = malloc(cs);
	qc_err r = buf ? 0 : -ENOMEM;

	if (r || end % (cs * 8) == 0 || !b->table[i])
		return r;
	r = read_table_bits(s, b, i * cs, buf, cs);
	clear_bits_behind(buf, i * cs, cs, end);
	b->bits = bits;
	return r ? r : store_cluster(s, b, i, buf);
}

qc_err qc_bitmap_bits_resize(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b)
{
	uint64_t bits = div_up(s->layer->size, b->entry.granularity);
	uint64_t entries = qc_bitmap_set_entries(s, bits);
	qc_err r = bits / 8 > QC_BITMAP_BYTES_MAX || !qc_bitmap_set_reserve(s, b, bits) ? -EFBIG : 0;

	if (!r)
		r = store_last_cluster(s, b, bits);
	b->bits = bits;
	for (uint64_t i = entries; !r && i < b->entries; i++)
		r = release_entry(s, b, i);
	if (!r)
		r = resize_table(b, entries);
	if (!r)
		r = qc_dirty_bits_resize(&b->dirty, bits);
	b->changed = true;
	return r;
}
