/* SPDX-License-Identifier: MIT */
/*
 * table_test.h - recognises a table of an image file by its content alone.
 *
 * The tests are strict: each entry must be one that a sound program writes.  Guest data passes
 * them almost never, but a table of another image that is stored in the guest does.
 */
#ifndef QC_TABLE_TEST_H
#define QC_TABLE_TEST_H

#include "format/l2_entry.h"
#include "io/file.h"

/* Returns true if all entries in the first @len bytes of a cluster are possible ones of an L2
 * table, with data inside of the file.  Bytes that are all 0 pass. */
bool qc_table_test_entries(const struct geom *g, uint64_t file_bytes, const uint8_t *bytes,
			   uint64_t len);

/* Returns true if the bytes may be an L2 table: all entries are valid and inside of the file, and
 * one of them references a cluster that no other references. */
bool qc_table_test_l2(const struct geom *g, uint64_t file_bytes, const uint8_t *bytes);

/* Returns true if the bytes may be an L2 table, perhaps one whose clusters all read as zeros. */
bool qc_table_test_any_l2(const struct geom *g, uint64_t file_bytes, const uint8_t *bytes);

/*
 * qc_table_test_l1() - tell whether a cluster may be a part of an L1 table
 * @bytes:  the cluster
 * @table:  room for one L2 table
 *
 * All words must be 0, or reference possible L2 tables; the first 16 tables are read.
 */
bool qc_table_test_l1(struct qc_file *f, const struct geom *g, uint64_t file_bytes,
		      const uint8_t *bytes, uint8_t *table);

/* Returns "zeros", "l2-table" or "data" for the bytes of one cluster. */
const char *qc_table_test_name(const struct geom *g, uint64_t file_bytes, const uint8_t *bytes,
			       uint64_t len);

#endif
