/* SPDX-License-Identifier: MIT */
/*
 * qcow_evidence.h - the part of qcow.h about all that an image file holds beside its disks.
 *
 * Every byte of the image file is named by its tables, or in one of: the unallocated clusters, the
 * slack, and holes of the file system.
 */
#ifndef QCOW_EVIDENCE_H
#define QCOW_EVIDENCE_H

#include "qcow.h"
#include "qcow_snapshot.h"

#ifdef __cplusplus
extern "C" {
#endif

enum qc_evidence {
	QC_EVIDENCE_UNALLOCATED, /* clusters that nothing references, one after the other */
	QC_EVIDENCE_SLACK,	 /* ends of structures, and gaps between compressed clusters */
	QC_EVIDENCE_ZEROED,	 /* at guest offsets: the bytes under clusters that read as zeros */
};

/*
 * qc_open_evidence() - open such bytes of an image file as an image
 * @out:  to be read and closed, also after @img is closed; qc_size() tells its length
 *
 * Reads all tables.  Holes of the file system are left out; of QC_EVIDENCE_ZEROED they are holes.
 * Return: 0; -ENOMEM; as qc_read()
 */
qc_err qc_open_evidence(struct qc_image *img, enum qc_evidence which, struct qc_image **out,
			struct qc_reason *why);

/*
 * qc_unallocated_report() - tell as JSON where each run of the unallocated bytes came from
 * qc_slack_report()       - tell as JSON where each piece of slack came from, and of what it is
 * qc_findings_report()    - tell as JSON what is unusual in the image file, each with its proof
 * @text:  out: to be freed
 *
 * Return: as qc_open_evidence()
 */
qc_err qc_unallocated_report(struct qc_image *img, char **text, size_t *len);
qc_err qc_slack_report(struct qc_image *img, char **text, size_t *len);
qc_err qc_findings_report(struct qc_image *img, char **text, size_t *len);

/* ---- what is left of deleted disks ---------------------------------------------- */

enum qc_deleted_kind {
	QC_DELETED_SNAPSHOT,
	QC_DELETED_L1_TABLE,   /* of an earlier disk: a resize moves the table */
	QC_DELETED_L2_TABLE,   /* a part of a disk; its guest offset is not known */
	QC_DELETED_COMPRESSED, /* one cluster */
};

struct qc_deleted {
	enum qc_deleted_kind kind;
	struct qc_snapshot s; /* QC_DELETED_SNAPSHOT; of an L1 table only its location and size */
	uint64_t host;	      /* offset in the image file: of the snapshot table's entry, of the
			       * table, or of the compressed data */
	uint64_t size;	      /* bytes of the disk, or of what is left of it */
};

struct qc_deleted_list {
	size_t n;
	struct qc_deleted *at;
	bool left_out; /* there is more than is shown */
	struct qc_deleted_search *search; /* memory of the list */
};

/*
 * qc_list_deleted() - find what is left of deleted snapshots, of old tables, and of compressed
 *	clusters that were replaced
 * @out:  for qc_deleted_list_free()
 *
 * Reads each cluster that nothing references, and all tables.  At most 65,536 of each kind are
 * listed.  Empty where the file system has punched what was freed.
 * Return: 0; -EFBIG more than 4 Mi clusters look like tables; -ENOMEM; as qc_read()
 */
qc_err qc_list_deleted(struct qc_image *img, struct qc_deleted_list *out);
void qc_deleted_list_free(struct qc_deleted_list *l);

/*
 * qc_open_deleted() - open a disk that is left, or its VM state
 * @i:     index in the list
 * @part:  QC_PART_VMSTATE: only of a snapshot
 * @out:   to be read and closed; qc_rescue_map() tells how far each byte can be trusted
 *
 * Bytes whose clusters are in use again or punched are lost, and read as qc_config.lost says.
 * Return: 0; -ESTALE the image has changed; -ENOMEM; as qc_read()
 */
qc_err qc_open_deleted(struct qc_image *img, const struct qc_deleted_list *l, size_t i,
		       enum qc_part part, struct qc_image **out, struct qc_reason *why);

#ifdef __cplusplus
}
#endif
#endif
