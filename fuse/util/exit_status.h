/* SPDX-License-Identifier: MIT */
/* exit_status.h - the exit statuses of qcowfs(1). */
#ifndef EXIT_STATUS_H
#define EXIT_STATUS_H

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
