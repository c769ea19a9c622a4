/* SPDX-License-Identifier: MIT */
/*
 * cmd_rebase.c - qcowfs rebase: give an image another backing file, as qemu-img rebase does.
 *
 * The disk stays as it is: clusters that differ between the old and the new backing file are
 * copied to the image.  With -u only the name in the header changes.
 */
#include "commands/commands.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "commands/image_format.h"
#include "commands/interrupt.h"
#include "commands/new_image_file.h"
#include "commands/source_disk.h"
#include "util/report.h"

struct rebase_args {
	const char *name, *format; /* -b, -F; NULL: not given */
	bool unsafe;
};

static int set_rebase_option(void *to, int id, const char *value)
{
	struct rebase_args *a = to;

	switch (id) {
	case 'b':
		a->name = value;
		return 0;
	case 'F':
		a->format = value;
		return image_format_is_known(value) ? 0 : -EINVAL;
	case 'f':
		return image_format_is_known(value) && strcmp(value, "raw") ? 0 : -EINVAL;
	default:
		a->unsafe = true;
		return 0;
	}
}

static const struct command_option rebase_options[] = {
	{ 'b', NULL, "NEW", "the new backing file; '': none, the image gets all data" },
	{ 'F', NULL, "raw|qcow|qcow2", "format of the new backing file" },
	{ 'f', NULL, "qcow|qcow2", "accepted, and ignored: the format is found" },
	{ 'u', NULL, NULL, "change the name only: NEW has the same bytes" },
	{ 0 },
};

static const struct command_spec spec = {
	.name = "rebase",
	.summary = "Gives an image another backing file; its disk stays as it is",
	.operands = "IMAGE",
	.min_operands = 1,
	.images = 1,
	.max_operands = 1,
	.options = rebase_options,
	.set = set_rebase_option,
};

static int rename_backing_file(struct command *c, const struct rebase_args *a)
{
	struct qc_backing_name to = { a->name, a->format ? a->format : "" };
	struct command_file f;
	struct qc_reason why = { 0 };
	qc_err r = command_locate(c, c->operand[0], QC_OPEN_HEADERS_ONLY, &f);

	if (!r)
		r = qc_set_backing_name(c->ctx, &f.at, &to, &why);
	command_file_close(&f);
	return r ? command_fail(c->operand[0], r, &why) : COMMAND_OK;
}

/* Rebases the image to an open disk; @new: NULL for none. */
static int rebase_onto(struct command *c, const struct qc_disk *new,
		       const struct qc_backing_name *to)
{
	const char *path = c->operand[0];
	struct qc_image *img;
	struct qc_reason why = { 0 };
	int status = command_open(c, path, QC_OPEN_WRITE, &img);
	qc_err r;

	if (status != COMMAND_OK)
		return status;
	interrupt_catch();
	r = qc_rebase(img, new, to, interrupt_progress, c, &why);
	qc_close(img);
	if (r != -ECANCELED)
		return r ? command_fail(path, r, &why) : COMMAND_OK;
	report(QC_LOG_ERROR, "%s: interrupted: the backing file is the old one", path);
	return COMMAND_FAILED;
}

static int rebase_onto_file(struct command *c, const struct rebase_args *a)
{
	struct qc_create_options o = { .backing = a->name, .backing_format = a->format };
	struct source_disk s = { .fd = -1 };
	struct qc_backing_name to;
	uint64_t size;
	char *path;
	int status = new_image_file_look_at_base(c, c->operand[0], &o, &size);

	if (status != COMMAND_OK)
		return status;
	to = (struct qc_backing_name){ a->name, o.backing_format };
	path = new_image_file_base_path(c->operand[0], a->name);
	status = path ? source_disk_open_as(c, path, o.backing_format, &s) :
			command_fail(a->name, -ENOMEM, NULL);
	if (status == COMMAND_OK)
		status = rebase_onto(c, &(struct qc_disk){ s.img, s.fd, s.size }, &to);
	source_disk_close(&s);
	free(path);
	return status;
}

static int rebase(struct command *c, const struct rebase_args *a)
{
	if (!a->name) {
		report(QC_LOG_ERROR, "rebase: -b is missing (-b '' removes the backing file)");
		return COMMAND_FAILED;
	}
	if (a->unsafe)
		return rename_backing_file(c, a);
	if (!*a->name)
		return rebase_onto(c, NULL, &(struct qc_backing_name){ "", "" });
	return rebase_onto_file(c, a);
}

int cmd_rebase(int argc, char **argv)
{
	struct rebase_args a = { 0 };
	struct command c;
	int status = command_begin(&c, &spec, &a, argc, argv);

	if (status == COMMAND_RUN)
		status = rebase(&c, &a);
	return command_end(&c, status);
}
