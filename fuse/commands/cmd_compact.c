/* SPDX-License-Identifier: MIT */
/*
 * cmd_compact.c - qcowfs compact: make an image file shorter, in place.
 */
#include "commands/commands.h"

#include <inttypes.h>
#include <stdio.h>

#include "commands/common.h"
#include "commands/interrupt.h"

static const struct command_option compact_options[] = { { 0 } };

static const struct command_spec spec = {
	.name = "compact",
	.summary = "Moves clusters from the end of an image file into free ones, and cuts the file",
	.operands = "IMAGE",
	.min_operands = 1,
	.images = 1,
	.max_operands = 1,
	.options = compact_options,
};

/* A qc_compact_fn; the line of progress ends when all is done. */
static bool show_moved(void *arg, uint64_t done, uint64_t total)
{
	if (done < total)
		command_show_progress(arg, done, total);
	return !interrupt_has_come();
}

static int compact_image(struct command *c)
{
	struct qc_compact_result result;
	struct qc_reason why = { 0 };
	struct qc_image *img;
	int status = command_open(c, c->operand[0], QC_OPEN_WRITE | QC_OPEN_NO_BACKING, &img);
	qc_err r;

	if (status != COMMAND_OK)
		return status;
	interrupt_catch();
	r = qc_compact(img, show_moved, c, &result, &why);
	qc_close(img);
	if (r)
		return command_fail(c->operand[0], r, &why);
	if (result.interrupted)
		return command_fail(c->operand[0], 0, &(struct qc_reason){ .text = "interrupted (what "
				    "is done stays; run it again for the rest)" });
	command_show_progress(c, 1, 1);
	if (!c->quiet)
		printf("%" PRIu64 " bytes before, %" PRIu64 " after.\n", result.bytes_before,
		       result.bytes_after);
	return COMMAND_OK;
}

int cmd_compact(int argc, char **argv)
{
	struct command c;
	int status = command_begin(&c, &spec, NULL, argc, argv);

	if (status == COMMAND_RUN)
		status = compact_image(&c);
	return command_end(&c, status);
}
