/* SPDX-License-Identifier: MIT */
/*
 * refcount_rebuild.h - make a new refcount table and new blocks from the references.
 *
 * Called by the repair where the refcount table cannot be used: it is not where the header says,
 * an entry is invalid, or the table or a block shares a cluster with something else.  Nothing of
 * the old table and its blocks is believed, nor overwritten before the switch to the new ones.
 */
#ifndef QC_REFCOUNT_REBUILD_H
#define QC_REFCOUNT_REBUILD_H

#include "check/reference_count.h"
#include "update/writer.h"

/*
 * qc_refcount_rebuild() - count all references, and write them as new refcounts
 * @keep_damage:  entries that are invalid keep their clusters, and are no failure
 * @tables:       incremented for each L2 table that was read
 * @has_written:  out: the rebuild was possible, and has begun
 *
 * The new clusters are behind the end of the file, or where nothing references them in a block
 * device.
 * Context: no other thread uses the writer; nothing is dirty in memory.
 * Return: 0, or before the first write:
 *	-EIO        other metadata shares a cluster, or a table is damaged
 *	-EOVERFLOW  more references than a refcount can count
 *	-EFBIG      no room for the refcounts of such a large file
 *	or at any time -ENOMEM; -ECANCELED; an errno of the file
 */
qc_err qc_refcount_rebuild(struct qc_writer *w, bool keep_damage, uint64_t *tables,
			   bool *has_written);

#endif
