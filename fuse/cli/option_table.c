/* SPDX-License-Identifier: MIT */
/*
 * option_table.c - one table of all -o options.
 *
 * --help prints it, completion reads that, and a test compares the manual page with it.
 */
#include "cli/option_table.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "cli/option_setters.h"

static const struct option_spec specs[] = {
	{ "ro", NULL, "open every file for reading only", option_set_ro, false, 0 },
	{ "rw", NULL, "open files for writing where that is asked for (the default)", option_set_rw, false, 0 },
	{ "snapshots", NULL, "show NAME.snapshots, with the snapshots of each image", NULL, false,
	  offsetof(struct options, snapshots) },
	{ "chain", NULL, "show NAME.chain, with each image as seen from its backing files", NULL,
	  false, offsetof(struct options, chain) },
	{ "info", NULL, "show NAME.json, which says what each image is", NULL, false,
	  offsetof(struct options, info) },
	{ "bitmaps", NULL, "show NAME.bitmaps, with the dirty bitmaps of each image", NULL, false,
	  offsetof(struct options, bitmaps) },
	{ "partitions", NULL, "show NAME.p1.raw, NAME.p2.raw, ..., the partitions of each image",
	  NULL, false, offsetof(struct options, partitions) },
	{ "forensic", NULL, "ro,snapshots,chain,info,bitmaps,unallocated, and leave no trace in the source",
	  option_set_forensic,
	  false, 0 },
	{ "unallocated", NULL, "ro, and show the bytes that an image file holds beside its disks",
	  NULL, false, offsetof(struct options, unallocated) },
	{ "rescue", NULL, "ro, and serve what a damaged image still holds, with NAME.map", NULL, false,
	  offsetof(struct options, rescue) },
	{ "rescue", "PLAN", "the same; where its tables are is read from PLAN, or written to it",
	  option_set_rescue_plan, false, 0 },
	{ "lost", "eio|zeros|mark", "what is read where bytes are lost (eio)", option_set_lost, false, 0 },
	{ "doubtful", "serve|lost", "what becomes of bytes that rescue finds doubtful (serve)",
	  option_set_doubtful, false, 0 },
	{ "damage", "FILE", "a mapfile of ddrescue: what it could not read of the image is lost",
	  option_set_damage, false, 0 },
	{ "damage-dir", "DIR", "a folder with a mapfile NAME.map for each image NAME",
	  option_set_damage_dir, false, 0 },
	{ "cow", NULL, "the images stay as they are: writes go to temporary overlays", NULL, false,
	  offsetof(struct options, cow) },
	{ "cow", "FILE", "the image stays as it is: writes go to FILE, an overlay of it",
	  option_set_cow_file, false, 0 },
	{ "create", NULL, "make, rename and remove images and folders through the mount", NULL, false,
	  offsetof(struct options, create) },
	{ "create", "OPTION=VALUE:...", "the same; new images get the options of qcowfs create -o",
	  option_set_create, false, offsetof(struct options, create) },
	{ "compress", NULL, "store whole clusters compressed", NULL, false,
	  offsetof(struct options, compress) },
	{ "compress", "LEVEL", "the same, by this level of the image's method: 1 to 22",
	  option_set_compress, false, offsetof(struct options, compress) },
	{ "write-base", NULL, "allow writing to images that are backing files of others", NULL, false,
	  offsetof(struct options, write_base) },
	{ "backing", "samedir|any|none",
	  "which backing and data files an image may name (samedir)", option_set_backing, false, 0 },
	{ "backing-map", "OLD:NEW", "look for backing files below NEW instead of OLD", option_add_path_map,
	  false, 0 },
	{ "data-file", "NAME[=PATH]", "the external data file that an image may write to", option_set_data_file,
	  false, 0 },
	{ "discard", "unmap|ignore", "what becomes of the space of punched holes (unmap)",
	  option_set_discard, false, 0 },
	{ "keep-bitmaps", "on|off", "keep dirty bitmaps true, or remove them at the first write (on)",
	  option_set_keep_bitmaps, false, 0 },
	{ "key-file", "PATH", "the passphrase of encrypted images, to the end of the file",
	  option_set_key_file, false, 0 },
	{ "key-fd", "N", "the same, from a descriptor that is open", option_set_key_fd, false, 0 },
	{ "key-dir", "DIR", "a folder with a file NAME.key for each encrypted image NAME",
	  option_set_key_dir, false, 0 },
	{ "locking", "on|off|share",
	  "keep off images that QEMU uses; share: read a live one (on)", option_set_locking, false, 0 },
	{ "verify", "on|off",
	  "compare refcounts with the tables before the first write (on if quick)", option_set_verify,
	  false, 0 },
	{ "cache-size", "SIZE", "memory for the tables of one image (32M)", option_set_cache_size,
	  false, 0 },
	{ "threads", "N", "most worker threads (from the machine)", option_set_threads, false, 0 },
	{ "io_uring", NULL, "take requests from the kernel by io_uring", option_set_io_uring, true, 0 },
	{ "io_uring_q_depth", "N", "places for requests, for each processor (8)",
	  option_set_io_uring_depth, true, 0 },
	{ "direct_io", NULL, "by-pass the page cache of the kernel", NULL, false,
	  offsetof(struct options, direct_io) },
	{ "timeout", "SECONDS", "leave when nothing was open for so long", option_set_timeout, false, 0 },
	{ "ready-fd", "N", "write a line 'ready' to this descriptor once the mount stands",
	  option_set_ready_fd, false, 0 },
	{ "pid-file", "PATH", "write the daemon's process id into this file", option_set_pid_file, false, 0 },
	{ "sandbox", "on|off", "give up what serving does not need (on)", option_set_sandbox, false, 0 },
	{ "allow_other", NULL, "let other users in, as the files' modes say", NULL, true,
	  offsetof(struct options, allow_other) },
	{ "allow_root", NULL, "let root in", NULL, true, 0 },
	{ "auto_unmount", NULL, "unmount even if the daemon is killed", NULL, true,
	  offsetof(struct options, auto_unmount) },
	{ "default_permissions", NULL, "have the kernel check the modes", NULL, false,
	  offsetof(struct options, default_permissions) },
	{ "uid", "N", "show all files as owned by this user", option_set_uid, false, 0 },
	{ "gid", "N", "show all files as owned by this group", option_set_gid, false, 0 },
	{ "umask", "OCTAL", "take these bits off all modes", option_set_umask, false, 0 },
	{ "fsname", "NAME", "name in the list of mounts (SOURCE)", option_set_fsname, false, 0 },
	{ "subtype", "NAME", "type in the list of mounts (qcowfs)", option_set_subtype, false, 0 },
	{ "context", "CONTEXT", "SELinux context of all files; as mount(8) has it", option_set_context, false, 0 },
	{ "fscontext", "CONTEXT", "SELinux context of the file system", option_set_fscontext, false, 0 },
	{ "defcontext", "CONTEXT", "SELinux context of files without one", option_set_defcontext, false, 0 },
	{ "rootcontext", "CONTEXT", "SELinux context of the root", option_set_rootcontext, false, 0 },
	/* Options of mount(8) that go to the kernel. */
	{ "nosuid", NULL, NULL, NULL, true, 0 },
	{ "nodev", NULL, NULL, NULL, true, 0 },
	{ "noexec", NULL, NULL, NULL, true, 0 },
	{ "noatime", NULL, NULL, NULL, true, 0 },
};

/* Options that mount(8) passes to every file system, and that mean nothing here. */
static const char *const ignored[] = {
	"suid", "dev", "exec", "atime", "diratime", "nodiratime",
	"relatime", "norelatime", "strictatime", "nostrictatime", "lazytime", "nolazytime",
	"sync", "async", "dirsync", "silent", "loud", "defaults",
	"auto", "noauto", "nofail", "_netdev", "user", "users",
	"nouser", "owner", "group", "mand", "nomand", "iversion",
	"noiversion", "nosymfollow",
};

bool option_table_is_ignored(const char *name)
{
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		if (!strcmp(name, ignored[i]))
			return true;
	return !strncmp(name, "x-", 2) || !strncmp(name, "X-", 2) ||
	       !strncmp(name, "comment=", 8) || !strncmp(name, "user=", 5);
}

const struct option_spec *option_table_find(const char *name, bool value)
{
	const struct option_spec *found = NULL;

	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++)
		if (!strcmp(specs[i].name, name) && (!found || value))
			found = &specs[i];
	return found;
}

void option_table_help(void)
{
	printf("usage: qcowfs [options] SOURCE MOUNTPOINT\n"
	       "\n"
	       "Shows the QCOW image SOURCE, or all those in the folder SOURCE, as raw files.\n"
	       "MOUNTPOINT is a folder; for one image, a file will do, which then is the disk.\n"
	       "\n"
	       "    -h, --help              print this\n"
	       "    -V, --version           print the versions\n"
	       "    -v                      log more\n"
	       "    -f                      stay in the foreground\n"
	       "    -d                      log every request (implies -f)\n"
	       "    -s                      serve with one thread\n"
	       "    -r                      the same as -o ro\n"
	       "    -o OPTION[,OPTION...]   as below; may be given again\n"
	       "\n");
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		char left[64];

		if (!specs[i].help)
			continue;
		snprintf(left, sizeof(left), "%s%s%s", specs[i].name, specs[i].arg ? "=" : "",
			 specs[i].arg ? specs[i].arg : "");
		printf("    -o %-26s %s\n", left, specs[i].help);
	}
	printf("\nunmount with: umount MOUNTPOINT, or fusermount3 -u MOUNTPOINT\n");
}
