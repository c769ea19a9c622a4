/* SPDX-License-Identifier: MIT */
/*
 * table_test.h - recognises a table of an image file by its content alone.
 *
 * The test is strict: each entry must be one that a sound program writes.  Guest data passes it
 * almost never, but a table of another image that is stored in the guest does.
 */
#ifndef QC_TABLE_TEST_H
#define QC_TABLE_TEST_H

#include "format/l2_entry.h"

/* Returns true if the bytes may be an L2 table: all entries are valid and inside of the file, and
 * one of them references a cluster that no other references. */
bool qc_table_test_l2(const struct geom *g, uint64_t file_bytes, const uint8_t *bytes);

/* Returns "zeros", "l2-table" or "data" for the bytes of one cluster. */
const char *qc_table_test_name(const struct geom *g, uint64_t file_bytes, const uint8_t *bytes,
			       uint64_t len);

#endif
