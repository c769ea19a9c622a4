/* SPDX-License-Identifier: MIT */
/* fuse_api.h - libfuse's low-level interface, in the version that all callbacks are written for. */
#ifndef FUSE_API_H
#define FUSE_API_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#endif
