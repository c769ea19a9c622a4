/* SPDX-License-Identifier: MIT */
/* map_file.h - NAME.map: where the bytes of a disk are, as `qcowfs map --json` tells it. */
#ifndef MAP_FILE_H
#define MAP_FILE_H

#include "tree/node_ops.h"

extern const struct view_provider map_file_views;
/* The same as NAME.map.json: with -o rescue, NAME.map is a ddrescue mapfile. */
extern const struct view_provider map_file_views_of_rescue;

#endif
