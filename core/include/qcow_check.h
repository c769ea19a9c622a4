/* SPDX-License-Identifier: MIT */
/*
 * qcow_check.h - the part of qcow.h that checks and repairs the metadata of an image.
 */
#ifndef QCOW_CHECK_H
#define QCOW_CHECK_H

#include "qcow.h"

#ifdef __cplusplus
extern "C" {
#endif

enum qc_check_flag {
	QC_CHECK_FIX_LEAKS = 1 << 0, /* lower refcounts that are too high */
	QC_CHECK_FIX_ALL = 1 << 1,   /* correct all refcounts and COPIED flags */
};

enum qc_finding_kind {
	QC_FINDING_LEAK,	  /* refcount higher than the number of references */
	QC_FINDING_REFCOUNT_LOW,  /* refcount lower: the cluster may be allocated twice */
	QC_FINDING_COPIED,	  /* COPIED of an active entry differs from "refcount is 1" */
	QC_FINDING_INVALID_ENTRY, /* reserved bits, wrong alignment, or an impossible value */
	QC_FINDING_BEYOND_END,	  /* an entry references a cluster beyond the end of the file */
	QC_FINDING_OVERLAP,	  /* metadata shares a cluster with something else */
	QC_FINDING_INVALID_TABLE, /* a table cannot be read as its type demands */
};

#define QC_NO_OFFSET UINT64_MAX

/* One fault of an image.  Offsets are QC_NO_OFFSET where they have no meaning. */
struct qc_finding {
	enum qc_finding_kind kind;
	bool is_leak;	   /* harmless; else it counts as a corruption */
	bool is_left;	   /* a repair did not mend it */
	bool in_snapshot;  /* in a table of a snapshot, not in an active one */
	const char *table; /* "L2 table", ...: the table with the entry, or the invalid one; "" */
	uint64_t table_offset; /* host offset of this table */
	uint64_t index;	       /* of the entry in this table */
	uint64_t entry;	       /* its bytes as a number; 0: no entry */
	uint64_t guest_offset; /* of the data that the entry maps */
	uint64_t host_offset;  /* of the cluster */
	uint64_t refcount, references; /* of this cluster; not where the kind is about an entry */
};

/* Called for each fault, by the thread that called qc_check(). */
typedef void qc_finding_fn(void *arg, const struct qc_finding *f);

/* Counts as `qemu-img check --output=json` reports them. */
struct qc_check_result {
	uint64_t corruptions, leaks; /* after the repair, if one was wanted */
	uint64_t corruptions_fixed, leaks_fixed;
	uint64_t image_end_offset; /* end of the last cluster in use */
	uint64_t total_clusters, allocated_clusters, fragmented_clusters, compressed_clusters;
	unsigned int version;
	bool dirty, corrupt; /* feature bits, after the repair */
	qc_err repair_error; /* why a wanted repair was not possible; else 0 */
};

/*
 * qc_check() - check all metadata of one image file, and repair it
 * @src:    the image file; its backing file, data file and key are not needed
 * @flags:  enum qc_check_flag
 * @fn:     told of each fault, and after a repair of each that is left; NULL: only counted
 *
 * Works on every image whose header is valid, also if it is marked corrupt, dirty, or may
 * not be written.  Takes QEMU's locks for reading; with a flag of enum qc_check_flag, those for
 * writing as soon as there is something to repair.  Memory does not grow with the image.
 * Reports progress as QC_WORK_CHECK and QC_WORK_REPAIR.
 *
 * A repair never changes guest data.  Entries that are invalid stay as they are, and so do
 * their clusters.  If the image has no corruption afterwards, its dirty bit and its corrupt bit
 * are cleared.  A crash leaves an image that can be repaired again.
 *
 * Return: 0, also if faults were found; else @why says
 *	-EBUSY       another program has locked the image
 *	-EMEDIUMTYPE, -ENOTSUP, -EINVAL  the header is not valid, as for qc_open()
 *	-ECANCELED   qc_config.interrupted; a repair can be begun again
 *	-EIO, or another errno of the file; -ENOMEM
 */
qc_err qc_check(struct qc_context *ctx, const struct qc_image_location *src, unsigned int flags,
		qc_finding_fn *fn, void *arg, struct qc_check_result *out, struct qc_reason *why);

#ifdef __cplusplus
}
#endif
#endif
