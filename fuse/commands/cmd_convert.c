/* SPDX-License-Identifier: MIT */
/*
 * cmd_convert.c - qcowfs convert: copy a disk to a file of another format, as qemu-img convert.
 *
 * A new file that is half made when the copy fails, or is interrupted, is removed.
 */
#include "commands/commands.h"

#include <errno.h>

#include "commands/convert_bitmaps.h"
#include "commands/convert_target.h"
#include "commands/interrupt.h"
#include "commands/rate_limit.h"
#include "util/report.h"

static const struct command_spec spec = {
	.name = "convert",
	.summary = "Copies a disk to a new file: raw, qcow or qcow2",
	.operands = "SRC DST",
	.min_operands = 2,
	.images = 1,
	.max_operands = 2,
	.options = convert_options_table,
	.set = convert_options_set,
};

static qc_err copy_disk(struct command *c, const struct convert_args *a,
			const struct source_disk *s, const struct convert_target *t,
			struct qc_image *areas)
{
	struct rate_limit limit = { .command = c, .rate = a->rate };
	unsigned int flags = areas ? t->copy_flags & ~(unsigned int)QC_COPY_DIFFERENCES : t->copy_flags;
	struct qc_copy copy = {
		.from = { s->img, s->fd, s->size },
		.to = t->disk,
		.areas = areas,
		.flags = flags | (a->compress ? QC_COPY_COMPRESS : 0) |
			 (a->any_order ? QC_COPY_ANY_ORDER : 0) | (a->full ? QC_COPY_FULL : 0) |
			 (a->salvage ? QC_COPY_SALVAGE : 0),
		.requests = a->requests,
		.zero_bytes = a->zero_bytes,
		.progress = rate_limit_progress,
		.arg = &limit,
	};
	qc_err r = qc_copy(&copy);

	return r == -ECANCELED ? -EINTR : r;
}

static int convert(struct command *c, struct convert_args *a, const struct source_disk *s,
		   struct qc_image *areas)
{
	const char *path = c->operand[1];
	struct convert_target t;
	int status = convert_target_open(c, a, s, path, &t);
	qc_err r = status == COMMAND_OK ? 0 : -ECANCELED;

	if (!r && !(t.copy_flags & QC_COPY_STREAM))
		interrupt_catch();
	if (!r && t.copy_flags & QC_COPY_STREAM)
		c->quiet = true;
	if (!r)
		r = copy_disk(c, a, s, &t, areas);
	if (!r)
		r = convert_bitmaps_copy_all(a, c->operand[0], s, t.disk.img);
	r = convert_target_close(&t, path, r, a->sync);
	if (r == -EINTR)
		report(QC_LOG_ERROR, "%s: interrupted%s", path, t.is_new ? ", and removed" : "");
	else if (r && r != -ECANCELED)
		command_fail(path, r, NULL);
	return r ? COMMAND_FAILED : COMMAND_OK;
}

static int convert_source(struct command *c, struct convert_args *a)
{
	struct source_disk s = { .fd = -1 };
	struct qc_image *areas = NULL;
	const char *data_file = a->options.o.data_file;
	int status = convert_options_check(a, c);

	/* A new image is of no use before it is whole.  One that exists stays sound. */
	c->no_sync = !a->existing && !a->sync;
	c->direct_writes = true;
	if (status == COMMAND_OK && data_file && options_set(&c->o, "data-file", data_file))
		status = COMMAND_FAILED;
	if (status == COMMAND_OK)
		status = source_disk_open_as(c, c->operand[0], c->format[0], &s);
	if (status == COMMAND_OK)
		status = convert_bitmaps_open_areas(a, c->operand[0], &s, &areas);
	if (status == COMMAND_OK && a->snapshot)
		status = source_disk_select_snapshot(c->operand[0], a->snapshot, &s);
	if (status == COMMAND_OK)
		status = convert(c, a, &s, areas);
	if (areas)
		qc_close(areas);
	source_disk_close(&s);
	return status;
}

int cmd_convert(int argc, char **argv)
{
	struct convert_args a = { 0 };
	struct command c;
	int status = command_begin(&c, &spec, &a, argc, argv);

	if (status == COMMAND_RUN)
		status = convert_source(&c, &a);
	create_options_free(&a.options);
	return command_end(&c, status);
}
