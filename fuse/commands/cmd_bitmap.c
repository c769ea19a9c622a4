/* SPDX-License-Identifier: MIT */
/*
 * cmd_bitmap.c - qcowfs bitmap: add, remove and change dirty bitmaps, as qemu-img bitmap does.
 *
 * Actions run in the order in which they are given, and each is durable before the next one.
 */
#include "commands/commands.h"

#include <errno.h>
#include <string.h>

#include "commands/bitmap_actions.h"
#include "util/report.h"

static int set_bitmap_option(void *to, int id, const char *value)
{
	struct bitmap_actions *a = to;

	if (id == 'b')
		a->file = value;
	if (id == 'g')
		return create_options_size(value, &a->granularity) || !a->granularity ? -EINVAL : 0;
	if (id == 'F')
		return strcmp(value, "qcow2") ? -EINVAL : 0; /* no other format has bitmaps */
	if (id == 'b')
		return 0;
	if (a->n == BITMAP_ACTIONS_MAX) {
		report(QC_LOG_ERROR, "bitmap: more than %d actions", BITMAP_ACTIONS_MAX);
		return -ECANCELED;
	}
	a->action[a->n].source = value;
	a->action[a->n++].id = id;
	a->adds = a->adds || id == BITMAP_ADD;
	a->merges = a->merges || id == BITMAP_MERGE;
	return 0;
}

static const struct command_option bitmap_options[] = {
	{ BITMAP_ADD, "add", NULL, "add an enabled bitmap, which records writes from now on" },
	{ BITMAP_REMOVE, "remove", NULL, "remove the bitmap" },
	{ BITMAP_CLEAR, "clear", NULL, "clear all bits" },
	{ BITMAP_ENABLE, "enable", NULL, "let it record writes" },
	{ BITMAP_DISABLE, "disable", NULL, "let it record no writes" },
	{ BITMAP_MERGE, "merge", "NAME", "set the bits that are set in the bitmap NAME, too" },
	{ 'g', "granularity", "SIZE", "with --add: bytes for each bit, 512 to 2G (the cluster size, 4K to 64K)" },
	{ 'b', "source-file", "FILE", "with --merge: the image that has the bitmap NAME" },
	{ 'F', "source-format", "qcow2", "the format of FILE" },
	{ 0 },
};

static const struct command_spec spec = {
	.name = "bitmap",
	.summary = "Adds, removes or changes a persistent dirty bitmap",
	.operands = "IMAGE BITMAP",
	.min_operands = 2,
	.images = 1,
	.max_operands = 2,
	.options = bitmap_options,
	.set = set_bitmap_option,
};

static const char *find_contradiction(const struct bitmap_actions *a)
{
	return !a->n ? "nothing to do: --add, --remove, --clear, --enable, --disable or --merge" :
	       a->granularity && !a->adds ? "-g is only for --add" :
	       a->file && !a->merges ? "-b is only for --merge" : NULL;
}

int cmd_bitmap(int argc, char **argv)
{
	struct bitmap_actions a = { 0 };
	struct command c;
	int status = command_begin(&c, &spec, &a, argc, argv);
	const char *wrong = status == COMMAND_RUN ? find_contradiction(&a) : NULL;

	if (wrong)
		report(QC_LOG_ERROR, "bitmap: %s", wrong);
	if (wrong)
		status = COMMAND_FAILED;
	else if (status == COMMAND_RUN)
		status = bitmap_actions_run(&c, &a);
	return command_end(&c, status);
}
