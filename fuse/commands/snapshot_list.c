/* SPDX-License-Identifier: MIT */
#include "commands/snapshot_list.h"

#include <errno.h>
#include <stdio.h>

#include "info/qemu_img_json.h"
#include "info/qemu_img_text.h"

static qc_err print_snapshot_list(struct qc_snapshots *s)
{
	if (s->n)
		qemu_img_text_print_snapshot_heading(stdout);
	for (size_t i = 0; i < s->n; i++) {
		struct json_report one = { .snapshots = { .n = 1, .at = &s->at[i] } };
		json_t *list = qemu_img_json_snapshots(&one, false);
		bool failed = one.j.failed || !list;

		if (!failed)
			qemu_img_text_print_snapshot(stdout, json_array_get(list, 0));
		json_decref(list);
		if (failed)
			return -ENOMEM;
	}
	return 0;
}

int snapshot_list_print(struct command *c, const char *path)
{
	struct qc_snapshots s = { 0 };
	struct qc_reason why;
	struct qc_image *img;
	/* With QC_OPEN_INSPECT, an image that another program writes is refused. */
	qc_err r = command_try_open(c, path, QC_OPEN_HEADERS_ONLY | QC_OPEN_INSPECT, &img, &why);

	if (!r)
		r = qc_list_snapshots(img, &s);
	if (!r)
		r = print_snapshot_list(&s);
	qc_snapshots_free(&s);
	if (img)
		qc_close(img);
	return r ? command_fail(path, r, &why) : COMMAND_OK;
}
