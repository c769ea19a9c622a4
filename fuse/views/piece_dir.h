/* SPDX-License-Identifier: MIT */
/* piece_dir.h - NAME.pieces: L2 tables of which nothing tells the part of the disk. */
#ifndef PIECE_DIR_H
#define PIECE_DIR_H

#include "tree/node_ops.h"

extern const struct view_provider piece_dir_views;

#endif
