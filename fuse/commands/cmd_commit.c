/* SPDX-License-Identifier: MIT */
/*
 * cmd_commit.c - qcowfs commit: write the data of an overlay to its backing file, as qemu-img
 * commit does.
 */
#include "commands/commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "commands/image_format.h"
#include "commands/interrupt.h"
#include "commands/new_image_file.h"
#include "util/report.h"

struct commit_args {
	const char *base; /* -b; NULL: the backing file */
	bool keep;	  /* -d: do not empty the image */
};

static int set_commit_option(void *to, int id, const char *value)
{
	struct commit_args *a = to;

	switch (id) {
	case 'b':
		a->base = value;
		return 0;
	case 'f':
		return image_format_is_known(value) && strcmp(value, "raw") ? 0 : -EINVAL;
	default:
		a->keep = true;
		return 0;
	}
}

static const struct command_option commit_options[] = {
	{ 'b', NULL, "BASE", "the file of the chain to write to (the backing file); brings -d" },
	{ 'd', NULL, NULL, "do not empty IMAGE afterwards" },
	{ 'f', NULL, "qcow|qcow2", "accepted, and ignored: the format is found" },
	{ 0 },
};

static const struct command_spec spec = {
	.name = "commit",
	.summary = "Writes the data of an overlay to its backing file, and empties the overlay",
	.operands = "IMAGE",
	.min_operands = 1,
	.images = 1,
	.max_operands = 1,
	.options = commit_options,
	.set = set_commit_option,
};

static bool is_layer(const struct qc_image *img, unsigned int n, const char *path)
{
	struct stat a, b;

	return path && !stat(path, &a) && !stat(qc_layer_path(img, n), &b) &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Finds the layer to write to.  The user may name a file relative to the current directory, or
 * as the image does.  Returns 0 after a message. */
static unsigned int find_base(const struct qc_image *img, const char *image, const char *base)
{
	char *path = base ? new_image_file_base_path(image, base) : NULL;
	unsigned int found = 0;

	for (unsigned int n = 1; base && n < qc_depth(img) && !found; n++)
		if (is_layer(img, n, base) || is_layer(img, n, path))
			found = n;
	free(path);
	if (!base && qc_depth(img) > 1)
		return 1;
	if (!found && base)
		report(QC_LOG_ERROR, "%s: '%s' is not in its backing chain", image, base);
	else if (!found)
		report(QC_LOG_ERROR, "%s: it has no backing file", image);
	return found;
}

static int commit(struct command *c, const struct commit_args *a)
{
	const char *path = c->operand[0];
	struct qc_image *img;
	struct qc_reason why = { 0 };
	int status = command_open(c, path, QC_OPEN_WRITE, &img);
	unsigned int n;
	qc_err r = -EINVAL;

	if (status != COMMAND_OK)
		return status;
	interrupt_catch();
	n = find_base(img, path, a->base);
	if (n)
		r = qc_commit(img, n, !a->keep && !a->base, interrupt_progress, c, &why);
	qc_close(img);
	if (r == -ECANCELED)
		report(QC_LOG_ERROR, "%s: interrupted: all its data is still there", path);
	else if (r && n)
		command_fail(path, r, &why);
	if (!r && !c->quiet)
		puts("Image committed.");
	return r ? COMMAND_FAILED : COMMAND_OK;
}

int cmd_commit(int argc, char **argv)
{
	struct commit_args a = { 0 };
	struct command c;
	int status = command_begin(&c, &spec, &a, argc, argv);

	if (status == COMMAND_RUN)
		status = commit(&c, &a);
	return command_end(&c, status);
}
