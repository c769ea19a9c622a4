/* SPDX-License-Identifier: MIT */
/*
 * map.h - guest offset -> what one layer says about it.
 */
#ifndef QC_MAP_H
#define QC_MAP_H

#include "entry.h"
#include "layer.h"

struct qc_map_extent {
	enum qc_kind kind;
	uint64_t len;
	struct hoff host;    /* data: of the first byte; packed: of the cluster */
	uint32_t packed_len; /* packed: most bytes that it takes */
};

/* The longest run at `at`, at most `max` bytes, of one kind, and for data in
 * one piece of the file.  It need not be maximal: the next call may go on with
 * the same.  at < the layer's size, max > 0.  -EIO if the tables are damaged,
 * which is logged.  Takes no lock unless a table must be read. */
qc_err qc_map_lookup(struct qc_layer *l, struct goff at, uint64_t max,
		     struct qc_map_extent *x);

#endif
