/* SPDX-License-Identifier: MIT */
/* raw_name.h - what an image is called in the mount. */
#ifndef RAW_NAME_H
#define RAW_NAME_H

#include <stdbool.h>

/* vm.qcow2 -> vm.raw: the file name less an ending that images have (.qcow,
 * .qcow2, .qcow3, .qc2, .cow, .img, in any case), plus .raw.  To be freed. */
char *raw_name(const char *file);

/* vm.qcow2 -> vm.qcow2.raw: for when the short one is taken. */
char *raw_name_full(const char *file);

#endif
