/* SPDX-License-Identifier: MIT */
/*
 * snapshot_table.h - the table of an image's internal snapshots: bytes <-> rows.
 */
#ifndef QC_SNAPSHOT_TABLE_H
#define QC_SNAPSHOT_TABLE_H

#include "io/file.h"

/* A row as it stands in the table.  Its names point into the bytes, and have no
 * NUL behind them. */
struct qc_snapshot_entry {
	struct qc_snapshot s;
	size_t at, len; /* in the bytes; without the padding */
};

struct qc_snapshot_table {
	uint8_t *raw;
	size_t bytes; /* of the rows, without the padding of the last */
	uint32_t n;
	struct qc_snapshot_entry *entry;
};

/* Parses n rows out of the first `bytes` bytes of a table.  `size` is what a
 * snapshot has that does not note it.  Fills rows only up to where it fails:
 * -EAGAIN if the bytes end too early, -EINVAL if a row is impossible. */
qc_err qc_snapshot_table_parse(const uint8_t *raw, size_t bytes, uint32_t n, uint64_t size,
			  struct qc_snapshot_entry *row);

/* Reads the table of n snapshots at `offset`.  -EINVAL if it is impossible, -EIO also
 * if the file ends inside. */
qc_err qc_snapshot_table_read(struct qc_file *f, uint64_t offset, uint32_t n, uint64_t size,
			 struct qc_snapshot_table *out);
void qc_snapshot_table_free(struct qc_snapshot_table *t);

/* Whether its L1 table can be where it says, in a file of so many bytes. */
bool qc_snapshot_entry_is_valid(const struct qc_snapshot *s, uint64_t cluster, uint64_t file_bytes);

/* The row of this very snapshot; n if there is none. */
uint32_t qc_snapshot_table_find(const struct qc_snapshot_table *t, const struct qc_snapshot *s);

/* Another table, for the file: the rows of t without row `skip` (n: none), and
 * behind them a new one (NULL: none).  A name, if not NULL, replaces that of
 * row `renamed`.  Padded to 8 bytes; -EFBIG if it would be too large. */
struct qc_snapshot_table_edit {
	uint32_t skip, renamed;
	const char *name;
	size_t name_len;
	const struct qc_snapshot *add;
};
qc_err qc_snapshot_table_write(const struct qc_snapshot_table *t, const struct qc_snapshot_table_edit *edit,
			  uint8_t **out, size_t *bytes);

/* The next id: one more than the highest that is a number. */
uint64_t qc_snapshot_table_next_id(const struct qc_snapshot_table *t);

#endif
