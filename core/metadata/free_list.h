/* SPDX-License-Identifier: MIT */
/* free_list.h - a list of extents of the image file that lose one reference. */
#ifndef QC_FREE_LIST_H
#define QC_FREE_LIST_H

#include "base/util.h"

/* An extent that has one reference less. */
struct qc_free_extent {
	uint64_t off, len; /* bytes; whole clusters, except for compressed clusters */
};

struct qc_free_list {
	struct qc_free_extent *extent; /* allocated; the owner of the list frees it */
	size_t n, capacity;
};

/* Adds an extent to @l, merged with the last one if they are adjacent.  Return: 0; -ENOMEM. */
qc_err qc_free_list_add(struct qc_free_list *l, unsigned int cluster_bits, uint64_t off,
			uint64_t len);

/* Orders the extents by offset, and merges adjacent ones as qc_free_list_add() does. */
void qc_free_list_merge(struct qc_free_list *l, unsigned int cluster_bits);

/* Frees the memory of @l, and leaves it empty. */
void qc_free_list_clear(struct qc_free_list *l);

#endif
