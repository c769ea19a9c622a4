/* SPDX-License-Identifier: MIT */
/*
 * cmd_create.c - qcowfs create: make an empty image, as qemu-img create does.
 *
 * The backing file is looked at, unless -u says not to, for its size and so that a misspelt name
 * is noticed now.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/create_options.h"
#include "commands/commands.h"
#include "commands/common.h"
#include "commands/new_image_file.h"
#include "util/report.h"

struct create_args {
	struct create_options options;
	const char *format;
	bool unsafe; /* do not look at the backing file */
};

static int set_create_arg(void *to, int id, const char *value)
{
	struct create_args *a = to;

	switch (id) {
	case 'o':
		return command_add_create_options(&a->options, value);
	case 'f':
		a->format = value;
		return strcmp(value, "qcow2") && strcmp(value, "qcow") ? -EINVAL : 0;
	case 'b':
		a->options.o.backing = value;
		return 0;
	case 'F':
		a->options.o.backing_format = value;
		return 0;
	default:
		a->unsafe = true;
		return 0;
	}
}

static const struct command_option create_args_table[] = {
	{ 'f', NULL, "qcow2|qcow", "format of the image (qcow2; qcow is version 1)" },
	{ 'o', NULL, "OPTION=VALUE,...", "compat, cluster_size, ...: see qcowfs-commands(1)" },
	{ 'b', NULL, "BASE", "backing file; a relative name is relative to IMAGE" },
	{ 'F', NULL, "raw|qcow|qcow2", "format of the backing file" },
	{ 'u', NULL, NULL, "do not look at the backing file" },
	{ 0 },
};

static const struct command_spec spec = {
	.name = "create",
	.summary = "Makes an empty image, or an overlay of a backing file",
	.operands = "IMAGE [SIZE]",
	.min_operands = 1,
	.images = 1,
	.max_operands = 2,
	.options = create_args_table,
	.set = set_create_arg,
};

/* Takes the size of the disk from the operand, the options or the backing file. */
static int find_disk_size(struct command *c, struct create_args *a)
{
	struct qc_create_options *o = &a->options.o;
	bool backing = o->backing && *o->backing;
	uint64_t base_size;

	if (c->operands > 1) {
		if (create_options_size(c->operand[1], &o->size)) {
			report(QC_LOG_ERROR, "%s: '%s' is no size (such as 20G)", c->operand[0],
			       c->operand[1]);
			return COMMAND_FAILED;
		}
		a->options.has_size = true;
	}
	if (backing && !a->unsafe) {
		if (new_image_file_look_at_base(c, c->operand[0], o, &base_size))
			return COMMAND_FAILED;
		if (!a->options.has_size)
			o->size = base_size;
		return COMMAND_OK;
	}
	if (a->options.has_size)
		return COMMAND_OK;
	report(QC_LOG_ERROR, "%s: an image needs a size (qcowfs create IMAGE 20G)", c->operand[0]);
	return COMMAND_FAILED;
}

static int create_image(struct command *c, struct create_args *a)
{
	struct qc_create_options *o = &a->options.o;
	int status;

	if (a->format && !strcmp(a->format, "qcow"))
		o->version = 1;
	status = find_disk_size(c, a);
	if (status == COMMAND_OK)
		status = new_image_file_create(c, c->operand[0], &a->options);
	if (status == COMMAND_OK && !c->quiet)
		create_options_print_formatting(&a->options, c->operand[0]);
	return status;
}

int cmd_create(int argc, char **argv)
{
	struct create_args a = { 0 };
	struct command c;
	int status = command_begin(&c, &spec, &a, argc, argv);

	if (status == COMMAND_RUN)
		status = create_image(&c, &a);
	create_options_free(&a.options);
	return command_end(&c, status);
}
