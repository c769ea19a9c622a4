/* SPDX-License-Identifier: MIT */
#include "metadata/free_list.h"

#include <errno.h>

#include "qcow_array.h"

qc_err qc_free_list_add(struct qc_free_list *l, unsigned int cluster_bits, uint64_t off,
			uint64_t len)
{
	struct qc_free_extent *last = l->n ? &l->extent[l->n - 1] : NULL;
	uint64_t in_cluster = off & ((UINT64_C(1) << cluster_bits) - 1);

	/* Two compressed clusters may share a host cluster, and each holds a reference to
	 * that cluster.  Merged, they would release one of the two. */
	if (last && last->off + last->len == off && !in_cluster) {
		last->len += len;
		return 0;
	}
	if (array_reserve(&l->extent, &l->capacity, l->n + 1, sizeof(*l->extent)))
		return -ENOMEM;
	l->extent[l->n++] = (struct qc_free_extent){ off, len };
	return 0;
}

void qc_free_list_clear(struct qc_free_list *l)
{
	free(l->extent);
	*l = (struct qc_free_list){ 0 };
}
