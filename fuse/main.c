/* SPDX-License-Identifier: MIT */
/*
 * main.c - finds the command, and calls it; without a command the program mounts.
 */
#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/option_table.h"
#include "cli/options.h"
#include "commands/commands.h"
#include "daemon/mount_helper.h"
#include "daemon/serve.h"
#include "sandbox/seccomp.h"
#include "util/inherited.h"
#include "util/report.h"
#include "version.h"
#include "views/partition_table.h"

static const struct command_row {
	const char *name;
	command_fn *run;
	const char *usage; /* for --help: without the options of all commands */
} commands[] = {
	{ "amend", cmd_amend, "-o OPTIONS IMAGE" },
	{ "bitmap", cmd_bitmap, "--add|--remove|--clear|--enable|--disable|--merge SRC IMAGE BITMAP" },
	{ "check", cmd_check, "[--json] [-r leaks|all] IMAGE" },
	{ "commit", cmd_commit, "[-b BASE] [-d] IMAGE" },
	{ "compact", cmd_compact, "IMAGE" },
	{ "compare", cmd_compare, "[-s] [-f FMT] [-F FMT] A B" },
	{ "convert", cmd_convert, "[-c] [-n] [-O FMT] [-o OPTIONS] [-l SNAPSHOT] SRC DST" },
	{ "create", cmd_create, "[-f FMT] [-o OPTIONS] [-b BASE [-F FMT]] IMAGE [SIZE]" },
	{ "info", cmd_info, "[--json] [--backing-chain] IMAGE" },
	{ "key", cmd_key, "list|add|remove [--slot=N] [--new-key-file=PATH] IMAGE" },
	{ "map", cmd_map, "[--json] [--start-offset=N] [--max-length=N] IMAGE" },
	{ "measure", cmd_measure, "[--json] [-O FMT] [-o OPTIONS] --size=N|SRC" },
	{ "rebase", cmd_rebase, "[-u] -b NEW [-F FMT] IMAGE" },
	{ "resize", cmd_resize, "[--shrink] [--preallocation=MODE] IMAGE [+|-]SIZE" },
	{ "snapshot", cmd_snapshot, "[-l | -c NAME | -a NAME | -d NAME] IMAGE" },
};

static const struct command_row *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

/* Runs a command; @before are the options before its name. */
static int run_command(const struct command_row *command, const struct options_before *before,
		       int argc, char **argv)
{
	if (before->mounting) {
		report(QC_LOG_ERROR, "%s: -%c is for mounting (an image of that name is written ./%s)",
		       command->name, before->mounting, command->name);
		return EXIT_USAGE;
	}
	report_set_verbosity(before->verbose);
	return command->run(argc, argv);
}

static void print_help(void)
{
	option_table_help();
	printf("\nor a command, with options as \"qcowfs COMMAND --help\" lists them:\n\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		printf("    qcowfs %-8s %s\n", commands[i].name, commands[i].usage);
}

static void print_version(void)
{
	char text[80];

	printf("qcowfs %s\nlibfuse %s\n", QCOWFS_VERSION, fuse_pkgversion());
	for (unsigned int i = 0; qc_library(i, text, sizeof(text)); i++)
		puts(text);
	printf("libblkid %s\n", partition_table_library() ? partition_table_library() : "none");
	seccomp_library(text, sizeof(text));
	printf("libseccomp %s\n", text);
	printf("libjansson %s\n", JANSSON_VERSION);
}

static enum exitcode mount_or_print(int argc, char **argv)
{
	struct options o;
	bool helper = mount_helper_is_called(argv[0]);
	enum exitcode e = helper ? mount_helper_parse(&o, argc, argv) : options_parse(&o, argc, argv);

	if (!e && o.action == ACTION_HELP) {
		print_help();
	} else if (!e && o.action == ACTION_VERSION) {
		print_version();
	} else if (!e && o.action == ACTION_MOUNT) {
		report_set_verbosity(o.verbose ? o.verbose : o.debug);
		e = serve_source(&o, argv);
	}
	options_free(&o);
	return e;
}

int main(int argc, char **argv)
{
	const struct command_row *command;
	struct options_before before;
	int at;

	if (inherited_repair())
		return EXIT_RUNNING;
	at = mount_helper_is_called(argv[0]) ? 0 : options_first_operand(argc, argv, &before);
	command = at ? find_command(argv[at]) : NULL;
	if (command)
		return run_command(command, &before, argc - at, argv + at);
	return mount_or_print(argc, argv);
}
