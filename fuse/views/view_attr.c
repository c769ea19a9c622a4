/* SPDX-License-Identifier: MIT */
#include "views/view_attr.h"

#include <errno.h>

#include "tree/cow_overlay.h"
#include "tree/image_attr.h"
#include "tree/tree_fields.h"

enum { SECTOR = 512 }; /* unit of st_blocks */

int view_attr_begin(struct tree *t, struct node *n, struct stat *st)
{
	return image_attr_stat_file(t, n->origin, st);
}

void view_attr_make_dir(const struct tree *t, bool writable, struct stat *st)
{
	mode_t read = st->st_mode & 0444, write = st->st_mode & 0222;

	st->st_mode = S_IFDIR | read | read >> 2;
	if (writable && !t->config.ro && !t->config.cow)
		st->st_mode |= write;
	st->st_nlink = 2;
	st->st_size = 0;
	st->st_blocks = 0;
}

/* The file takes no more blocks than the image has, nor more than its size needs. */
void view_attr_make_file(uint64_t size, mode_t mask, struct stat *st)
{
	uint64_t most;

	if (size > INT64_MAX)
		size = 0; /* off_t has no room for it; opening fails, too */
	most = size / SECTOR + (size % SECTOR > 0);
	st->st_mode = S_IFREG | (st->st_mode & mask);
	st->st_nlink = 1;
	st->st_size = (off_t)size;
	if ((uint64_t)st->st_blocks > most)
		st->st_blocks = (blkcnt_t)most;
}

int view_attr_end(struct tree *t, struct node *n, int r, struct stat *st)
{
	if (!r)
		node_finish_attr(t, n, st);
	else if (!n->is_dir && r != -ENOMEM)
		r = node_last_attr(n, st);
	return r;
}
