/* SPDX-License-Identifier: MIT */
/*
 * format_name.h - format names, as backing format extensions have them.
 */
#ifndef QC_FORMAT_NAME_H
#define QC_FORMAT_NAME_H

#include "qcow.h"

#define QC_NAME_RAW   "raw"
#define QC_NAME_QCOW1 "qcow"
#define QC_NAME_QCOW2 "qcow2"

#endif
