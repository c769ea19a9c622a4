/* SPDX-License-Identifier: MIT */
/* commands.h - the functions of all commands, for the table in main.c; see commands/common.h. */
#ifndef COMMANDS_H
#define COMMANDS_H

typedef int command_fn(int argc, char **argv);

command_fn cmd_amend;
command_fn cmd_bitmap;
command_fn cmd_check;
command_fn cmd_commit;
command_fn cmd_compact;
command_fn cmd_compare;
command_fn cmd_convert;
command_fn cmd_create;
command_fn cmd_info;
command_fn cmd_key;
command_fn cmd_map;
command_fn cmd_measure;
command_fn cmd_rebase;
command_fn cmd_resize;
command_fn cmd_snapshot;

#endif
