/* SPDX-License-Identifier: MIT */
#include "ops/io_uring.h"

#ifdef HAVE_RINGS
#include <pthread.h>

#include "ops/io_uring_version.h"
#include "util/report.h"

void io_uring_configure(struct fuse_conn_info *conn, bool wanted)
{
	bool safe = io_uring_version_is_safe(fuse_pkgversion());

	if (wanted && !safe)
		report(QC_LOG_WARN, "io_uring: libfuse %s has faults there, going on without "
		       "(3.18.2 and later are mended)", fuse_pkgversion());
	if (!wanted || !safe)
		fuse_unset_feature_flag(conn, FUSE_CAP_OVER_IO_URING);
	else if (!fuse_set_feature_flag(conn, FUSE_CAP_OVER_IO_URING))
		report(QC_LOG_WARN,
		       "io_uring: the kernel does not offer it, going on without "
		       "(Linux 6.14 does, with Y in /sys/module/fuse/parameters/enable_uring)");
}

void *io_uring_reply_buffer(fuse_req_t req, size_t n)
{
	char *memory;
	size_t room;

	return !fuse_req_get_payload(req, &memory, &room, NULL) && n <= room ? memory : NULL;
}

void io_uring_disable_cancel(void)
{
	static _Thread_local bool disabled;

	if (!disabled)
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	disabled = true;
}
#endif
