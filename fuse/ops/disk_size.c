/* SPDX-License-Identifier: MIT */
#include "ops/disk_size.h"

#include <errno.h>

#include "ops/open_file.h"

int disk_size_set(fuse_req_t req, fuse_ino_t ino, off_t size, struct fuse_file_info *fi)
{
	struct tree *t = server_of(req)->tree;
	struct node *n = node_of(req, ino);
	struct qc_image *img;
	bool keep;
	int r;

	if (server_of(req)->ro)
		return -EROFS;
	if (node_range(n).len != UINT64_MAX)
		return (uint64_t)size == node_range(n).len ? 0 : -EPERM;
	if (fi)
		return qc_resize(open_file_of(fi)->img, (uint64_t)size);
	r = tree_open(t, n, true, &img, &keep);
	if (r)
		return r;
	r = qc_resize(img, (uint64_t)size);
	node_close(n, img);
	return r;
}
