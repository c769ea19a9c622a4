/* SPDX-License-Identifier: MIT */
#include "io/backing_name.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

static const struct {
	const char *name, *path, *format; /* no path: refused */
} rows[] = {
	{ "base.qcow2", "base.qcow2", "" },
	{ "/a/b:c", "/a/b:c", "" },
	{ "nbd://host/x", "nbd://host/x", "" },
	{ "file:base.raw", "base.raw", "" },
	{ "file:///a/b", "///a/b", "" },
	{ "json:{\"driver\":\"qcow2\",\"file\":{\"driver\":\"file\",\"filename\":\"/a/b\"}}", "/a/b", "qcow2" },
	{ "json:{\"driver\":\"raw\",\"file.driver\":\"file\",\"file.filename\":\"b\"}", "b", "raw" },
	{ "json:{\"file.filename\":\"b\"}", "b", "" },
	{ "json:{\"driver\":\"file\",\"filename\":\"b\"}", "b", "" },
	{ "json:{\"driver\":\"qcow\",\"file\":{\"driver\":\"raw\",\"file\":{\"driver\":\"file\","
	  "\"filename\":\"b\"}}}", "b", "qcow" },
	{ "json:{\"driver\":\"raw\",\"file\":{\"driver\":\"file\",\"filename\":\"b\",\"locking\":\"off\"}}",
	  "b", "raw" },
	/* Another protocol, or other bytes than those of the whole file. */
	{ "json:{\"driver\":\"nbd\",\"host\":\"x\"}", NULL, NULL },
	{ "json:{\"driver\":\"raw\",\"offset\":512,\"file\":{\"driver\":\"file\",\"filename\":\"b\"}}", NULL,
	  NULL },
	{ "json:{\"driver\":\"raw\",\"file\":{\"driver\":\"host_device\",\"filename\":\"b\"}}", NULL, NULL },
	{ "json:{\"driver\":\"raw\",\"file\":{\"driver\":\"qcow2\",\"file\":{\"driver\":\"file\","
	  "\"filename\":\"b\"}}}", NULL, NULL },
	{ "json:{\"driver\":\"qcow2\",\"backing\":null,\"file.filename\":\"b\"}", NULL, NULL },
	{ "json:{\"driver\":\"qcow2\",\"file\":\"node\"}", NULL, NULL },
	{ "json:{\"file.filename\":\"a\",\"file\":{\"filename\":\"b\"}}", NULL, NULL },
	{ "json:{\"file.filename\":1}", NULL, NULL },
	{ "json:{\"file.file.file.filename\":\"b\"}", NULL, NULL },
	{ "json:{\"file\":{\"file\":{\"file\":{\"filename\":\"b\"}}}}", NULL, NULL },
	{ "json:[]", NULL, NULL },
	{ "json:", NULL, NULL },
	{ "json:{\"driver\":\"qcow2\"}", NULL, NULL },
	{ "json:{\"driver\":\"raw\",\"driver\":\"qcow2\",\"file.filename\":\"b\"}", NULL, NULL },
};

static void names_of_local_files_are_understood(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char format[QC_BACKING_FORMAT_ROOM];
		struct qc_reason why = { 0 };
		char *path;
		qc_err r = qc_backing_name_parse(rows[i].name, &path, format, &why);
		bool right = rows[i].path ? !r && !strcmp(path, rows[i].path) &&
						    !strcmp(format, rows[i].format) :
					    r == -EACCES && !path && *why.text;

		if (!right)
			printf("# %s: %d %s\n", rows[i].name, r, why.text);
		CHECK(right);
		free(path);
	}
}

int main(void)
{
	RUN(names_of_local_files_are_understood);
	return DONE();
}
