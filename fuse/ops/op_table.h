/* SPDX-License-Identifier: MIT */
/* op_table.h - the table of callbacks, for fuse_session_new(). */
#ifndef OP_TABLE_H
#define OP_TABLE_H

#include "ops/fuse_api.h"

extern const struct fuse_lowlevel_ops op_table;

#endif
