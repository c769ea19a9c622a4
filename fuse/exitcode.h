/* SPDX-License-Identifier: MIT */
/* exitcode.h - the exit statuses of qcowfs(1). */
#ifndef EXITCODE_H
#define EXITCODE_H

enum exitcode {
	EXIT_OK,
	EXIT_USAGE,
	EXIT_IMAGE,
	EXIT_LOCKED,
	EXIT_KEY,
	EXIT_MOUNT,
	EXIT_RUNNING,
};

#endif
