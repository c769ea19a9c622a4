/* SPDX-License-Identifier: MIT */
/*
 * option_setters.h - store the value of an -o option; for the table in option_table.c.
 *
 * @value is NULL for an option without one.  Each returns 0; -EINVAL: the value is not of the
 * kind that the table shows; -EBADF: no such descriptor; -EOPNOTSUPP: not built in; -ENOMEM;
 * -ECANCELED after a message that names more than the value.
 */
#ifndef OPTION_SETTERS_H
#define OPTION_SETTERS_H

#include "cli/options_fields.h"

typedef int option_setter(struct options *o, const char *value);

option_setter option_set_ro,
	option_set_rw,
	option_set_forensic,
	option_set_cow_file,
	option_set_create,
	option_set_compress,
	option_set_lost,
	option_set_doubtful,
	option_set_damage,
	option_set_rescue_plan,
	option_set_damage_dir,
	option_set_backing,
	option_set_locking,
	option_add_path_map,
	option_set_verify,
	option_set_discard,
	option_set_keep_bitmaps,
	option_set_data_file,
	option_set_key_file,
	option_set_key_dir,
	option_set_key_fd,
	option_set_cache_size,
	option_set_threads,
	option_set_io_uring,
	option_set_io_uring_depth,
	option_set_timeout,
	option_set_ready_fd,
	option_set_pid_file,
	option_set_sandbox,
	option_set_uid,
	option_set_gid,
	option_set_umask,
	option_set_fsname,
	option_set_subtype,
	option_set_context,
	option_set_fscontext,
	option_set_defcontext,
	option_set_rootcontext;

#endif
