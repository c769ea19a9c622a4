/* SPDX-License-Identifier: MIT */
/* data_punch_fields.h - the queues of data_punch.h. */
#ifndef QC_DATA_PUNCH_FIELDS_H
#define QC_DATA_PUNCH_FIELDS_H

#include <pthread.h>

#include "base/util.h"

struct qc_punch_extent {
	uint64_t off, len; /* bytes of the data file; len 0: removed */
};

struct qc_punch_queue {
	struct qc_punch_extent *extent;
	size_t n, capacity;
};

struct qc_data_punch {
	pthread_mutex_t lock; /* a leaf */
	struct qc_punch_queue pending; /* lock */
	struct qc_punch_queue taken;   /* lock; by the checkpoint that is running */
};

#endif
