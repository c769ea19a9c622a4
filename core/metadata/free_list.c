/* SPDX-License-Identifier: MIT */
#include "metadata/free_list.h"

#include <errno.h>

#include "qcow_array.h"

/* Adds [off, off + len) to the last extent of the first @n, if they are adjacent.
 *
 * Two compressed clusters may share a host cluster, and each holds a reference to that cluster.
 * Merged, they would release one of the two. */
static bool merge_with_last(struct qc_free_list *l, size_t n, unsigned int cluster_bits,
			    uint64_t off, uint64_t len)
{
	struct qc_free_extent *last = n ? &l->extent[n - 1] : NULL;
	uint64_t in_cluster = off & ((UINT64_C(1) << cluster_bits) - 1);

	if (!last || last->off + last->len != off || in_cluster)
		return false;
	last->len += len;
	return true;
}

qc_err qc_free_list_add(struct qc_free_list *l, unsigned int cluster_bits, uint64_t off,
			uint64_t len)
{
	if (merge_with_last(l, l->n, cluster_bits, off, len))
		return 0;
	if (array_reserve(&l->extent, &l->capacity, l->n + 1, sizeof(*l->extent)))
		return -ENOMEM;
	l->extent[l->n++] = (struct qc_free_extent){ off, len };
	return 0;
}

static int compare_free_offsets(const void *a, const void *b)
{
	const struct qc_free_extent *x = a, *y = b;

	return compare_u64(&x->off, &y->off);
}

void qc_free_list_merge(struct qc_free_list *l, unsigned int cluster_bits)
{
	size_t n = 0;

	if (l->n < 2)
		return;
	qsort(l->extent, l->n, sizeof(*l->extent), compare_free_offsets);
	for (size_t i = 0; i < l->n; i++)
		if (!merge_with_last(l, n, cluster_bits, l->extent[i].off, l->extent[i].len))
			l->extent[n++] = l->extent[i];
	l->n = n;
}

void qc_free_list_clear(struct qc_free_list *l)
{
	free(l->extent);
	*l = (struct qc_free_list){ 0 };
}
