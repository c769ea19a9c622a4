/* SPDX-License-Identifier: MIT */
/*
 * luksfacts.h - bytes of a LUKS header -> what it says, for people.  No number of it
 * is used for anything, so all are taken as they are.
 */
#ifndef QC_LUKSFACTS_H
#define QC_LUKSFACTS_H

#include "base.h"
#include "format.h"

/* -EINVAL if it is no LUKS header of version 1, or shorter than LUKS_BYTES. */
qc_err qc_luks_facts_parse(const uint8_t *buf, size_t len, struct qc_luks_facts *out);

#endif
