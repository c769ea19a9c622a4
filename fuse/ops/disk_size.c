/* SPDX-License-Identifier: MIT */
#include "ops/disk_size.h"

#include <errno.h>

static bool is_partition(const struct open_file *f)
{
	return f->range.len != UINT64_MAX;
}

int disk_size_empty(struct open_file *f)
{
	uint64_t size = open_file_size(f);
	int r;

	if (growing_disk_is_growing(f->node))
		r = growing_disk_truncate(f->node, f->img, 0);
	else if (is_partition(f))
		r = size ? qc_discard(f->img, f->range.start, size) : 0;
	else
		r = qc_clear(f->img);

	open_file_mark_written(f);
	if (!r)
		f->emptied = true;
	return r;
}

int disk_size_set(struct open_file *f, uint64_t size)
{
	uint64_t now = open_file_size(f);
	int r;

	if (growing_disk_is_growing(f->node)) {
		open_file_mark_written(f);
		return growing_disk_truncate(f->node, f->img, size);
	}
	if (!size)
		return disk_size_empty(f);
	if (size == now || (f->emptied && size < now))
		return 0;
	if (is_partition(f))
		return -EPERM;
	r = qc_resize(f->img, size);
	if (!r && size < now && now > f->full_size)
		f->full_size = now;
	return r;
}

int disk_size_set_node(struct tree *t, struct node *n, uint64_t size)
{
	struct open_file f = { .node = n, .range = node_range(n),
			       .written = node_written_mark(n) };
	bool keep;
	int r = node_is_text(n) ? -EROFS : tree_open(t, n, true, &f.img, &keep);

	if (r)
		return r;
	r = disk_size_set(&f, size);
	node_close(n, f.img);
	return r;
}

int disk_size_regrow(struct open_file *f, uint64_t end)
{
	uint64_t now = open_file_size(f);

	return end > now && f->full_size > now ? qc_resize(f->img, f->full_size) : 0;
}
