/* SPDX-License-Identifier: MIT */
/* node_info.h - what extended attributes say about a file or folder of the mount. */
#ifndef NODE_INFO_H
#define NODE_INFO_H

#include <stdbool.h>
#include <stdint.h>

/* Each field may be missing. */
struct node_info {
	const char *format; /* of the image file: "qcow", "qcow2", "raw"; a constant */
	char *backing;	    /* name of the backing file, as the header has it; allocated */
	char *snapshot_id;  /* allocated */
	bool has_size, has_dirty_bytes;
	uint64_t size; /* bytes of the disk */
	uint64_t dirty_bytes; /* of a bitmap */
};

/* Frees the texts. */
void node_info_free(struct node_info *f);

#endif
