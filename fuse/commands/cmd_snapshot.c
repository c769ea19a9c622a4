/* SPDX-License-Identifier: MIT */
/*
 * cmd_snapshot.c - qcowfs snapshot: list, take and delete snapshots, as qemu-img snapshot does.
 */
#include "commands/commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "commands/common.h"
#include "commands/snapshot_list.h"
#include "util/report.h"

enum { SNAPSHOTS_MAX = 65536 };

struct snapshot_args {
	int action; /* 'l', 'c' or 'd'; 0: none was given */
	const char *name;
};

static int set_snapshot_option(void *to, int id, const char *value)
{
	struct snapshot_args *a = to;

	if (a->action) {
		report(QC_LOG_ERROR, "snapshot: -l, -c and -d exclude each other");
		return -ECANCELED;
	}
	a->action = id;
	a->name = value;
	return 0;
}

static const struct command_option snapshot_options[] = {
	{ 'l', NULL, NULL, "list the snapshots (the default)" },
	{ 'c', NULL, "NAME", "take a snapshot" },
	{ 'd', NULL, "NAME", "delete a snapshot, by its name or else its ID" },
	{ 0 },
};

static const struct command_spec spec = {
	.name = "snapshot",
	.summary = "Lists, takes or deletes internal snapshots",
	.operands = "IMAGE",
	.min_operands = 1,
	.max_operands = 1,
	.options = snapshot_options,
	.set = set_snapshot_option,
};

static bool is_text(const char *bytes, size_t len, const char *text)
{
	return len == strlen(text) && !memcmp(bytes, text, len);
}

/* Finds a snapshot by its name, or else by its ID.  Return: NULL: there is none */
static const struct qc_snapshot *find_named_snapshot(const struct qc_snapshots *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (is_text(s->at[i].name, s->at[i].name_len, name))
			return &s->at[i];
	for (size_t i = 0; i < s->n; i++)
		if (is_text(s->at[i].id, s->at[i].id_len, name))
			return &s->at[i];
	return NULL;
}

static qc_err delete_named_snapshot(struct qc_image *img, const char *name)
{
	const struct qc_snapshot *found;
	struct qc_snapshots s = { 0 };
	qc_err r = qc_list_snapshots(img, &s);

	if (!r) {
		found = find_named_snapshot(&s, name);
		r = found ? qc_snapshot_delete(img, found) : -ENOENT;
	}
	qc_snapshots_free(&s);
	return r;
}

static qc_err take_named_snapshot(struct qc_image *img, const char *name, bool *reported)
{
	struct qc_snapshots s = { 0 };
	qc_err r = qc_list_snapshots(img, &s);

	if (!r)
		r = qc_snapshot_take(img, name, strlen(name));
	*reported = r == -EMLINK && s.n < SNAPSHOTS_MAX; /* a refcount is at its maximum */
	qc_snapshots_free(&s);
	return r;
}

static const char *describe_snapshot_error(qc_err r)
{
	switch (r) {
	case -EOPNOTSUPP:
		return "version 1, or an image with an external data file, has no snapshots";
	case -EINVAL:
		return "the name is empty";
	case -ENAMETOOLONG:
		return "the name is longer than 255 bytes";
	case -EEXIST:
		return "another snapshot has the name";
	case -ENOENT:
		return "there is no such snapshot";
	case -EMLINK:
		return "there are 65536 snapshots already";
	default:
		return strerror(-r);
	}
}

static int change_snapshots(struct command *c, const struct snapshot_args *a)
{
	bool create = a->action == 'c', reported = false;
	struct qc_image *img;
	int status = command_open(c, c->operand[0], QC_OPEN_WRITE, &img);
	qc_err r;

	if (status != COMMAND_OK)
		return status;
	r = create ? take_named_snapshot(img, a->name, &reported) :
		     delete_named_snapshot(img, a->name);
	if (!r)
		r = qc_flush(img);
	qc_close(img);
	if (!r)
		return COMMAND_OK;
	if (reported)
		return COMMAND_FAILED;
	report(QC_LOG_ERROR, "%s: cannot %s the snapshot '%s': %s%s", c->operand[0],
	       create ? "take" : "delete", a->name, describe_snapshot_error(r), qc_errno_hint(r));
	return COMMAND_FAILED;
}

int cmd_snapshot(int argc, char **argv)
{
	struct snapshot_args a = { 0 };
	struct command c;
	int status = command_begin(&c, &spec, &a, argc, argv);

	if (status == COMMAND_RUN)
		status = a.action && a.action != 'l' ? change_snapshots(&c, &a) :
						     snapshot_list_print(&c, c.operand[0]);
	return command_end(&c, status);
}
