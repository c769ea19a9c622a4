/* SPDX-License-Identifier: MIT */
/*
 * qcow_snapshot.h - the part of qcow.h about internal snapshots and the layers of a chain.
 */
#include "qcow.h" /* before the guard: it includes headers that need this one */

#ifndef QCOW_SNAPSHOT_H
#define QCOW_SNAPSHOT_H

#ifdef __cplusplus
extern "C" {
#endif

/* An entry of the snapshot table (qcow2 spec, "Snapshots").  Id and name are any bytes,
 * also NUL; in struct qc_snapshots a NUL follows each. */
struct qc_snapshot {
	const char *id, *name;
	size_t id_len, name_len;
	uint64_t size;		/* of its disk */
	uint64_t vmstate_bytes; /* 0: no VM state */
	int64_t date_s;		/* since 1970 */
	uint32_t date_ns;
	uint64_t vm_clock_ns;
	uint64_t icount;    /* UINT64_MAX: not recorded */
	uint64_t l1_offset; /* host offset of its L1 table, which also identifies it */
	uint32_t l1_entries;
};

struct qc_snapshots {
	size_t n;
	struct qc_snapshot *at;
	char *text; /* memory of the ids and names */
};

/*
 * qc_list_snapshots() - read the snapshot table
 * @out:  in the order of the table; empty for version 1; for qc_snapshots_free()
 *
 * Return: 0; -EINVAL, -EIO damaged table; -ENOMEM
 */
qc_err qc_list_snapshots(struct qc_image *img, struct qc_snapshots *out);
void qc_snapshots_free(struct qc_snapshots *s);

enum qc_part { QC_PART_DISK, QC_PART_VMSTATE };

/*
 * qc_snapshot_open() - open a snapshot's disk or VM state as an image
 * @s:    an entry of qc_list_snapshots()
 * @out:  an image to be read and closed, also after @img is closed
 *
 * Until it is closed the snapshot cannot be deleted or renamed.
 * Return: 0;
 *	-ENOENT  the table has no such snapshot
 *	-EIO     its L1 table is damaged
 *	-ENOMEM
 */
qc_err qc_snapshot_open(struct qc_image *img, const struct qc_snapshot *s, enum qc_part part,
			struct qc_image **out, struct qc_reason *why);

/*
 * qc_snapshot_take() - take a snapshot of the disk
 * qc_snapshot_delete() - delete one
 * qc_snapshot_rename() - change its name
 * @name, @len:  1 to 255 bytes, no NUL
 *
 * Each change is atomic, also in a crash.  A snapshot has all writes that returned before
 * the call, and none that began after it returned.
 * Return: 0;
 *	-EOPNOTSUPP    the format has no snapshots (version 1, external data file)
 *	-EINVAL        empty name, or a NUL in it
 *	-ENAMETOOLONG  more than 255 bytes
 *	-EEXIST        another snapshot has the name
 *	-EMLINK        65,536 snapshots, or a refcount at its maximum
 *	-ENOENT        the table has no such snapshot
 *	-EBUSY         the snapshot is open
 *	else as qc_write()
 */
qc_err qc_snapshot_take(struct qc_image *img, const char *name, size_t len);
qc_err qc_snapshot_delete(struct qc_image *img, const struct qc_snapshot *s);
qc_err qc_snapshot_rename(struct qc_image *img, const struct qc_snapshot *s, const char *name,
			  size_t len);

/*
 * qc_snapshot_revert() - make the disk what it was when a snapshot was taken
 *
 * Content and size of the disk become those of the snapshot.  Everything written since is
 * lost, unless another snapshot has it.  All snapshots stay, open or not, and VM state stays
 * with its snapshot.  Clusters are shared, so that the call costs a read and a write of the
 * tables.  It is atomic, also in a crash.
 * Return: 0;
 *	-EOPNOTSUPP  the format has no snapshots; version 2, and the size is another one
 *	-EMLINK      a refcount at its maximum
 *	-ENOENT      the table has no such snapshot
 *	else as qc_write()
 */
qc_err qc_snapshot_revert(struct qc_image *img, const struct qc_snapshot *s);

/*
 * qc_open_chain_from() - open the disk as seen from a layer of the chain
 * @n:    0: the image itself, 1: its backing file, ...
 * @out:  an image to be read and closed; with layer 0 it shows later writes to @img
 *
 * Return: 0; -ENOMEM
 */
qc_err qc_open_chain_from(struct qc_image *img, unsigned int n, struct qc_image **out,
			  struct qc_reason *why);

/*
 * qc_open_layer_alone() - open the data that one file of the chain holds
 * @n, @out:  as of qc_open_chain_from()
 *
 * All that this file has no data for reads as zeros, and is a hole.
 * Return: 0; -ENOMEM
 */
qc_err qc_open_layer_alone(struct qc_image *img, unsigned int n, struct qc_image **out,
			   struct qc_reason *why);

#ifdef __cplusplus
}
#endif
#endif
