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

#ifdef __cplusplus
}
#endif
#endif
