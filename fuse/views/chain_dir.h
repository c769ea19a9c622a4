/* SPDX-License-Identifier: MIT */
/* chain_dir.h - NAME.chain: the disk as seen from each file of the image's backing chain. */
#ifndef CHAIN_DIR_H
#define CHAIN_DIR_H

#include "tree/node_ops.h"

extern const struct view_provider chain_dir_views;

#endif
