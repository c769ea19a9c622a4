/* SPDX-License-Identifier: MIT */
/* findings.h - the parts of an image file that are searched for findings. */
#ifndef QC_FINDINGS_H
#define QC_FINDINGS_H

#include "evidence/cluster_use.h"
#include "evidence/finding_list.h"

/* Finds properties and faults in one part of the image.  Return: 0; -ENOMEM; an errno of the file. */
qc_err qc_findings_header_find(struct qc_finding_list *l);
qc_err qc_findings_tables_find(struct qc_finding_list *l);
qc_err qc_findings_compressed_find(struct qc_finding_list *l);
qc_err qc_findings_residue_find(struct qc_finding_list *l);
qc_err qc_findings_snapshots_find(struct qc_finding_list *l);

/* The same for deleted disks.  Part of qc_findings_residue_find(). */
qc_err qc_findings_deleted_find(struct qc_finding_list *l, const struct qc_cluster_use *u);

#endif
