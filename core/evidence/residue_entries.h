/* SPDX-License-Identifier: MIT */
/* residue_entries.h - entries of snapshot tables that the header does not locate any more. */
#ifndef QC_RESIDUE_ENTRIES_H
#define QC_RESIDUE_ENTRIES_H

#include "evidence/tables.h"
#include "format/snapshot_table.h"

struct qc_residue_entry {
	struct qc_snapshot s; /* id and name are in `text`, each with a NUL behind it */
	char *text;
	uint64_t host;	/* offset of the entry in the image file */
	size_t len;
	uint64_t table; /* host offset of the first entry: those of one table have the same */
	bool repeated;	/* an earlier entry of the list is of the same snapshot */
};

struct qc_residue_entries {
	struct qc_residue_entry *at;
	size_t n, room;
	bool left_out; /* there are more than 16,384 */
};

/*
 * qc_residue_entries_read() - append all entries in a range of the image file
 *
 * An entry may begin at any multiple of 8: a table may be overwritten by a shorter one.
 * Return: 0; -ENOMEM
 */
qc_err qc_residue_entries_read(struct qc_tables *t, uint64_t host, uint64_t len,
			       struct qc_residue_entries *out);
void qc_residue_entries_free(struct qc_residue_entries *e);

/* Returns true if both are the same snapshot, perhaps renamed. */
bool qc_residue_entries_match(const struct qc_snapshot *a, const struct qc_snapshot *b);

/* Returns true if two snapshots were there at the same time: they are in one table. */
bool qc_residue_entries_coexisted(const struct qc_residue_entries *e, const struct qc_snapshot *a,
			  const struct qc_snapshot *b);

#endif
