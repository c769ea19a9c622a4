/* SPDX-License-Identifier: MIT */
/*
 * cmd_snapshot.c - qcowfs snapshot: list, take and delete snapshots, and go back to one, as
 * qemu-img snapshot does.
 */
#include "commands/commands.h"

#include <errno.h>

#include "commands/common.h"
#include "commands/snapshot_change.h"
#include "commands/snapshot_list.h"
#include "util/report.h"

struct snapshot_args {
	int action; /* a letter of snapshot_options; 0: none was given */
	const char *name;
};

static int set_snapshot_option(void *to, int id, const char *value)
{
	struct snapshot_args *a = to;

	if (a->action) {
		report(QC_LOG_ERROR, "snapshot: -l, -c, -a and -d exclude each other");
		return -ECANCELED;
	}
	a->action = id;
	a->name = value;
	return 0;
}

static const struct command_option snapshot_options[] = {
	{ 'l', NULL, NULL, "list the snapshots (the default)" },
	{ 'c', NULL, "NAME", "take a snapshot" },
	{ 'a', NULL, "NAME", "go back to a snapshot: the disk becomes what it was then" },
	{ 'd', NULL, "NAME", "delete a snapshot, by its name or else its ID" },
	{ 0 },
};

static const struct command_spec spec = {
	.name = "snapshot",
	.summary = "Lists, takes or deletes internal snapshots, or goes back to one",
	.operands = "IMAGE",
	.min_operands = 1,
	.images = 1,
	.max_operands = 1,
	.options = snapshot_options,
	.set = set_snapshot_option,
};

int cmd_snapshot(int argc, char **argv)
{
	struct snapshot_args a = { 0 };
	struct command c;
	int status = command_begin(&c, &spec, &a, argc, argv);

	if (status != COMMAND_RUN)
		return command_end(&c, status);
	if (a.action && a.action != 'l')
		status = snapshot_change(&c, c.operand[0], a.action, a.name);
	else
		status = snapshot_list_print(&c, c.operand[0]);
	return command_end(&c, status);
}
