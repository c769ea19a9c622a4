/* SPDX-License-Identifier: MIT */
#include "commands/image_format.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool image_format_is_known(const char *name)
{
	return !strcmp(name, "raw") || !strcmp(name, "qcow") || !strcmp(name, "qcow2");
}

/* The header begins with the magic number and, from byte 4 on, the version. */
static qc_err probe_format(int fd, const char **name)
{
	uint8_t version[4] = { 0 };

	*name = "raw";
	if (!qc_is_image(fd))
		return 0;
	if (pread(fd, version, sizeof(version), 4) < 0)
		return -errno;
	*name = version[3] == 1 ? "qcow" : "qcow2";
	return 0;
}

qc_err image_format_check(int fd, const char *format, struct qc_reason *why)
{
	const char *found;
	qc_err r;

	if (!format || !strcmp(format, "raw"))
		return 0;
	r = probe_format(fd, &found);
	if (r || !strcmp(found, format))
		return r;
	snprintf(why->text, sizeof(why->text), "the format is %s, not %s", found, format);
	return -EINVAL;
}
