/* SPDX-License-Identifier: MIT */
/*
 * metadata_walk.h - every piece of metadata of an image file, one after the other.
 *
 * The only module that knows which kinds of metadata there are and how they reference each
 * other.  The check counts references with it, and the overlap check protects the pieces.
 * Snapshots change L2 tables with it.  Compaction, which also has a function for each kind, moves
 * the pieces.  Needs neither a writer nor a key.
 */
#ifndef QC_METADATA_WALK_H
#define QC_METADATA_WALK_H

#include "layer/cluster_map.h"
#include "metadata/metadata.h"

enum qc_metadata_kind {
	QC_METADATA_HEADER,
	QC_METADATA_L1_TABLE,
	QC_METADATA_L2_TABLE,
	QC_METADATA_REFCOUNT_TABLE,
	QC_METADATA_REFCOUNT_BLOCK,
	QC_METADATA_SNAPSHOT_TABLE,
	QC_METADATA_LUKS_HEADER,
	QC_METADATA_BITMAP_DIRECTORY,
	QC_METADATA_BITMAP_TABLE,
	QC_METADATA_BITMAP_DATA,
};

struct qc_metadata_item {
	enum qc_metadata_kind kind;
	bool invalid;	    /* its reference is impossible, or it cannot be decoded */
	bool excessive;	    /* with `invalid`: an L1 table with more L2 tables than there are;
			     * to read them all would take forever */
	bool unreadable;    /* with `invalid`: a bitmap directory that is in the file */
	bool in_snapshot;   /* an L1 table of a snapshot, or an L2 table in such a table */
	uint64_t off, len;  /* in the image file; of an invalid item: as far as known */
	uint64_t entry_off; /* host offset of the table that has the reference, else 0 */
	uint64_t index;	    /* of the reference in that table */
	uint64_t entry;	    /* the reference as it stands there */
	uint8_t *bytes;	    /* L2 tables, with QC_WALK_READ_L2; the callee may change them.  NULL
			     * if the table was not read */
};

/* Return: 0 goes on; anything else ends the walk, which returns it. */
typedef qc_err qc_metadata_fn(void *arg, struct qc_metadata_item *item);

enum qc_walk_flags {
	QC_WALK_READ_L2 = 1 << 0, /* from the file: nothing must be dirty in memory */
	QC_WALK_DAMAGED = 1 << 1, /* with it: L2 tables, too, whose L1 entry is invalid */
};

/*
 * qc_metadata_for_each() - call @fn for all metadata of an image
 * @flags:  enum qc_walk_flags
 *
 * The header, the active L1 and L2 tables, the LUKS header, refcount table and blocks, the
 * snapshot table with the tables of all snapshots, and bitmaps unless the header says that
 * they are not valid.  A piece that two tables reference comes twice.
 * Context: takes refcount_lock for a moment; the L1 table is read from the table cache.
 * Return: 0; -ENOMEM; -EIO or another errno of the file; a result of @fn
 */
qc_err qc_metadata_for_each(const struct qc_metadata *md, unsigned int flags, qc_metadata_fn *fn,
			    void *arg);

/*
 * qc_metadata_for_each_l2() - call @fn for the L2 tables of one L1 table
 * @l1:     its location, for item.entry_off
 * @bytes:  its content, in the byte order of the file
 * @flags:  enum qc_walk_flags
 *
 * Return: as qc_metadata_for_each()
 */
qc_err qc_metadata_for_each_l2(const struct qc_metadata *md, const struct qc_l1_table *l1,
			       const uint8_t *bytes, unsigned int flags, qc_metadata_fn *fn,
			       void *arg);

/* Calls @fn for the bitmap directory, the bitmap tables and the data of the bitmaps, as
 * qc_metadata_for_each() does, but also if the header says that they are not valid. */
qc_err qc_metadata_for_each_bitmap(const struct qc_metadata *md, qc_metadata_fn *fn, void *arg);

/* The same for the table and the data of one bitmap. */
struct qc_bitmap;
qc_err qc_metadata_for_bitmap(const struct qc_metadata *md, const struct qc_bitmap *b,
			      qc_metadata_fn *fn, void *arg);

/* Reads the active L1 table, from the table cache if there is one.  The caller frees *out.
 * Return: 0; -ENOMEM; an errno of the file. */
qc_err qc_metadata_read_l1(const struct qc_metadata *md, uint8_t **out);

/* Copies a table, or a part of one that begins at a slice, from the table cache, or from the
 * file if there is no cache.  Return: 0; an errno of the file. */
qc_err qc_metadata_copy_table(const struct qc_metadata *md, uint64_t off, uint8_t *buf,
			      uint64_t len);

/*
 * qc_metadata_fix_copied() - make COPIED in entries of an L2 table agree with the refcounts
 * @table:      content of the table
 * @first, @n:  entries to look at
 * @may_clear:  also clear COPIED where the refcount is not 1
 * @changed:    incremented for each entry that was changed
 *
 * Skips compressed and invalid entries.
 * Context: the caller holds refcount_lock; may read refcount blocks.
 * Return: 0; an errno of the file
 */
qc_err qc_metadata_fix_copied(const struct qc_metadata *md, uint8_t *table, uint64_t first,
			      uint64_t n, bool may_clear, uint64_t *changed);

#endif
