/* SPDX-License-Identifier: MIT */
/*
 * noatime.c - read files without changing their access times.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "layer/context_fields.h"

/* Returns true if the file system stores no access times. */
static bool has_no_atime(int fd)
{
	struct statvfs st;

	return !fstatvfs(fd, &st) && st.f_flag & (ST_RDONLY | ST_NOATIME);
}

void qc_set_noatime(struct qc_context *ctx, int fd)
{
	char self[40], name[4096] = "";
	int flags;

	if (!ctx->noatime)
		return;
	flags = fcntl(fd, F_GETFL);
	if (flags >= 0 && !fcntl(fd, F_SETFL, flags | O_NOATIME))
		return;
	if (has_no_atime(fd) || atomic_exchange(&ctx->warned_noatime, true))
		return;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (readlink(self, name, sizeof(name) - 1) < 0)
		name[0] = 0;
	qc_log(&ctx->log, QC_LOG_WARN,
	       "%s: reading it may change its access time, as only its owner can prevent that"
	       " (this is said once)", *name ? name : "a file");
}
