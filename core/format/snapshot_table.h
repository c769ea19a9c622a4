/* SPDX-License-Identifier: MIT */
/*
 * snapshot_table.h - bytes of the snapshot table <-> its entries (qcow2 spec, "Snapshots").
 *
 * Called by core/snapshot/, and by all that walk the metadata of an image.  The table is
 * hostile.  Parsing checks only that it can be decoded: qc_snapshot_entry_is_valid()
 * checks the L1 table of an entry.
 */
#ifndef QC_SNAPSHOT_TABLE_H
#define QC_SNAPSHOT_TABLE_H

#include "io/file.h"

/* One entry.  Its id and name point into the bytes of the table, and have no NUL. */
struct qc_snapshot_entry {
	struct qc_snapshot s;
	size_t at, len; /* bytes of the table, without the padding */
};

struct qc_snapshot_table {
	uint8_t *bytes;
	size_t len; /* of all entries, without the padding of the last */
	uint32_t n;
	struct qc_snapshot_entry *entry;
};

/*
 * qc_snapshot_table_parse() - decode a snapshot table
 * @bytes, @len:  the beginning of the table
 * @n:            entries to decode
 * @size:         disk size of snapshots that do not record one
 * @entry:        room for @n entries
 *
 * Return: 0;
 *	QC_NEED_MORE_BYTES  the bytes end inside an entry
 *	-EINVAL             an entry is impossible
 */
qc_err qc_snapshot_table_parse(const uint8_t *bytes, size_t len, uint32_t n, uint64_t size,
			       struct qc_snapshot_entry *entry);

/*
 * qc_snapshot_table_read() - read and decode the table of @n snapshots at host @offset
 * @out:  for qc_snapshot_table_free(); empty on failure
 *
 * Return: 0; -EINVAL an entry is impossible; -EIO the file ends inside the table, or as
 *	pread(2); -ENOMEM
 */
qc_err qc_snapshot_table_read(struct qc_file *f, uint64_t offset, uint32_t n, uint64_t size,
			      struct qc_snapshot_table *out);
void qc_snapshot_table_free(struct qc_snapshot_table *t);

/* Returns true if the L1 table of the snapshot is cluster aligned, behind the header, and
 * inside a file of @file_bytes bytes. */
bool qc_snapshot_entry_is_valid(const struct qc_snapshot *s, uint64_t cluster, uint64_t file_bytes);

/* Returns the index of this snapshot, compared by id, name, date and L1 offset; t->n if
 * the table does not have it. */
uint32_t qc_snapshot_table_find(const struct qc_snapshot_table *t, const struct qc_snapshot *s);

/* A change of a table. */
struct qc_snapshot_table_edit {
	uint32_t skip;	      /* index of an entry to leave out, or t->n */
	uint32_t renamed;     /* index of the entry that gets `name` */
	const char *name;     /* NULL: no entry is renamed */
	size_t name_len;
	const struct qc_snapshot *add; /* appended; may be NULL */
};

/*
 * qc_snapshot_table_write() - encode a changed copy of a table
 * @out, @len:  out: the bytes, to be freed; padded to 8 bytes
 *
 * Return: 0; -EFBIG more than 64 MiB; -ENOMEM
 */
qc_err qc_snapshot_table_write(const struct qc_snapshot_table *t,
			       const struct qc_snapshot_table_edit *edit, uint8_t **out,
			       size_t *len);

/* Returns the id for a new snapshot: one more than the highest id that is a number. */
uint64_t qc_snapshot_table_next_id(const struct qc_snapshot_table *t);

#endif
