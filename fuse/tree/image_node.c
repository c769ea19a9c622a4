/* SPDX-License-Identifier: MIT */
#include "tree/image_node.h"

#include "tree/image_attr.h"
#include "tree/image_info.h"
#include "tree/image_file.h"
#include "tree/tree_fields.h"

static int open_image_node(struct tree *t, struct node *n, bool write, struct qc_image **out)
{
	return image_file_open_cow(t, n, write ? QC_OPEN_WRITE : 0, out);
}

static bool image_is_unused(struct tree *t, struct node *n)
{
	(void)t;
	return !n->image.names;
}

const struct node_ops image_node_ops = {
	.getattr = image_attr_get,
	.info = image_info_get,
	.open = open_image_node,
	.unused = image_is_unused,
};
