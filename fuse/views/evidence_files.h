/* SPDX-License-Identifier: MIT */
/*
 * evidence_files.h - the bytes of an image file beside its disks: NAME.unallocated.raw,
 * NAME.zeroed.raw and NAME.slack.raw, with JSON that tells where they came from; NAME.deleted.
 */
#ifndef EVIDENCE_FILES_H
#define EVIDENCE_FILES_H

#include "tree/node_ops.h"

/* All kinds, ended by NULL. */
extern const struct view_provider *const evidence_files_views[];

#endif
