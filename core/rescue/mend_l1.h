/* SPDX-License-Identifier: MIT */
/*
 * mend_l1.h - gives a damaged L1 table back the entries that the rest of the file tells.
 *
 * Called once for a layer, if refcounts count clusters that nothing references.  An entry gets a
 * table only if exactly one belongs there.  Nothing is chosen by position, date or name.
 */
#ifndef QC_MEND_L1_H
#define QC_MEND_L1_H

#include "io/patched_file.h"
#include "rescue/verdicts.h"

struct qc_mended_l1 {
	struct qc_file_patch patch; /* the whole L1 table; no bytes: nothing was mended */
	uint8_t *is_mended;	    /* for each entry that the disk needs: 1 if it was mended */
	uint32_t n;		    /* entries of is_mended */
	uint32_t mended;	    /* how many got a table */
	uint32_t undecided;	    /* for how many there are several tables */
	bool is_emptied;	    /* the file has not one entry of the L1 table */
	bool proved;		    /* of the owner: the refcounts prove the mended table */
	/* Host offsets of L2 tables that nothing in the file references: first, and ascending, those
	 * that no entry got. */
	uint64_t *table;
	size_t pieces, tables;
};

/*
 * qc_mend_l1_find() - look for the tables that a damaged L1 table referenced
 * @v:    verdicts with the table as it is
 * @out:  to be freed; empty if no entry is lost, or no cluster is missing
 *
 * Reads clusters without a reference, as qc_lost_tables_find().
 * Return: 0; -ENOMEM; -EFBIG too many tables; an errno of the file
 */
qc_err qc_mend_l1_find(struct qc_salvage *file, const struct qc_header *h,
		       const struct qc_verdicts *v, struct qc_budget *budget,
		       struct qc_mended_l1 *out);
void qc_mend_l1_free(struct qc_mended_l1 *m);

/* Makes @words, one for each entry, the L1 table.  Those that differ from the file count as mended.
 * Return: 0; -ENOMEM */
qc_err qc_mend_l1_plan(struct qc_salvage *file, const struct qc_header *h, const uint64_t *words,
		       struct qc_mended_l1 *out);

/* Forgets the mended entries, and keeps the list of tables. */
void qc_mend_l1_withdraw(struct qc_mended_l1 *m);

/* Returns true if L1 entry @i got a table. */
static inline bool qc_mend_l1_has(const struct qc_mended_l1 *m, uint64_t i)
{
	return i < m->n && m->is_mended[i];
}

#endif
