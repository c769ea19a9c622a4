/* SPDX-License-Identifier: MIT */
#include "commands/bitmap_actions.h"

#include <errno.h>
#include <string.h>

#include "util/report.h"

static const char *describe_bitmap_error(qc_err r)
{
	switch (r) {
	case -EOPNOTSUPP:
		return "only version 3 of the format has bitmaps";
	case -EINVAL:
		return "the granularity is no power of two from 512 to 2G, the name is empty, or the "
		       "disks have different sizes";
	case -ENAMETOOLONG:
		return "the name is longer than 1023 bytes";
	case -EEXIST:
		return "there is a bitmap of this name";
	case -ENOENT:
		return "there is no such bitmap";
	case -EIO:
		return "it is inconsistent (--remove removes it), or the image is damaged";
	case -EFBIG:
		return "it would take too much space (use a larger granularity)";
	default:
		return strerror(-r);
	}
}

/* Merges a bitmap of @other, or of the image itself.  @other: closed by the caller. */
static qc_err merge_from(struct qc_image *img, struct qc_image *other, const char *name,
			 const char *source)
{
	struct qc_image *from;
	struct qc_reason why;
	qc_err r = qc_bitmap_open(other ? other : img, source, strlen(source), &from, &why);

	if (r)
		return r;
	r = qc_bitmap_merge(img, name, strlen(name), from);
	qc_close(from);
	return r;
}

static qc_err run_action(const struct bitmap_actions *a, unsigned int i, struct qc_image *img,
			 struct qc_image *other, const char *name)
{
	size_t len = strlen(name);

	switch (a->action[i].id) {
	case BITMAP_ADD:
		return qc_bitmap_add(img, name, len, a->granularity, true);
	case BITMAP_REMOVE:
		return qc_bitmap_remove(img, name, len);
	case BITMAP_CLEAR:
		return qc_bitmap_clear(img, name, len);
	case BITMAP_MERGE:
		return merge_from(img, other, name, a->action[i].source);
	default:
		return qc_bitmap_enable(img, name, len, a->action[i].id == BITMAP_ENABLE);
	}
}

int bitmap_actions_run(struct command *c, const struct bitmap_actions *a)
{
	static const char *const verbs[] = { "add", "remove", "clear", "enable", "disable", "merge into" };
	struct qc_image *img = NULL, *other = NULL;
	int status = a->file ? command_open(c, a->file, 0, &other) : COMMAND_OK;
	qc_err r = 0;

	if (status == COMMAND_OK)
		status = command_open(c, c->operand[0], QC_OPEN_WRITE, &img);
	for (unsigned int i = 0; status == COMMAND_OK && i < a->n; i++) {
		r = run_action(a, i, img, other, c->operand[1]);
		if (!r)
			continue;
		report(QC_LOG_ERROR, "%s: cannot %s bitmap '%s': %s%s", c->operand[0],
		       verbs[a->action[i].id - BITMAP_ADD], c->operand[1], describe_bitmap_error(r),
		       qc_errno_hint(r));
		status = COMMAND_FAILED;
	}
	if (img)
		qc_close(img);
	if (other)
		qc_close(other);
	return status;
}
