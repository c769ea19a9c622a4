/* SPDX-License-Identifier: MIT */
/* bitmap_actions.h - what qcowfs bitmap does to a bitmap. */
#ifndef BITMAP_ACTIONS_H
#define BITMAP_ACTIONS_H

#include "commands/common.h"

enum bitmap_action {
	BITMAP_ADD = 256, /* the numbers of the command's options */
	BITMAP_REMOVE,
	BITMAP_CLEAR,
	BITMAP_ENABLE,
	BITMAP_DISABLE,
	BITMAP_MERGE,
};

enum { BITMAP_ACTIONS_MAX = 64 };

struct bitmap_actions {
	struct {
		int id;		    /* enum bitmap_action */
		const char *source; /* of a merge: the name of the other bitmap */
	} action[BITMAP_ACTIONS_MAX];
	unsigned int n;
	bool adds, merges;
	const char *file;     /* image of the bitmaps to merge from; NULL: the same */
	uint64_t granularity; /* of a new bitmap, in bytes; 0: the default */
};

/* Runs the actions in order, on the bitmap c->operand[1] of the image c->operand[0].
 * Return: COMMAND_OK; COMMAND_FAILED after a message */
int bitmap_actions_run(struct command *c, const struct bitmap_actions *a);

#endif
