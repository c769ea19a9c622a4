/* SPDX-License-Identifier: MIT */
/*
 * options.c - the command line.
 *
 * An option that is for libfuse or the kernel is passed on, one that mount(8)
 * leaves over is ignored, and any other that is not in the table is an error
 * that names it.
 */
#include "cli/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "util/report.h"
#include "cli/option_table.h"

/* One option, "name" or "name=value", cut in place. */
static int apply(struct options *o, char *text)
{
	const struct option_spec *spec;
	char *value;
	int r = 0;

	if (!*text || option_table_is_ignored(text))
		return 0;
	value = strchr(text, '=');
	if (value)
		*value++ = 0;
	spec = option_table_find(text, value);
	if (!spec) {
		report(QC_LOG_ERROR, "%s: unknown option (qcowfs --help lists those there are)",
		       text);
		return -EINVAL;
	}
	if (!spec->arg != !value) {
		report(QC_LOG_ERROR, "%s: the option %s", text,
		       spec->arg ? "needs a value" : "takes no value");
		return -EINVAL;
	}
	if (spec->set)
		r = spec->set(o, value);
	if (spec->flag)
		*(bool *)((char *)o + spec->flag) = true;
	if (!r && spec->pass_on)
		r = mount_option_append(o, spec->name, value);
	if (r == -EINVAL)
		report(QC_LOG_ERROR, "%s: '%s' is not %s", text, value, spec->arg);
	else if (r == -EOPNOTSUPP)
		report(QC_LOG_ERROR,
		       "%s: the libfuse that qcowfs was built with does not have it (3.18 does)", text);
	else if (r)
		report(QC_LOG_ERROR, "%s: out of memory", text);
	return r;
}

/* "a,b=c\,d": a comma after a backslash belongs to the value. */
static int apply_list(struct options *o, const char *list)
{
	char *copy = strdup(list), *to = copy, *start = copy;
	int r = copy ? 0 : -ENOMEM;

	for (const char *p = list; !r; p++) {
		if (*p == '\\' && p[1]) {
			*to++ = *++p;
			continue;
		}
		if (*p != ',' && *p) {
			*to++ = *p;
			continue;
		}
		*to++ = 0;
		r = apply(o, start);
		start = to;
		if (!*p)
			break;
	}
	free(copy);
	return r;
}

/* ---- the command line ----------------------------------------------------- */

static int operands(struct options *o, int n, char **arg)
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

/* A letter is in optopt; of a long one getopt tells no more than that it has just
 * passed it by. */
static int unknown(char **argv)
{
	if (optopt)
		report(QC_LOG_ERROR, "-%c: unknown option (qcowfs --help lists those there are)",
		       optopt);
	else
		report(QC_LOG_ERROR, "%s: unknown option (qcowfs --help lists those there are)",
		       argv[optind - 1]);
	return -EINVAL;
}

static int letter(struct options *o, int c)
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

static int no_trace(struct options *o)
{
	if (o->cow)
		return 0; /* what is written goes elsewhere */
	if (o->rw) {
		report(QC_LOG_ERROR, "rw: not together with forensic");
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

enum exitcode options_parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c, r = 0;

	*o = (struct options){ .ready_fd = -1, .key_fd = -1 };
	while (!r && (c = getopt_long(argc, argv, ":hVvfdsro:", longs, NULL)) != -1) {
		if (c == '?')
			r = unknown(argv);
		else
			r = letter(o, c);
	}
	if (!r && o->cow)
		r = check_cow(o);
	if (!r && o->forensic)
		r = no_trace(o);
	if (!r && o->io_uring && o->single_thread) {
		report(QC_LOG_ERROR, "io_uring: not together with -s: each processor has a thread");
		r = -EINVAL;
	}
	if (o->locking == QC_LOCKING_SHARE)
		o->ro = true; /* others may be writing */
	if (!r && o->key_file && o->key_fd >= 0) {
		report(QC_LOG_ERROR, "key-fd: not with key-file: an image has one passphrase");
		r = -EINVAL;
	}
	if (!r && o->action == ACTION_MOUNT)
		r = operands(o, argc - optind, argv + optind);
	return r ? EXIT_USAGE : EXIT_OK;
}
