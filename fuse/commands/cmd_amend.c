/* SPDX-License-Identifier: MIT */
/*
 * cmd_amend.c - qcowfs amend: change options of an image, as qemu-img amend does.
 */
#include "commands/commands.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "commands/amend_options.h"
#include "commands/common.h"
#include "commands/interrupt.h"
#include "util/report.h"

static int set_amend_argument(void *to, int id, const char *value)
{
	(void)id;
	return amend_options_parse(to, value);
}

static const struct command_option amend_command_options[] = {
	{ 'o', NULL, "OPTIONS", "compat, data_file, data_file_raw, lazy_refcounts, refcount_bits, size" },
	{ 0 },
};

static const struct command_spec spec = {
	.name = "amend",
	.summary = "Changes options of an image: a list of NAME=VALUE, separated by commas",
	.operands = "IMAGE",
	.min_operands = 1,
	.images = 1,
	.max_operands = 1,
	.options = amend_command_options,
	.set = set_amend_argument,
};

/* The backing file may be named, but not changed. */
static qc_err check_backing(struct command *c, const struct amend_options *a, struct qc_reason *why)
{
	struct qc_layer_info info;
	struct qc_image *img;
	bool same;
	qc_err r;

	if (!a->backing && !a->backing_format)
		return 0;
	r = command_try_open(c, c->operand[0], QC_OPEN_HEADERS_ONLY | QC_OPEN_NO_BACKING, &img, why);
	if (r)
		return r;
	r = qc_get_layer_info(img, 0, &info);
	same = !r && (!a->backing || !strcmp(a->backing, info.backing)) &&
	       (!a->backing_format || !strcmp(a->backing_format, info.backing_format));
	qc_layer_info_free(&info);
	qc_close(img);
	if (!r && !same)
		*why = (struct qc_reason){ .text = "cannot change the backing file (qcowfs rebase "
						   "does that)" };
	return r || same ? r : -EINVAL;
}

/* Grows before a downgrade: version 2 cannot hide the bytes of a longer backing file. */
static qc_err change_image(struct command *c, const struct amend_options *a, struct qc_image *img,
			   struct qc_reason *why)
{
	qc_err r = check_backing(c, a, why);

	if (!r)
		r = qc_amend_check(img, &a->o, why);
	if (!r && a->size && a->o.version == 2)
		r = qc_resize(img, a->size);
	if (!r)
		r = qc_amend(img, &a->o, why);
	if (!r && a->size && a->o.version != 2)
		r = qc_resize(img, a->size);
	return r ? r : qc_flush(img);
}

static int amend_image(struct command *c, const struct amend_options *a)
{
	unsigned int flags = QC_OPEN_WRITE | (a->size ? 0 : QC_OPEN_NO_BACKING);
	struct qc_reason why = { 0 };
	struct qc_image *img;
	qc_err r;
	int status;

	c->interrupted = interrupt_is_pending;
	status = command_open(c, c->operand[0], flags, &img);
	if (status != COMMAND_OK)
		return status;
	interrupt_catch();
	r = change_image(c, a, img, &why);
	qc_close(img);
	if (!r)
		command_show_progress(c, 1, 1);
	if (r == -ECANCELED)
		why = (struct qc_reason){ .text = "interrupted (run it again for the rest)" };
	if (r == -EOPNOTSUPP && !*why.text) /* the resize has reported why */
		return COMMAND_FAILED;
	return r ? command_fail(c->operand[0], r, &why) : COMMAND_OK;
}

int cmd_amend(int argc, char **argv)
{
	struct amend_options a = { 0 };
	struct command c;
	int status = command_begin(&c, &spec, &a, argc, argv);

	if (status == COMMAND_RUN && !a.any) {
		report(QC_LOG_ERROR, "amend: no options to change (-o OPTIONS)");
		status = COMMAND_FAILED;
	}
	if (status == COMMAND_RUN)
		status = amend_image(&c, &a);
	free(a.text);
	return command_end(&c, status);
}
