/* SPDX-License-Identifier: MIT */
/* tree_maker.h - the owner and the mode of a new file of SOURCE. */
#ifndef TREE_MAKER_H
#define TREE_MAKER_H

#include <sys/types.h>

/* The user that makes a file or directory, and the mode of that. */
struct tree_maker {
	uid_t uid;
	gid_t gid;
	mode_t mode;
};

#endif
