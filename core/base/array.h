/* SPDX-License-Identifier: MIT */
/* array.h - arrays that grow, in the core (include/qcow_array.h). */
#ifndef QC_ARRAY_H
#define QC_ARRAY_H

#include "base/util.h"
#include "qcow_array.h"

#endif
