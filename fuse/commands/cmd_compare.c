/* SPDX-License-Identifier: MIT */
/*
 * cmd_compare.c - qcowfs compare: do two disks have the same bytes, as qemu-img compare tells.
 *
 * Its exit status 1 means that they differ, so all failures have the status 2.
 */
#include "commands/commands.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "commands/common.h"
#include "commands/image_format.h"
#include "commands/interrupt.h"
#include "commands/source_disk.h"
#include "info/qemu_img_map.h"

enum { COMPARE_DIFFERENT = 1, COMPARE_FAILED = 2 };

struct compare_args {
	bool strict;
	const char *other_format;
};

static int set_compare_option(void *to, int id, const char *value)
{
	struct compare_args *a = to;

	if (id == 's')
		a->strict = true;
	else
		a->other_format = value;
	return !value || image_format_is_known(value) ? 0 : -EINVAL;
}

static const struct command_option compare_options[] = {
	{ 's', NULL, NULL, "sizes and allocation must be the same, too" },
	{ 'F', NULL, "raw|qcow|qcow2", "the format of B" },
	{ 0 },
};

static const struct command_spec spec = {
	.name = "compare",
	.summary = "Compares the bytes of two disks",
	.operands = "A B",
	.min_operands = 2,
	.images = 2,
	.max_operands = 2,
	.options = compare_options,
	.set = set_compare_option,
};

static qc_err get_mapping_of(struct source_disk *s, uint64_t at, struct qc_mapping *m)
{
	return s->img ? qc_get_mapping(s->img, at, m) : source_disk_raw_mapping(s, at, m);
}

/* Finds the first offset at which one disk is allocated, or a hole, and the other is not. */
static qc_err find_other_status(struct source_disk *a, struct source_disk *b, uint64_t *at)
{
	struct qc_mapping x, y;

	for (*at = 0; *at < a->size; *at += x.len < y.len ? x.len : y.len) {
		qc_err r = get_mapping_of(a, *at, &x);

		if (!r)
			r = get_mapping_of(b, *at, &y);
		if (r || x.data != y.data || x.zero != y.zero || x.present != y.present)
			return r;
	}
	*at = UINT64_MAX;
	return 0;
}

/* Prints the result, unless -q.  @at, @status_at: UINT64_MAX: equal */
static int print_result(const struct command *c, uint64_t at, uint64_t status_at)
{
	if (at != UINT64_MAX && !c->quiet)
		printf("Content mismatch at offset %" PRIu64 "!\n", at);
	else if (status_at != UINT64_MAX && !c->quiet)
		printf("Strict mode: Offset %" PRIu64 " block status mismatch!\n", status_at);
	else if (!c->quiet)
		puts("Images are identical.");
	return at == UINT64_MAX && status_at == UINT64_MAX ? COMMAND_OK : COMPARE_DIFFERENT;
}

static int compare_disks(struct command *c, const struct compare_args *a, struct source_disk *x,
			 struct source_disk *y)
{
	struct qc_compare job = { .a = { x->img, x->fd, x->size }, .b = { y->img, y->fd, y->size },
				  .end = UINT64_MAX, .progress = interrupt_progress, .arg = c };
	uint64_t at = UINT64_MAX;
	qc_err r = 0;

	if (x->size != y->size && a->strict && !c->quiet)
		puts("Strict mode: Image size mismatch!");
	if (x->size != y->size && a->strict)
		return COMPARE_DIFFERENT;
	if (a->strict)
		r = find_other_status(x, y, &job.end);
	if (!r)
		r = qc_compare_disks(&job, &at);
	/* QEMU's order: a difference of what both disks have says enough. */
	if (!r && x->size != y->size && at >= (x->size < y->size ? x->size : y->size) && !c->quiet)
		puts("Warning: Image size mismatch!");
	if (!r)
		return print_result(c, at, job.end);
	command_fail(c->operand[0], r, NULL);
	return COMPARE_FAILED;
}

static int open_and_compare(struct command *c, const struct compare_args *a)
{
	struct source_disk x, y;
	int status = COMPARE_FAILED;

	interrupt_catch();
	if (source_disk_open_as(c, c->operand[0], c->format[0], &x) != COMMAND_OK)
		return COMPARE_FAILED;
	if (a->other_format && !c->format[1])
		c->format[1] = a->other_format;
	if (source_disk_open_as(c, c->operand[1], c->format[1], &y) == COMMAND_OK) {
		status = compare_disks(c, a, &x, &y);
		source_disk_close(&y);
	}
	source_disk_close(&x);
	return status;
}

int cmd_compare(int argc, char **argv)
{
	struct compare_args a = { 0 };
	struct command c;
	int status = command_begin(&c, &spec, &a, argc, argv);
	bool ran = status == COMMAND_RUN;

	if (ran)
		status = open_and_compare(&c, &a);
	else if (status != COMMAND_OK)
		status = COMPARE_FAILED;
	if (command_end(&c, COMMAND_OK) != COMMAND_OK)
		return COMPARE_FAILED;
	return status;
}
