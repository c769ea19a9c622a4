/* SPDX-License-Identifier: MIT */
#include "cli/option_setters.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/mount_options.h"
#include "cli/option_values.h"
#include "util/report.h"

/* Finds the word in a list, and writes its index. */
static int parse_word(const char *text, const char *const *words, size_t n, size_t *out)
{
	for (*out = 0; *out < n; ++*out)
		if (!strcmp(text, words[*out]))
			return 0;
	return -EINVAL;
}

static int set_absolute_path(char **to, const char *value)
{
	free(*to);
	*to = option_value_absolute(value);
	return *to ? 0 : -ENOMEM;
}

int option_set_ro(struct options *o, const char *value)
{
	(void)value;
	o->ro = true;
	o->rw = false;
	return 0;
}

int option_set_rw(struct options *o, const char *value)
{
	(void)value;
	o->rw = true;
	o->ro = false;
	return 0;
}

int option_set_forensic(struct options *o, const char *value)
{
	(void)value;
	o->forensic = o->snapshots = o->chain = o->info = o->bitmaps = o->unallocated = true;
	return 0;
}

int option_set_cow_file(struct options *o, const char *value)
{
	if (!*value)
		return -EINVAL;
	o->cow = true;
	return set_absolute_path(&o->cow_file, value);
}

/* Returns the first of the options that a mount cannot give to all new images; NULL: there is none. */
static const char *option_of_one_image(const struct create_options *c)
{
	return c->has_size				 ? "size" :
	       c->o.backing				 ? "backing_file" :
	       c->o.backing_format			 ? "backing_fmt" :
	       c->o.data_file				 ? "data_file" :
	       c->o.data_file_raw			 ? "data_file_raw" :
	       c->preallocation != PREALLOC_OFF		 ? "preallocation" :
	       c->o.encryption == QC_CREATE_AES		 ? "encrypt.format=aes" :
	       c->key_secret				 ? "encrypt.key-secret" :
							   NULL;
}

int option_set_create(struct options *o, const char *value)
{
	int r = create_options_add(&o->create_options, value, ':');
	const char *name = r ? NULL : option_of_one_image(&o->create_options);

	if (name)
		report(QC_LOG_ERROR, "create: %s: not for the images that a mount makes (qcowfs create makes such an image)",
		       name);
	return r == -ENOMEM ? r : r || name ? -ECANCELED : 0;
}

int option_set_lost(struct options *o, const char *value)
{
	static const char *const words[] = { "eio", "zeros", "mark" };
	size_t i;
	int r = parse_word(value, words, 3, &i);

	if (!r)
		o->lost = (enum qc_lost)i;
	return r;
}

/* Sets rescue, too: without it no byte has a grade. */
int option_set_doubtful(struct options *o, const char *value)
{
	static const char *const words[] = { "serve", "lost" };
	size_t i;
	int r = parse_word(value, words, 2, &i);

	if (r)
		return r;
	o->doubtful_is_lost = i == 1;
	o->rescue = o->rescue || i == 1;
	return 0;
}

int option_set_rescue_plan(struct options *o, const char *value)
{
	if (!*value)
		return -EINVAL;
	o->rescue = true;
	return set_absolute_path(&o->plan, value);
}

int option_set_damage(struct options *o, const char *value)
{
	return *value ? set_absolute_path(&o->damage, value) : -EINVAL;
}

int option_set_damage_dir(struct options *o, const char *value)
{
	return *value ? set_absolute_path(&o->damage_dir, value) : -EINVAL;
}

int option_set_compress(struct options *o, const char *value)
{
	enum { MOST = 22 }; /* of zstd */
	unsigned long long n;
	int r = option_value_number(value, MOST, false, &n);

	if (!r && !n)
		r = -EINVAL;
	if (!r)
		o->compress_level = (int)n;
	return r;
}

int option_set_backing(struct options *o, const char *value)
{
	static const char *const words[] = { "samedir", "any", "none" };
	size_t i;
	int r = parse_word(value, words, 3, &i);

	if (!r)
		o->refs = (enum qc_refs)i;
	return r;
}

int option_set_locking(struct options *o, const char *value)
{
	static const char *const words[] = { "on", "share", "off" };
	size_t i;
	int r = parse_word(value, words, 3, &i);

	if (!r)
		o->locking = (enum qc_locking)i;
	return r;
}

int option_add_path_map(struct options *o, const char *value)
{
	bool drive = value[0] && value[1] == ':' && (value[2] == '/' || value[2] == '\\');
	const char *colon = strchr(drive ? value + 2 : value, ':');
	struct qc_path_map *more, *map;
	char *old;

	if (!colon || colon == value || !colon[1])
		return -EINVAL;
	more = realloc(o->path_maps, (o->npath_maps + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	o->path_maps = more;
	map = &o->path_maps[o->npath_maps++];
	old = strndup(value, (size_t)(colon - value));
	for (char *p = old; drive && p && (p = strchr(p, '\\'));)
		*p = '/';
	map->old_prefix = old;
	map->new_prefix = option_value_absolute(colon + 1);
	return old && map->new_prefix ? 0 : -ENOMEM;
}

int option_set_verify(struct options *o, const char *value)
{
	static const char *const words[] = { "", "on", "off" };
	size_t i;
	int r = *value ? parse_word(value, words, 3, &i) : -EINVAL;

	if (!r)
		o->verify = (enum qc_verifying)i;
	return r;
}

int option_set_discard(struct options *o, const char *value)
{
	static const char *const words[] = { "unmap", "ignore" };
	size_t i;
	int r = parse_word(value, words, 2, &i);

	o->keep_discarded = !r && i == 1;
	return r;
}

int option_set_keep_bitmaps(struct options *o, const char *value)
{
	static const char *const words[] = { "on", "off" };
	size_t i;
	int r = parse_word(value, words, 2, &i);

	o->drop_bitmaps = !r && i == 1;
	return r;
}

int option_set_data_file(struct options *o, const char *value)
{
	free(o->data_file);
	o->data_file = strdup(value);
	return o->data_file ? 0 : -ENOMEM;
}

int option_set_key_file(struct options *o, const char *value)
{
	return set_absolute_path(&o->key_file, value);
}

int option_set_key_dir(struct options *o, const char *value)
{
	return set_absolute_path(&o->key_dir, value);
}

/* Checks that it is open now, before the program opens files that could get its number. */
int option_set_key_fd(struct options *o, const char *value)
{
	unsigned long long n;
	int r = option_value_number(value, INT_MAX, false, &n);

	if (!r && fcntl((int)n, F_GETFD) < 0)
		r = -EBADF;
	if (!r)
		o->key_fd = (int)n;
	return r;
}

int option_set_cache_size(struct options *o, const char *value)
{
	unsigned long long n;
	int r = option_value_number(value, SIZE_MAX / 4, true, &n);

	if (!r)
		o->cache_bytes = n > 64 * 1024 ? (size_t)n : 64 * 1024;
	return r;
}

int option_set_threads(struct options *o, const char *value)
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

int option_set_io_uring(struct options *o, const char *value)
{
	(void)value;
	o->io_uring = true;
	return WITH_RINGS ? 0 : -EOPNOTSUPP;
}

/* Checks the number of entries of a queue, each of which takes a megabyte.  libfuse reads it. */
int option_set_io_uring_depth(struct options *o, const char *value)
{
	unsigned long long n;
	int r = option_value_number(value, 1024, false, &n);

	(void)o;
	return r || !n ? -EINVAL : WITH_RINGS ? 0 : -EOPNOTSUPP;
}

int option_set_timeout(struct options *o, const char *value)
{
	unsigned long long n;
	int r = option_value_number(value, INT_MAX, false, &n);

	if (!r)
		o->timeout = (unsigned int)n;
	return r;
}

int option_set_ready_fd(struct options *o, const char *value)
{
	unsigned long long n;
	int r = option_value_number(value, INT_MAX, false, &n);

	if (!r)
		o->ready_fd = (int)n;
	return r;
}

int option_set_pid_file(struct options *o, const char *value)
{
	return *value ? set_absolute_path(&o->pid_file, value) : -EINVAL;
}

int option_set_sandbox(struct options *o, const char *value)
{
	static const char *const words[] = { "on", "off" };
	size_t i;
	int r = parse_word(value, words, 2, &i);

	o->no_sandbox = !r && i == 1;
	return r;
}

int option_set_uid(struct options *o, const char *value)
{
	unsigned long long n;
	int r = option_value_number(value, UINT_MAX - 1, false, &n);

	o->set_uid = !r;
	o->uid = r ? 0 : (uid_t)n;
	return r;
}

int option_set_gid(struct options *o, const char *value)
{
	unsigned long long n;
	int r = option_value_number(value, UINT_MAX - 1, false, &n);

	o->set_gid = !r;
	o->gid = r ? 0 : (gid_t)n;
	return r;
}

int option_set_umask(struct options *o, const char *value)
{
	char *end;
	unsigned long n = strtoul(value, &end, 8);

	if (!isdigit((unsigned char)*value) || *end || n > 0777)
		return -EINVAL;
	o->set_umask = true;
	o->umask = (mode_t)n;
	return 0;
}

int option_set_fsname(struct options *o, const char *value)
{
	if (!*value) /* the kernel would show a mount table that programs cannot parse */
		return -EINVAL;
	o->set_fsname = true;
	return mount_option_append(o, "fsname", value);
}

int option_set_subtype(struct options *o, const char *value)
{
	if (!*value) /* the kernel refuses the type "fuse." */
		return -EINVAL;
	o->set_subtype = true;
	return mount_option_append(o, "subtype", value);
}

/* Passes an SELinux context to the kernel, which splits its options at commas that are not in
 * quotation marks. */
static int append_context(struct options *o, const char *name, const char *value)
{
	char *quoted;
	int r;

	if (!*value || strchr(value, '"'))
		return -EINVAL;
	o->set_context = true;
	if (asprintf(&quoted, strchr(value, ',') ? "\"%s\"" : "%s", value) < 0)
		return -ENOMEM;
	r = mount_option_append(o, name, quoted);
	free(quoted);
	return r;
}

int option_set_context(struct options *o, const char *value)
{
	return append_context(o, "context", value);
}

int option_set_fscontext(struct options *o, const char *value)
{
	return append_context(o, "fscontext", value);
}

int option_set_defcontext(struct options *o, const char *value)
{
	return append_context(o, "defcontext", value);
}

int option_set_rootcontext(struct options *o, const char *value)
{
	return append_context(o, "rootcontext", value);
}
