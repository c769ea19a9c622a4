/* SPDX-License-Identifier: MIT */
/* slack.h - bytes of referenced clusters that belong to no structure, and the end of the file. */
#ifndef QC_SLACK_H
#define QC_SLACK_H

#include "evidence/piece_search.h"

/* The structure that a piece of slack is behind; the kind of a piece. */
enum qc_slack_of {
	QC_SLACK_HEADER,
	QC_SLACK_L1_TABLE,
	QC_SLACK_SNAPSHOT_TABLE,
	QC_SLACK_LUKS_HEADER,
	QC_SLACK_BITMAP_DIRECTORY,
	QC_SLACK_BITMAP_TABLE,
	QC_SLACK_COMPRESSED,
	QC_SLACK_FILE_END,
};

const char *qc_slack_name(enum qc_slack_of of);

/* Finds all slack, in the order of the file.  Return: as qc_pieces_add(); an errno of the file */
qc_err qc_slack_pieces(struct qc_tables *t, const struct qc_cluster_use *u, struct qc_pieces *out);

#endif
