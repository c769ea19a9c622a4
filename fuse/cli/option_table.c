/* SPDX-License-Identifier: MIT */
/*
 * option_table.c - one table says which -o options there are, and what each does.
 *
 * --help prints it, and the manual page is compared with that.
 */
#include "cli/option_table.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/mount_options.h"
#include "cli/option_values.h"

/* ---- values --------------------------------------------------------------- */

static int parse_word(const char *text, const char *const *words, size_t n, size_t *out)
{
	for (*out = 0; *out < n; ++*out)
		if (!strcmp(text, words[*out]))
			return 0;
	return -EINVAL;
}

static int set_path(char **to, const char *value)
{
	free(*to);
	*to = option_value_absolute(value);
	return *to ? 0 : -ENOMEM;
}

static int set_ro(struct options *o, const char *value)
{
	(void)value;
	o->ro = true;
	o->rw = false;
	return 0;
}

static int set_rw(struct options *o, const char *value)
{
	(void)value;
	o->rw = true;
	o->ro = false;
	return 0;
}

static int set_forensic(struct options *o, const char *value)
{
	(void)value;
	o->forensic = o->snapshots = o->chain = o->info = true;
	return 0;
}

static int set_cow_file(struct options *o, const char *value)
{
	if (!*value)
		return -EINVAL;
	o->cow = true;
	return set_path(&o->cow_file, value);
}

static int set_backing(struct options *o, const char *value)
{
	static const char *const words[] = { "samedir", "any", "none" };
	size_t i;
	int r = parse_word(value, words, 3, &i);

	if (!r)
		o->refs = (enum qc_refs)i;
	return r;
}

static int set_locking(struct options *o, const char *value)
{
	static const char *const words[] = { "on", "share", "off" };
	size_t i;
	int r = parse_word(value, words, 3, &i);

	if (!r)
		o->locking = (enum qc_locking)i;
	return r;
}

static int add_remap(struct options *o, const char *value)
{
	const char *colon = strchr(value, ':');
	struct qc_path_map *more, *map;

	if (!colon || colon == value || !colon[1])
		return -EINVAL;
	more = realloc(o->path_maps, (o->npath_maps + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	o->path_maps = more;
	map = &o->path_maps[o->npath_maps++];
	map->old_prefix = strndup(value, (size_t)(colon - value));
	map->new_prefix = option_value_absolute(colon + 1);
	return map->old_prefix && map->new_prefix ? 0 : -ENOMEM;
}

static int set_verify(struct options *o, const char *value)
{
	static const char *const words[] = { "", "on", "off" };
	size_t i;
	int r = *value ? parse_word(value, words, 3, &i) : -EINVAL;

	if (!r)
		o->verify = (enum qc_verifying)i;
	return r;
}

static int set_discard(struct options *o, const char *value)
{
	static const char *const words[] = { "unmap", "ignore" };
	size_t i;
	int r = parse_word(value, words, 2, &i);

	o->keep_discarded = !r && i == 1;
	return r;
}

static int set_data_file(struct options *o, const char *value)
{
	free(o->data_file);
	o->data_file = strdup(value);
	return o->data_file ? 0 : -ENOMEM;
}

static int set_key_file(struct options *o, const char *value)
{
	return set_path(&o->key_file, value);
}

static int set_key_dir(struct options *o, const char *value)
{
	return set_path(&o->key_dir, value);
}

/* It must be open now: later the number may be one of ours. */
static int set_key_fd(struct options *o, const char *value)
{
	unsigned long long n;
	int r = option_value_number(value, INT_MAX, false, &n);

	if (!r && fcntl((int)n, F_GETFD) < 0)
		r = -EINVAL;
	if (!r)
		o->key_fd = (int)n;
	return r;
}

static int set_cache_size(struct options *o, const char *value)
{
	unsigned long long n;
	int r = option_value_number(value, SIZE_MAX / 4, true, &n);

	if (!r)
		o->cache_bytes = n > 64 * 1024 ? (size_t)n : 64 * 1024;
	return r;
}

static int set_threads(struct options *o, const char *value)
{
	unsigned long long n;
	int r = option_value_number(value, 1024, false, &n);

	if (!r && !n)
		r = -EINVAL;
	if (!r)
		o->threads = (unsigned int)n;
	return r;
}

#ifdef HAVE_RINGS
enum { WITH_RINGS = 1 };
#else
enum { WITH_RINGS = 0 };
#endif

static int set_io_uring(struct options *o, const char *value)
{
	(void)value;
	o->io_uring = true;
	return WITH_RINGS ? 0 : -EOPNOTSUPP;
}

/* Each place has a megabyte. */
static int set_io_uring_depth(struct options *o, const char *value)
{
	unsigned long long n;
	int r = option_value_number(value, 1024, false, &n);

	(void)o;
	return r || !n ? -EINVAL : WITH_RINGS ? 0 : -EOPNOTSUPP;
}

static int set_timeout(struct options *o, const char *value)
{
	unsigned long long n;
	int r = option_value_number(value, INT_MAX, false, &n);

	if (!r)
		o->timeout = (unsigned int)n;
	return r;
}

static int set_ready_fd(struct options *o, const char *value)
{
	unsigned long long n;
	int r = option_value_number(value, INT_MAX, false, &n);

	if (!r)
		o->ready_fd = (int)n;
	return r;
}

static int set_pid_file(struct options *o, const char *value)
{
	return *value ? set_path(&o->pid_file, value) : -EINVAL;
}

static int set_sandbox(struct options *o, const char *value)
{
	static const char *const words[] = { "on", "off" };
	size_t i;
	int r = parse_word(value, words, 2, &i);

	o->no_sandbox = !r && i == 1;
	return r;
}

static int set_uid(struct options *o, const char *value)
{
	unsigned long long n;
	int r = option_value_number(value, UINT_MAX - 1, false, &n);

	o->set_uid = !r;
	o->uid = r ? 0 : (uid_t)n;
	return r;
}

static int set_gid(struct options *o, const char *value)
{
	unsigned long long n;
	int r = option_value_number(value, UINT_MAX - 1, false, &n);

	o->set_gid = !r;
	o->gid = r ? 0 : (gid_t)n;
	return r;
}

static int set_umask(struct options *o, const char *value)
{
	char *end;
	unsigned long n = strtoul(value, &end, 8);

	if (!isdigit((unsigned char)*value) || *end || n > 0777)
		return -EINVAL;
	o->set_umask = true;
	o->umask = (mode_t)n;
	return 0;
}

static int set_fsname(struct options *o, const char *value)
{
	o->set_fsname = true;
	return mount_option_append(o, "fsname", value);
}

static int set_subtype(struct options *o, const char *value)
{
	o->set_subtype = true;
	return mount_option_append(o, "subtype", value);
}

/* ---- the table ------------------------------------------------------------ */

static const struct option_spec specs[] = {
	{ "ro", NULL, "open every file for reading only", set_ro, false, 0 },
	{ "rw", NULL, "open files for writing where that is asked for (the default)", set_rw, false, 0 },
	{ "snapshots", NULL, "show NAME.snapshots, with the snapshots of each image", NULL, false,
	  offsetof(struct options, snapshots) },
	{ "chain", NULL, "show NAME.chain, with each image as seen from its backing files", NULL,
	  false, offsetof(struct options, chain) },
	{ "info", NULL, "show NAME.json, which says what each image is", NULL, false,
	  offsetof(struct options, info) },
	{ "partitions", NULL, "show NAME.p1.raw, NAME.p2.raw, ..., the partitions of each image",
	  NULL, false, offsetof(struct options, partitions) },
	{ "forensic", NULL, "ro,snapshots,chain,info, and leave no trace in the source", set_forensic,
	  false, 0 },
	{ "cow", NULL, "the images stay as they are: writes go to temporary overlays", NULL, false,
	  offsetof(struct options, cow) },
	{ "cow", "FILE", "the image stays as it is: writes go to FILE, an overlay of it",
	  set_cow_file, false, 0 },
	{ "write-base", NULL, "allow writing to images that are backing files of others", NULL, false,
	  offsetof(struct options, write_base) },
	{ "backing", "samedir|any|none",
	  "which backing and data files an image may name (samedir)", set_backing, false, 0 },
	{ "backing-map", "OLD:NEW", "look for backing files below NEW instead of OLD", add_remap,
	  false, 0 },
	{ "data-file", "NAME", "the external data file that an image may write to", set_data_file,
	  false, 0 },
	{ "discard", "unmap|ignore", "what becomes of the space of punched holes (unmap)",
	  set_discard, false, 0 },
	{ "key-file", "PATH", "the passphrase of encrypted images, to the end of the file",
	  set_key_file, false, 0 },
	{ "key-fd", "N", "the same, from a descriptor that is open", set_key_fd, false, 0 },
	{ "key-dir", "DIR", "a folder with a file NAME.key for each encrypted image NAME",
	  set_key_dir, false, 0 },
	{ "locking", "on|off|share",
	  "keep off images that QEMU uses; share: read a live one (on)", set_locking, false, 0 },
	{ "verify", "on|off",
	  "compare refcounts with the tables before the first write (on if quick)", set_verify,
	  false, 0 },
	{ "cache-size", "SIZE", "memory for the tables of one image (32M)", set_cache_size,
	  false, 0 },
	{ "threads", "N", "most worker threads (from the machine)", set_threads, false, 0 },
	{ "io_uring", NULL, "take requests from the kernel by io_uring", set_io_uring, true, 0 },
	{ "io_uring_q_depth", "N", "places for requests, for each processor (8)",
	  set_io_uring_depth, true, 0 },
	{ "direct_io", NULL, "by-pass the page cache of the kernel", NULL, false,
	  offsetof(struct options, direct_io) },
	{ "timeout", "SECONDS", "leave when nothing was open for so long", set_timeout, false, 0 },
	{ "ready-fd", "N", "write a line 'ready' to this descriptor once the mount stands",
	  set_ready_fd, false, 0 },
	{ "pid-file", "PATH", "write the daemon's process id into this file", set_pid_file, false, 0 },
	{ "sandbox", "on|off", "give up what serving does not need (on)", set_sandbox, false, 0 },
	{ "allow_other", NULL, "let other users in, as the files' modes say", NULL, true,
	  offsetof(struct options, allow_other) },
	{ "allow_root", NULL, "let root in", NULL, true, 0 },
	{ "auto_unmount", NULL, "unmount even if the daemon is killed", NULL, true,
	  offsetof(struct options, auto_unmount) },
	{ "default_permissions", NULL, "have the kernel check the modes", NULL, false,
	  offsetof(struct options, default_permissions) },
	{ "uid", "N", "show all files as owned by this user", set_uid, false, 0 },
	{ "gid", "N", "show all files as owned by this group", set_gid, false, 0 },
	{ "umask", "OCTAL", "take these bits off all modes", set_umask, false, 0 },
	{ "fsname", "NAME", "name in the list of mounts (SOURCE)", set_fsname, false, 0 },
	{ "subtype", "NAME", "type in the list of mounts (qcowfs)", set_subtype, false, 0 },
	/* What mount(8) passes along to the kernel. */
	{ "nosuid", NULL, NULL, NULL, true, 0 },
	{ "nodev", NULL, NULL, NULL, true, 0 },
	{ "noexec", NULL, NULL, NULL, true, 0 },
	{ "noatime", NULL, NULL, NULL, true, 0 },
};

/* What mount(8) passes along, and is not for us. */
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
	       !strncmp(name, "comment=", 8) || !strncmp(name, "user=", 5) ||
	       !strncmp(name, "context=", 8);
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
