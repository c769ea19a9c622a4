/* SPDX-License-Identifier: MIT */
#include "ops/op_table.h"

#include "ops/limited_ops.h"
#include "ops/ops.h"

const struct fuse_lowlevel_ops op_table = {
	.init = op_init,
	.statfs = op_statfs,
	.lookup = limited_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = limited_getattr,
	.getxattr = limited_getxattr,
	.listxattr = limited_listxattr,
	.setattr = limited_setattr,
	.opendir = limited_opendir,
	.readdir = op_readdir,
	.readdirplus = limited_readdirplus,
	.releasedir = op_releasedir,
	.fsyncdir = op_fsyncdir,
	.open = limited_open,
	.release = limited_release,
	.read = limited_read,
	.lseek = limited_lseek,
	.write = limited_write,
	.fallocate = limited_fallocate,
	.fsync = limited_fsync,
	.flush = limited_flush,
	.mkdir = op_mkdir,
	.rmdir = op_rmdir,
	.rename = op_rename,
	.mknod = op_mknod,
	.unlink = op_unlink,
	.symlink = op_symlink,
	.link = op_link,
	.create = op_create,
};
