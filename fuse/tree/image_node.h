/* SPDX-License-Identifier: MIT */
/* image_node.h - an image file of SOURCE, as a node. */
#ifndef IMAGE_NODE_H
#define IMAGE_NODE_H

#include "tree/node_ops.h"

extern const struct node_ops image_node_ops;

#endif
