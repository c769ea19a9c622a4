/* SPDX-License-Identifier: MIT */
/*
 * cmd_check.c - qcowfs check: check the metadata of an image, and repair it, as qemu-img check
 * does.
 *
 * Only the image file is opened: neither its chain nor its data file nor its key is needed.
 */
#include "commands/commands.h"

#include <errno.h>
#include <string.h>

#include "commands/check_report.h"
#include "commands/common.h"
#include "commands/image_format.h"
#include "commands/interrupt.h"
#include "util/report.h"

enum {
	CHECK_CORRUPT = 2,
	CHECK_LEAKS = 3,
	CHECK_NOT_SUPPORTED = 63, /* as of qemu-img: the format has nothing to check */
	CHECK_CACHE_BYTES = 4 << 20, /* tables are read once, one after the other */
};

struct check_args {
	struct check_report report;
	unsigned int flags; /* enum qc_check_flag */
	const char *format;
};

static int set_check_option(void *to, int id, const char *value)
{
	struct check_args *a = to;

	if (id == 'r') {
		a->flags = strcmp(value, "all") ? QC_CHECK_FIX_LEAKS : QC_CHECK_FIX_ALL;
		return !strcmp(value, "all") || !strcmp(value, "leaks") ? 0 : -EINVAL;
	}
	a->format = value;
	return image_format_is_known(value) ? 0 : -EINVAL;
}

static const struct command_option check_options[] = {
	{ 'f', NULL, "qcow|qcow2", "the format that IMAGE must have" },
	{ 'r', NULL, "leaks|all", "repair: clusters that are lost, or all that can be" },
	{ 0 },
};

static const struct command_spec spec = {
	.name = "check",
	.summary = "Checks the tables and refcounts of an image, and repairs them",
	.operands = "IMAGE",
	.min_operands = 1,
	.images = 1,
	.max_operands = 1,
	.has_json = true,
	.options = check_options,
	.set = set_check_option,
};

static const char *describe_repair_error(qc_err r)
{
	switch (r) {
	case -EIO:
		return "a table shares a cluster with other data, or is damaged";
	case -EINVAL:
		return "the refcount table is damaged (-r all may rebuild it)";
	case -EOVERFLOW:
		return "a cluster has more references than its refcount can count";
	case -EFBIG:
		return "the refcount table cannot grow as far";
	default:
		return strerror(-r);
	}
}

/* Says on standard error why a repair that the user wanted has left something. */
static void explain_repair(const struct check_args *a, const char *path,
			   const struct qc_check_result *r)
{
	bool all = a->flags & QC_CHECK_FIX_ALL;

	if (!a->flags || (!r->leaks && !(all && r->corruptions)))
		return;
	if (r->repair_error)
		report(QC_LOG_ERROR, "%s: cannot repair: %s (nothing was changed)", path,
		       describe_repair_error(r->repair_error));
	else if (r->version == 1)
		report(QC_LOG_ERROR, "%s: cannot repair: version 1 has no refcounts", path);
	else
		report(QC_LOG_ERROR, "%s: cannot repair all of it: no repair makes up guest data "
		       "or tables", path);
}

/* Checks a file that is open.  Return: as qc_check(). */
static qc_err check_file(struct command *c, struct check_args *a, const struct command_file *f,
			 struct qc_check_result *result, struct qc_reason *why)
{
	qc_err r = image_format_check(f->at.fd, a->format, why);

	if (!r && a->format && !strcmp(a->format, "raw")) {
		*why = (struct qc_reason){ .text = "a raw file has no tables to check" };
		return -EMEDIUMTYPE;
	}
	return r ? r : qc_check(c->ctx, &f->at, a->flags, check_report_finding, &a->report, result, why);
}

static int check_image(struct command *c, struct check_args *a)
{
	const char *path = c->operand[0];
	struct qc_check_result result;
	struct qc_reason why = { 0 };
	struct command_file f;
	bool is_located;
	qc_err r;

	c->cache_bytes = CHECK_CACHE_BYTES;
	c->interrupted = interrupt_is_pending;
	if (a->flags) /* else nothing is written, and a signal may end the process */
		interrupt_catch();
	r = command_locate(c, path, 0, &f);
	a->report.json = c->json;
	a->report.quiet = c->quiet;
	is_located = !r;
	if (!r)
		r = check_file(c, a, &f, &result, &why);
	command_file_close(&f);
	if (r) {
		check_report_abandon(&a->report);
		if (r == -ECANCELED)
			why = (struct qc_reason){ .text = "interrupted (run it again)" };
		command_fail(path, r, &why);
		return is_located && r == -EMEDIUMTYPE ? CHECK_NOT_SUPPORTED : COMMAND_FAILED;
	}
	check_report_end(&a->report, path, &result);
	explain_repair(a, path, &result);
	return result.corruptions ? CHECK_CORRUPT : result.leaks ? CHECK_LEAKS : COMMAND_OK;
}

int cmd_check(int argc, char **argv)
{
	struct check_args a = { 0 };
	struct command c;
	int status = command_begin(&c, &spec, &a, argc, argv);

	if (status == COMMAND_RUN)
		status = check_image(&c, &a);
	return command_end(&c, status);
}
