/* SPDX-License-Identifier: MIT */
/*
 * bitmap_set.h - the persistent dirty bitmaps of one image file, in memory.
 *
 * A writer has a set from its first change on, in writer.bitmaps (bitmap_client.c).  A view of
 * a bitmap of an image without a writer makes a set to read only.
 *
 * The bits of a bitmap are those of its table, joined with the dirty bits that requests have
 * set since.  The table in memory may be ahead of that in the file: clusters of bits that were
 * written since are `fresh`, and no table in the file references them.
 *
 * The array of bitmaps, and all fields but those of dirty bits, are changed in a drained
 * section, or before the set is in writer.bitmaps.  The exception is the table: requests store
 * dirty bits when these take too much memory, and readers read it, both under `lock`.
 */
#ifndef QC_BITMAP_SET_H
#define QC_BITMAP_SET_H

#include "bitmap/dirty_bits.h"
#include "format/bitmap_directory.h"
#include "update/writer.h"

#define QC_BITMAP_BYTES_MAX (512 * MIB) /* QEMU's limit for the bits of one bitmap */

struct qc_tracked_bitmap {
	struct qc_bitmap entry; /* as in the directory of the file, but for `in_use`, which is
				 * that when the set was loaded */
	char *text;		/* memory of its extra data and its name */
	unsigned int granularity_bits;
	bool usable;		/* its bits are known; else it stays in the file as it is */
	bool marked;		/* the set has marked it as in use in the file */
	uint64_t bits;		/* that the disk needs */
	uint64_t *table, entries; /* in the byte order of the machine; NULL if not usable */
	bool *fresh;		/* of each entry */
	bool changed;		/* the table is not that in the file */
	struct qc_free_list replaced; /* clusters that only the table in the file references */
	struct qc_dirty_bits dirty;
	uint64_t memory_fixed;	/* its part of that of the set */
};

struct qc_bitmap_set {
	struct qc_layer *layer;
	struct qc_file *file;
	struct qc_writer *w; /* NULL: to read only */
	struct qc_tracked_bitmap **bitmap;
	size_t n, capacity;
	struct qc_mutex lock;
	_Atomic uint64_t memory; /* bytes of dirty bits */
	uint64_t memory_max; /* bytes, for `memory` and for `memory_fixed` */
	uint64_t memory_fixed; /* bytes of tables and slots */
};

/*
 * qc_bitmap_set_new() - read the bitmap directory and the tables
 * @w:    NULL: to read only.  A bitmap that is damaged is then not usable.
 * @bad:  called for a bitmap that is damaged, or too large for the memory allowed; NULL to read
 *        only.  @problem: a sentence without its subject.  The bitmap is not in the set.
 *
 * Return: 0; -EINVAL, -EFBIG the directory is damaged; -ENOMEM; an errno of the file.
 */
typedef qc_err qc_bitmap_bad_fn(void *arg, const struct qc_bitmap *b, const char *problem);
qc_err qc_bitmap_set_new(struct qc_layer *l, struct qc_writer *w, qc_bitmap_bad_fn *bad, void *arg,
			 struct qc_bitmap_set **out);
void qc_bitmap_set_free(struct qc_bitmap_set *s); /* NULL is allowed */

/* Finds a bitmap by its name.  Returns its index, or s->n. */
size_t qc_bitmap_set_find(const struct qc_bitmap_set *s, const char *name, size_t len);

/*
 * qc_bitmap_set_add() - add a bitmap without a bit set
 *
 * Return: 0; -ENOSPC, there are too many, or too long names; -EFBIG its bits are too many for
 *	the format or the memory allowed; -ENOMEM.
 */
qc_err qc_bitmap_set_add(struct qc_bitmap_set *s, const char *name, size_t len,
			 unsigned int granularity_bits, bool enabled);

/* Takes the bitmap at @i out of the array, and returns it. */
struct qc_tracked_bitmap *qc_bitmap_set_take(struct qc_bitmap_set *s, size_t i);

/* Puts it back. */
void qc_bitmap_set_put(struct qc_bitmap_set *s, size_t i, struct qc_tracked_bitmap *b);

/* Frees the memory of a bitmap that is not in the array. */
void qc_tracked_bitmap_free(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b);

/* Counts the memory of the table and the slots of a bitmap with @bits bits.  Returns false if
 * that is more than allowed, and then counts what it had. */
bool qc_bitmap_set_reserve(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b, uint64_t bits);

/* Gives it another name.  Return: 0; -ENOMEM. */
qc_err qc_tracked_bitmap_rename(struct qc_tracked_bitmap *b, const char *name, size_t len);

/* Returns the bytes of the directory of all bitmaps. */
uint64_t qc_bitmap_set_directory_bytes(const struct qc_bitmap_set *s);

/* Returns the bytes of a page of dirty bits: at most a cluster. */
static inline uint32_t qc_bitmap_page_bytes(const struct geom *g)
{
	return (uint32_t)min_u64(QC_DIRTY_PAGE_MAX, geom_cluster(g));
}

/* Returns the entries that a table needs for @bits bits, at least one. */
static inline uint64_t qc_bitmap_set_entries(const struct qc_bitmap_set *s, uint64_t bits)
{
	uint64_t bytes = bits / 8 + (bits % 8 != 0), cs = geom_cluster(&s->layer->head.geom);

	return bytes ? bytes / cs + (bytes % cs != 0) : 1;
}

#endif
