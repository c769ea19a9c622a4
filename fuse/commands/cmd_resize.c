/* SPDX-License-Identifier: MIT */
/*
 * cmd_resize.c - qcowfs resize: change the size of a disk, as qemu-img resize does.
 *
 * If the clusters of a grown disk cannot be allocated, the disk gets its old size again.
 */
#include "commands/commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "commands/common.h"
#include "commands/preallocation.h"
#include "util/report.h"

enum { SHRINK = 256, PREALLOCATION };

struct resize_args {
	bool shrink;
	enum preallocation preallocation;
};

static int set_resize_option(void *to, int id, const char *value)
{
	static const char *const words[] = { "off", "metadata", "falloc", "full" };
	struct resize_args *a = to;
	int i = 0;

	if (id == SHRINK)
		a->shrink = true;
	while (id == PREALLOCATION && i < 4 && strcmp(value, words[i]) != 0)
		i++;
	a->preallocation = id == SHRINK ? a->preallocation : (enum preallocation)i;
	return i < 4 ? 0 : -EINVAL;
}

static const struct command_option resize_options[] = {
	{ SHRINK, "shrink", NULL, "also cut off the end of the disk, with its data" },
	{ PREALLOCATION, "preallocation", "off|metadata|falloc|full",
	  "allocate the clusters that the disk gains (off)" },
	{ 0 },
};

static const struct command_spec spec = {
	.name = "resize",
	.summary = "Changes the size of a disk: to SIZE, or by +SIZE or -SIZE",
	.operands = "IMAGE [+|-]SIZE",
	.min_operands = 2,
	.images = 1,
	.max_operands = 2,
	.negative_operand = true, .options = resize_options,
	.set = set_resize_option,
};

/* Reads "20G", "+1G" or "-1G".  @now: the size of the disk.
 * Return: NULL; or the reason why the word is refused */
static const char *parse_new_size(const char *word, uint64_t now, uint64_t *size)
{
	char sign = *word == '+' || *word == '-' ? *word++ : 0;
	uint64_t n;

	if (create_options_size(word, &n))
		return "is no size (such as 20G, +1G or -1G)";
	if (sign == '-' ? n >= now : !sign && !n)
		return "leaves nothing of the disk";
	if (sign == '+' && n > INT64_MAX - now)
		return "is too large";
	*size = sign == '+' ? now + n : sign == '-' ? now - n : n;
	return *size % 512 ? "does not give whole sectors of 512 bytes" : NULL;
}

/* Finds out the new size, and refuses a change that the user did not ask for. */
static int check_change(struct command *c, const struct resize_args *a, uint64_t now,
			uint64_t *size)
{
	const char *why = parse_new_size(c->operand[1], now, size);

	if (why)
		report(QC_LOG_ERROR, "%s: cannot resize: '%s' %s", c->operand[0], c->operand[1], why);
	if (why)
		return COMMAND_FAILED;
	if (*size < now && !a->shrink)
		why = "this cuts off the end of the disk, with its data (--shrink allows it)";
	else if (*size < now && a->preallocation != PREALLOC_OFF)
		why = "only a disk that grows can be preallocated";
	if (why)
		report(QC_LOG_ERROR, "%s: cannot resize: %s", c->operand[0], why);
	return why ? COMMAND_FAILED : COMMAND_OK;
}

static qc_err preallocate_growth(struct command *c, const struct resize_args *a,
				 struct qc_image *img, uint64_t from)
{
	qc_err r = preallocation_apply(c, img, from, a->preallocation);

	if (!r)
		r = qc_flush(img);
	if (!r && a->preallocation == PREALLOC_FALLOC)
		r = preallocation_reserve_space(c->operand[0]);
	return r;
}

static qc_err resize_image(struct command *c, const struct resize_args *a, struct qc_image *img,
			   uint64_t size)
{
	uint64_t old = qc_size(img);
	qc_err r = qc_resize(img, size);

	if (r || size <= old)
		return r;
	r = preallocate_growth(c, a, img, old);
	if (r && qc_resize(img, old))
		report(QC_LOG_WARN, "%s: the disk is larger now, but not all of it is allocated",
		       c->operand[0]);
	return r;
}

static int run_resize(struct command *c, const struct resize_args *a)
{
	struct qc_image *img;
	uint64_t size = 0;
	int status = command_open(c, c->operand[0], QC_OPEN_WRITE, &img);
	qc_err r = 0;

	if (status != COMMAND_OK)
		return status;
	status = check_change(c, a, qc_size(img), &size);
	if (status == COMMAND_OK)
		r = resize_image(c, a, img, size);
	if (!r && status == COMMAND_OK)
		r = qc_flush(img);
	qc_close(img);
	if (r) /* core reports -EOPNOTSUPP with its reason */
		return r == -EOPNOTSUPP ? COMMAND_FAILED : command_fail(c->operand[0], r, NULL);
	if (status == COMMAND_OK && !c->quiet)
		puts("Image resized.");
	return status;
}

int cmd_resize(int argc, char **argv)
{
	struct resize_args a = { 0 };
	struct command c;
	int status = command_begin(&c, &spec, &a, argc, argv);

	if (status == COMMAND_RUN)
		status = run_resize(&c, &a);
	return command_end(&c, status);
}
