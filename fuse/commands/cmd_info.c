/* SPDX-License-Identifier: MIT */
/*
 * cmd_info.c - qcowfs info: what the header of an image says, as qemu-img info shows it.
 *
 * Only headers are read, so no passphrase is needed.  An image whose backing file is missing is
 * shown; one that is locked for writing is not, without -U, as it may change meanwhile.
 */
#include "commands/commands.h"

#include <jansson.h>
#include <stdio.h>

#include "commands/chain_info.h"
#include "commands/common.h"
#include "info/qemu_img_text.h"

enum { CHAIN = 256 };

struct info_args {
	bool chain;
};

static int set_info_option(void *to, int id, const char *value)
{
	struct info_args *a = to;

	(void)id, (void)value;
	a->chain = true;
	return 0;
}

static const struct command_option info_options[] = {
	{ CHAIN, "backing-chain", NULL, "show all files of the chain, from IMAGE down" },
	{ 0 },
};

static const struct command_spec spec = {
	.name = "info",
	.summary = "Shows what an image is: format, size, backing file, snapshots, bitmaps",
	.operands = "IMAGE",
	.min_operands = 1,
	.images = 1,
	.max_operands = 1,
	.has_json = true,
	.options = info_options,
	.set = set_info_option,
};

static void print_list(const struct command *c, const struct info_args *a, const json_t *list)
{
	if (c->json) {
		json_dumpf(a->chain ? list : json_array_get(list, 0), stdout, JSON_INDENT(4));
		putchar('\n');
		return;
	}
	for (size_t i = 0; i < json_array_size(list); i++) {
		if (i)
			putchar('\n');
		qemu_img_text_print(stdout, json_array_get(list, i));
	}
}

/* Returns true if the header of the image itself is why it cannot be used. */
static bool is_refused(struct qc_image *img)
{
	struct qc_layer_info f;
	bool refused = qc_get_layer_info(img, 0, &f) || f.refused;

	qc_layer_info_free(&f);
	return refused;
}

static int show_info(struct command *c, const struct info_args *a)
{
	const char *path = c->operand[0];
	json_t *list = json_array();
	struct qc_reason why;
	struct qc_image *img;
	qc_err r = command_try_open(c, path, QC_OPEN_HEADERS_ONLY | QC_OPEN_INSPECT, &img, &why);
	bool shown = img && why.cause != QC_CAUSE_LOCKED && (c->json || !is_refused(img));
	int status = COMMAND_OK;

	if (r && (!shown || a->chain || is_refused(img)))
		status = command_fail(path, r, &why);
	if (shown) {
		if (chain_info_add_image(c, list, path, img, &why) ||
		    (a->chain && chain_info_add_backing(c, list, img)))
			status = COMMAND_FAILED;
		print_list(c, a, list);
	}
	if (img)
		qc_close(img);
	json_decref(list);
	return status;
}

int cmd_info(int argc, char **argv)
{
	struct info_args a = { 0 };
	struct command c;
	int status = command_begin(&c, &spec, &a, argc, argv);

	if (status == COMMAND_RUN)
		status = show_info(&c, &a);
	return command_end(&c, status);
}
