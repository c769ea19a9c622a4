/* SPDX-License-Identifier: MIT */
/*
 * luks_header.h - bytes of a LUKS header -> what it says, for people.  No number of it
 * is used for anything, so all are taken as they are.
 */
#ifndef QC_LUKS_HEADER_H
#define QC_LUKS_HEADER_H

#include "base/util.h"
#include "format/qcow_layout.h"

/* -EINVAL if it is no LUKS header of version 1, or shorter than LUKS_BYTES. */
qc_err qc_luks_header_parse(const uint8_t *buf, size_t len, struct qc_luks_info *out);

#endif
