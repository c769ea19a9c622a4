/* SPDX-License-Identifier: MIT */
/*
 * options.c - an option for libfuse or the kernel is passed on, one that mount(8) passes to every
 * file system is ignored, and an unknown one is an error that names it.
 */
#include "cli/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "util/report.h"
#include "cli/mount_options.h"
#include "cli/option_table.h"

int options_set(struct options *o, const char *name, const char *value)
{
	const struct option_spec *spec = option_table_find(name, value);
	int r = 0;

	if (!strcmp(name, "remount")) {
		report(QC_LOG_ERROR, "remount: a mount cannot be changed (unmount it, and mount it again "
		       "with the other options)");
		return -EINVAL;
	}
	if (!spec && o->ignore_unknown)
		return 0;
	if (!spec) {
		report(QC_LOG_ERROR, "%s: unknown option (qcowfs --help lists those there are)",
		       name);
		return -EINVAL;
	}
	if (!spec->arg != !value) {
		report(QC_LOG_ERROR, "%s: the option %s", name,
		       spec->arg ? "needs a value" : "takes no value");
		return -EINVAL;
	}
	if (spec->set)
		r = spec->set(o, value);
	if (spec->flag)
		*(bool *)((char *)o + spec->flag) = true;
	if (!r && spec->pass_on)
		r = mount_option_append(o, spec->name, value);
	if (r == -ECANCELED)
		return r;
	if (r == -EINVAL)
		report(QC_LOG_ERROR, "%s: '%s' is not %s", name, value, spec->arg);
	else if (r == -EBADF)
		report(QC_LOG_ERROR, "%s: %s: no such descriptor is open (open it for qcowfs, as "
		       "with %s<file in a shell)", name, value, value);
	else if (r == -EOPNOTSUPP)
		report(QC_LOG_ERROR,
		       "%s: the libfuse that qcowfs was built with does not have it (3.18 does)", name);
	else if (r)
		report(QC_LOG_ERROR, "%s: out of memory", name);
	return r;
}

/* Applies one option of a list, "name" or "name=value", which is cut in two. */
static int apply_option(struct options *o, char *text)
{
	char *value;

	if (!*text || option_table_is_ignored(text))
		return 0;
	value = strchr(text, '=');
	if (value)
		*value++ = 0;
	return options_set(o, text, value);
}

/* Returns true if the text is the beginning of an option whose value may stand in quotation
 * marks, as mount(8) passes on contexts with commas. */
static bool may_be_quoted(const char *text, size_t len)
{
	static const char *const names[] = { "context=", "fscontext=", "defcontext=", "rootcontext=" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (len == strlen(names[i]) && !memcmp(text, names[i], len))
			return true;
	return false;
}

/*
 * Copies the first option of *@list to @out, and moves *@list behind it.  A comma after a
 * backslash or between quotation marks belongs to the value.
 */
static int copy_option(const char **list, char *out)
{
	const char *p = *list;
	char *to = out;
	bool quoted = false;

	for (; *p && (quoted || *p != ','); p++) {
		if (*p == '"' && (quoted || may_be_quoted(out, (size_t)(to - out))))
			quoted = !quoted;
		else if (*p == '\\' && p[1] && !quoted)
			*to++ = *++p;
		else
			*to++ = *p;
	}
	*to = 0;
	*list = *p ? p + 1 : p;
	if (!quoted)
		return 0;
	report(QC_LOG_ERROR, "%.*s: the second quotation mark is missing", (int)strcspn(out, "="), out);
	return -EINVAL;
}

static int apply_list(struct options *o, const char *list)
{
	char *copy = malloc(strlen(list) + 1);
	int r = copy ? 0 : -ENOMEM;

	while (!r && *list) {
		r = copy_option(&list, copy);
		if (!r)
			r = apply_option(o, copy);
	}
	free(copy);
	return r;
}

/* ---- the command line ----------------------------------------------------- */

static int set_operands(struct options *o, int n, char **arg)
{
	if (n != 2) {
		report(QC_LOG_ERROR, "%s (usage: qcowfs [options] SOURCE MOUNTPOINT)",
		       n == 0 ? "SOURCE: missing" :
		       n == 1 ? "MOUNTPOINT: missing" :
				"operands: more than two");
		return -EINVAL;
	}
	o->source = strdup(arg[0]);
	o->mountpoint = strdup(arg[1]);
	return o->source && o->mountpoint ? 0 : -ENOMEM;
}

/* Reports an unknown option.  getopt_long(3) stores a letter in optopt, but of an unknown long
 * option it only tells that it has passed it. */
static int report_unknown_option(char **argv)
{
	if (optopt)
		report(QC_LOG_ERROR, "-%c: unknown option (qcowfs --help lists those there are)",
		       optopt);
	else
		report(QC_LOG_ERROR, "%s: unknown option (qcowfs --help lists those there are)",
		       argv[optind - 1]);
	return -EINVAL;
}

static int apply_letter(struct options *o, int c)
{
	switch (c) {
	case 'h':
		o->action = ACTION_HELP;
		return 0;
	case 'V':
		o->action = ACTION_VERSION;
		return 0;
	case 'v':
		o->verbose++;
		return 0;
	case 'd':
		o->debug = true;
		o->foreground = true;
		return mount_option_append(o, "debug", NULL);
	case 'f':
		o->foreground = true;
		return 0;
	case 's':
		o->single_thread = true;
		return 0;
	case 'r':
		return apply_list(o, "ro");
	case 'o':
		return apply_list(o, optarg);
	case ':':
		report(QC_LOG_ERROR, "-%c: the option needs a value", optopt);
		return -EINVAL;
	default:
		return -EINVAL;
	}
}

/* Returns the first given option with which no image is written; NULL: there is none. */
static const char *option_that_implies_ro(const struct options *o)
{
	return o->forensic   ? "forensic" :
	       o->unallocated ? "unallocated" :
	       o->rescue     ? "rescue" :
	       o->lost	     ? "lost" :
	       o->damage     ? "damage" :
	       o->damage_dir ? "damage-dir" :
			       NULL;
}

static int check_implied_ro(struct options *o)
{
	const char *option = option_that_implies_ro(o);

	if (!option || o->cow)
		return 0; /* with cow, writes go to the overlay */
	if (o->rw) {
		report(QC_LOG_ERROR, "rw: not together with %s", option);
		return -EINVAL;
	}
	o->ro = true;
	return 0;
}

static int check_cow(const struct options *o)
{
	if (!o->ro && o->locking != QC_LOCKING_SHARE)
		return 0;
	report(QC_LOG_ERROR, "cow: not together with %s", o->ro ? "ro" : "locking=share");
	return -EINVAL;
}

/* Checks options that keep the mount from making images. */
static int check_create(const struct options *o)
{
	const char *other = o->cow			   ? "cow" :
			    o->locking == QC_LOCKING_SHARE ? "locking=share" :
			    o->ro			   ? "ro" :
							     option_that_implies_ro(o);

	if (!other)
		return 0;
	report(QC_LOG_ERROR, "create: not together with %s", other);
	return -EINVAL;
}

int options_check_keys(const struct options *o)
{
	if (!o->key_file || o->key_fd < 0)
		return 0;
	report(QC_LOG_ERROR, "key-fd: not with key-file: an image has one passphrase");
	return -EINVAL;
}

static const struct option long_options[] = {
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

int options_first_operand(int argc, char **argv, struct options_before *out)
{
	int c;

	*out = (struct options_before){ 0 };
	optind = 0; /* begin anew */
	while ((c = getopt_long(argc, argv, "+:hVvfdsro:", long_options, NULL)) != -1) {
		if (c == 'h' || c == 'V' || c == '?' || c == ':')
			return 0;
		if (c == 'v')
			out->verbose++;
		else if (!out->mounting)
			out->mounting = (char)c;
	}
	return optind < argc ? optind : 0;
}

/* Checks the options together, and takes the operands. */
static int finish_options(struct options *o, int argc, char **argv)
{
	int r = o->cow ? check_cow(o) : 0;

	if (!r && o->create)
		r = check_create(o);
	if (!r)
		r = check_implied_ro(o);
	if (!r && o->io_uring && o->single_thread) {
		report(QC_LOG_ERROR, "io_uring: not together with -s: each processor has a thread");
		r = -EINVAL;
	}
	if (o->locking == QC_LOCKING_SHARE)
		o->ro = true; /* another program may be writing */
	if (!r)
		r = options_check_keys(o);
	if (!r && (o->action == ACTION_MOUNT || o->action == ACTION_NONE))
		r = set_operands(o, argc - optind, argv + optind);
	return r;
}

static void begin_options(struct options *o)
{
	*o = (struct options){ .ready_fd = -1, .key_fd = -1 };
	optind = 0; /* begin anew */
}

enum exitcode options_parse(struct options *o, int argc, char **argv)
{
	int c, r = 0;

	begin_options(o);
	while (!r && (c = getopt_long(argc, argv, ":hVvfdsro:", long_options, NULL)) != -1) {
		if (c == '?')
			r = report_unknown_option(argv);
		else
			r = apply_letter(o, c);
	}
	if (!r)
		r = finish_options(o, argc, argv);
	return r ? EXIT_USAGE : EXIT_OK;
}

/* Applies a letter of mount(8).  -s comes before -o. */
static int apply_helper_letter(struct options *o, int c, char **argv)
{
	switch (c) {
	case 's':
		o->ignore_unknown = true;
		return 0;
	case 'f':
		o->action = ACTION_NONE;
		return 0;
	case 'n': /* there is no /etc/mtab to be written */
	case 't':
		return 0;
	case 'N':
		free(o->mount_namespace);
		o->mount_namespace = strdup(optarg);
		return o->mount_namespace ? 0 : -ENOMEM;
	case '?':
		return report_unknown_option(argv);
	default:
		return apply_letter(o, c);
	}
}

enum exitcode options_parse_helper(struct options *o, int argc, char **argv)
{
	int c, r = 0;

	begin_options(o);
	while (!r && (c = getopt_long(argc, argv, ":hVsfnvrN:o:t:", long_options, NULL)) != -1)
		r = apply_helper_letter(o, c, argv);
	if (!r)
		r = finish_options(o, argc, argv);
	return r ? EXIT_USAGE : EXIT_OK;
}

void options_free(struct options *o)
{
	for (size_t i = 0; i < o->npath_maps; i++) {
		free((char *)o->path_maps[i].old_prefix);
		free((char *)o->path_maps[i].new_prefix);
	}
	free(o->path_maps);
	create_options_free(&o->create_options);
	free(o->cow_file);
	free(o->plan);
	free(o->damage);
	free(o->damage_dir);
	free(o->data_file);
	free(o->key_file);
	free(o->key_dir);
	free(o->pid_file);
	free(o->source);
	free(o->mountpoint);
	free(o->mount_namespace);
	free(o->mount_options);
}
