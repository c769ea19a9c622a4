/* SPDX-License-Identifier: MIT */
#include "bitmap/bitmap_set.h"

#include <errno.h>
#include <string.h>

#include "base/range.h"
#include "layer/context_fields.h"
#include "qcow_array.h"

enum { TABLE_CHUNK_BYTES = 64 * 1024 };

static const char TABLE_DAMAGED[] = "its table is damaged";
static const char TOO_LARGE[] = "it is too large for the memory that cache-size allows";

/* ---- one bitmap ------------------------------------------------------------- */

void qc_tracked_bitmap_free(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b)
{
	if (!b)
		return;
	s->memory_fixed -= b->memory_fixed;
	qc_dirty_bits_free(&b->dirty);
	qc_free_list_clear(&b->replaced);
	free(b->table);
	free(b->fresh);
	free(b->text);
	free(b);
}

/* Copies extra data and name into memory of the bitmap, with a NUL behind. */
static qc_err set_bitmap_text(struct qc_tracked_bitmap *b, const char *extra, size_t extra_len,
			      const char *name, size_t len)
{
	char *text = malloc(extra_len + len + 1);

	if (!text)
		return -ENOMEM;
	if (extra_len)
		memcpy(text, extra, extra_len);
	memcpy(text + extra_len, name, len);
	text[extra_len + len] = 0;
	free(b->text);
	b->text = text;
	b->entry.name = text + extra_len;
	b->entry.name_len = len;
	return 0;
}

qc_err qc_tracked_bitmap_rename(struct qc_tracked_bitmap *b, const char *name, size_t len)
{
	return set_bitmap_text(b, b->text, b->entry.extra_len, name, len);
}

static struct qc_tracked_bitmap *new_bitmap(const struct qc_bitmap_set *s, const struct qc_bitmap *e)
{
	struct qc_tracked_bitmap *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->entry = *e;
	b->granularity_bits = (unsigned int)__builtin_ctzll(e->granularity);
	b->bits = div_up(s->layer->size, e->granularity);
	if (set_bitmap_text(b, e->name - e->extra_len, e->extra_len, e->name, e->name_len)) {
		free(b);
		return NULL;
	}
	return b;
}

/* Returns the bytes of the table and the slots of a bitmap with @bits bits. */
static uint64_t fixed_bytes(const struct qc_bitmap_set *s, uint64_t bits)
{
	uint32_t page = qc_bitmap_page_bytes(&s->layer->head.geom);
	uint64_t slots = s->w ? div_up(bits, UINT64_C(8) * page) : 0;

	return qc_bitmap_set_entries(s, bits) * (sizeof(uint64_t) + sizeof(bool)) +
	       slots * sizeof(struct qc_dirty_slot);
}

bool qc_bitmap_set_reserve(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b, uint64_t bits)
{
	uint64_t need = fixed_bytes(s, bits), others = s->memory_fixed - b->memory_fixed;

	if (need > s->memory_max - others)
		return false;
	s->memory_fixed = others + need;
	b->memory_fixed = need;
	return true;
}

/* Allocates the table and the slots of dirty bits.  *problem is set if that is more memory
 * than allowed. */
static qc_err alloc_bitmap_memory(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b,
				  const char **problem)
{
	uint32_t page = qc_bitmap_page_bytes(&s->layer->head.geom);
	uint64_t entries = qc_bitmap_set_entries(s, b->bits);

	if (!qc_bitmap_set_reserve(s, b, b->bits)) {
		*problem = TOO_LARGE;
		return 0;
	}
	b->table = calloc(entries + 1, sizeof(*b->table));
	b->fresh = calloc(entries + 1, sizeof(*b->fresh));
	if (!b->table || !b->fresh)
		return -ENOMEM;
	b->entries = entries;
	b->usable = true;
	return s->w ? qc_dirty_bits_init(&b->dirty, b->bits, page, &s->memory) : 0;
}

/* ---- tables ------------------------------------------------------------------- */

/* Checks the entries of a part of a table, and keeps those that the disk needs. */
static const char *load_entries(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b, uint64_t first,
				const uint8_t *be, uint64_t n, uint64_t file_end)
{
	const struct geom *g = &s->layer->head.geom;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t entry = be64_at(be + 8 * i), off = entry & L1_OFFSET_MASK;

		if (!qc_bitmaps_is_table_entry_valid(g, entry) ||
		    (off && !range_inside(off, geom_cluster(g), file_end)))
			return TABLE_DAMAGED;
		if (b->table && first + i < b->entries)
			b->table[first + i] = entry;
		else if (b->table && off && s->w && /* behind the disk: not in the next table */
			 qc_free_list_add(&b->replaced, g->cluster_bits, off, geom_cluster(g)))
			return "out of memory";
	}
	return NULL;
}

static qc_err load_table(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b, uint64_t file_end,
			 const char **problem)
{
	uint64_t len = b->entry.table_entries * UINT64_C(8);
	AUTO_FREE uint8_t *chunk = malloc(TABLE_CHUNK_BYTES);
	qc_err r = chunk ? 0 : -ENOMEM;

	if (!range_inside(b->entry.table_offset, len, file_end))
		*problem = TABLE_DAMAGED;
	for (uint64_t at = 0; !r && !*problem && at < len; at += TABLE_CHUNK_BYTES) {
		size_t n = (size_t)min_u64(len - at, TABLE_CHUNK_BYTES), got;

		r = qc_file_read(s->file, b->entry.table_offset + at, chunk, n, &got);
		if (!r)
			*problem = load_entries(s, b, at / 8, chunk, n / 8, file_end);
	}
	return r;
}

/* Checks the numbers of a directory entry as QEMU does.  Returns NULL, or the problem. */
static const char *check_bitmap(const struct qc_bitmap_set *s, const struct qc_tracked_bitmap *b)
{
	uint64_t bytes = b->entry.table_entries * geom_cluster(&s->layer->head.geom);

	if (b->entry.granularity < QC_GRANULARITY_MIN || b->entry.granularity > QC_GRANULARITY_MAX)
		return "its granularity is impossible";
	if (bytes > QC_BITMAP_BYTES_MAX ||
	    (!b->entry.in_use && qc_bitmap_set_entries(s, b->bits) > b->entry.table_entries))
		return "its table does not fit the disk";
	if (qc_bitmap_set_find(s, b->entry.name, b->entry.name_len) < s->n)
		return "another one has the same name";
	return NULL;
}

/* Returns true if the bits of a bitmap in the file are those of the disk, and may be used. */
static bool is_consistent(const struct qc_tracked_bitmap *b)
{
	return !b->entry.in_use && (!b->entry.extra_len || b->entry.extra_compatible);
}

static qc_err load_bitmap(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b, uint64_t file_end,
			  const char **problem)
{
	qc_err r = 0;

	*problem = check_bitmap(s, b);
	if (!*problem && is_consistent(b))
		r = alloc_bitmap_memory(s, b, problem);
	if (!r && !*problem)
		r = load_table(s, b, file_end, problem);
	if (*problem)
		b->usable = false;
	return r;
}

/* ---- the set -------------------------------------------------------------------- */

static qc_err append_bitmap(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b)
{
	qc_err r = array_reserve(&s->bitmap, &s->capacity, s->n + 1, sizeof(struct qc_tracked_bitmap *));

	if (!r)
		s->bitmap[s->n++] = b;
	return r;
}

static qc_err load_and_append(struct qc_bitmap_set *s, const struct qc_bitmap *e, uint64_t file_end,
			      qc_bitmap_bad_fn *bad, void *arg)
{
	struct qc_tracked_bitmap *b = new_bitmap(s, e);
	const char *problem = NULL;
	qc_err r = b ? load_bitmap(s, b, file_end, &problem) : -ENOMEM;

	if (!r && problem && bad)
		r = bad(arg, e, problem);
	else if (!r)
		r = append_bitmap(s, b);
	if (r || (problem && bad))
		qc_tracked_bitmap_free(s, b);
	return r;
}

static qc_err load_bitmaps(struct qc_bitmap_set *s, qc_bitmap_bad_fn *bad, void *arg)
{
	uint64_t file_end = 0, tables = 0;
	struct qc_file_stat now;
	struct qc_bitmaps list;
	qc_err r = qc_bitmaps_read(s->file, &s->layer->head, &list);

	if (!r)
		r = qc_file_stat(s->file, &now);
	if (!r)
		file_end = round_up(now.size, geom_cluster(&s->layer->head.geom));
	for (size_t i = 0; !r && i < list.n; i++)
		tables += list.at[i].table_entries * UINT64_C(8);
	if (!r && tables > file_end) /* would take forever to read */
		r = -EINVAL;
	for (size_t i = 0; !r && i < list.n; i++)
		r = load_and_append(s, &list.at[i], file_end, bad, arg);
	qc_bitmaps_free(&list);
	return r;
}

qc_err qc_bitmap_set_new(struct qc_layer *l, struct qc_writer *w, qc_bitmap_bad_fn *bad, void *arg,
			 struct qc_bitmap_set **out)
{
	struct qc_bitmap_set *s = calloc(1, sizeof(*s));
	qc_err r;

	*out = NULL;
	if (!s)
		return -ENOMEM;
	s->layer = l;
	s->file = w ? w->file : l->file;
	s->w = w;
	s->memory_max = l->ctx->cache_bytes;
	qc_mutex_init(&s->lock, QC_RANK_BITMAPS);
	r = l->head.autoclear & AUTOCLEAR_BITMAPS ? load_bitmaps(s, bad, arg) : 0;
	if (r)
		qc_bitmap_set_free(s);
	else
		*out = s;
	return r;
}

void qc_bitmap_set_free(struct qc_bitmap_set *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++)
		qc_tracked_bitmap_free(s, s->bitmap[i]);
	free(s->bitmap);
	qc_mutex_destroy(&s->lock);
	free(s);
}

size_t qc_bitmap_set_find(const struct qc_bitmap_set *s, const char *name, size_t len)
{
	size_t i = 0;

	while (i < s->n && (s->bitmap[i]->entry.name_len != len ||
			    memcmp(s->bitmap[i]->entry.name, name, len)))
		i++;
	return i;
}

uint64_t qc_bitmap_set_directory_bytes(const struct qc_bitmap_set *s)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < s->n; i++)
		bytes += qc_bitmaps_entry_bytes(&s->bitmap[i]->entry);
	return bytes;
}

qc_err qc_bitmap_set_add(struct qc_bitmap_set *s, const char *name, size_t len,
			 unsigned int granularity_bits, bool enabled)
{
	struct qc_bitmap e = { .name = name, .name_len = len, .is_auto = enabled,
			       .granularity = UINT64_C(1) << granularity_bits };
	struct qc_tracked_bitmap *b;
	const char *problem = NULL;
	qc_err r;

	if (s->n == QC_BITMAPS_MAX || qc_bitmap_set_directory_bytes(s) + qc_bitmaps_entry_bytes(&e) >
				      QC_BITMAP_DIRECTORY_MAX)
		return -ENOSPC;
	b = new_bitmap(s, &e);
	if (!b)
		return -ENOMEM;
	r = b->bits / 8 > QC_BITMAP_BYTES_MAX ? -EFBIG : alloc_bitmap_memory(s, b, &problem);
	b->changed = true;
	if (!r && problem)
		r = -EFBIG;
	if (!r)
		r = append_bitmap(s, b);
	if (r)
		qc_tracked_bitmap_free(s, b);
	return r;
}

struct qc_tracked_bitmap *qc_bitmap_set_take(struct qc_bitmap_set *s, size_t i)
{
	struct qc_tracked_bitmap *b = s->bitmap[i];

	memmove(&s->bitmap[i], &s->bitmap[i + 1], (--s->n - i) * sizeof(*s->bitmap));
	return b;
}

void qc_bitmap_set_put(struct qc_bitmap_set *s, size_t i, struct qc_tracked_bitmap *b)
{
	memmove(&s->bitmap[i + 1], &s->bitmap[i], (s->n++ - i) * sizeof(*s->bitmap));
	s->bitmap[i] = b;
}
