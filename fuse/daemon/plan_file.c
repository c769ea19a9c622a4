/* SPDX-License-Identifier: MIT */
#include "daemon/plan_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/read_file.h"
#include "util/report.h"

int plan_file_read(struct qc_context *ctx, const char *path)
{
	struct qc_reason why = { 0 };
	char *text = NULL;
	size_t len = 0;
	int r = read_file(AT_FDCWD, path, &text, &len);

	if (r == -ENOENT)
		return 0;
	if (r) {
		report(QC_LOG_ERROR, "rescue %s: cannot read it: %s", path, strerror(-r));
		return r;
	}
	r = qc_rescue_set_plan(ctx, text, len, &why);
	free(text);
	if (r)
		report(QC_LOG_ERROR, "rescue %s: %s", path, why.text);
	return r;
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return fsync(fd) ? -errno : 0;
}

/* A plan that is not whole is removed. */
static int make_plan_file(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666), r;

	if (fd < 0)
		return errno == EEXIST ? 0 : -errno;
	r = write_all(fd, text, len);
	if (close(fd) && !r)
		r = -errno;
	if (r)
		unlink(path);
	return r;
}

void plan_file_write(struct qc_image *img, const char *path)
{
	char *text = NULL;
	size_t len = 0;
	int r;

	if (!access(path, F_OK))
		return;
	r = qc_rescue_plan(img, &text, &len);
	if (!r)
		r = make_plan_file(path, text, len);
	free(text);
	if (r)
		report(QC_LOG_WARN, "rescue %s: cannot write the plan: %s%s", path, strerror(-r),
		       qc_errno_hint(r));
}
