/* SPDX-License-Identifier: MIT */
/*
 * rescue_files.h - what -o rescue shows beside an image: NAME.map, NAME.needed.map and
 * NAME.rescue.json.
 */
#ifndef RESCUE_FILES_H
#define RESCUE_FILES_H

#include "tree/node_ops.h"

extern const struct view_provider rescue_files_map, rescue_files_needed, rescue_files_report;

#endif
