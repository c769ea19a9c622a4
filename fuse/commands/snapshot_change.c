/* SPDX-License-Identifier: MIT */
#include "commands/snapshot_change.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "commands/snapshot_find.h"
#include "util/report.h"

enum { SNAPSHOTS_MAX = 65536 };

/* Deletes a snapshot, or goes back to one. */
static qc_err use_named_snapshot(struct qc_image *img, int action, const char *name)
{
	const struct qc_snapshot *found;
	struct qc_snapshots s = { 0 };
	qc_err r = qc_list_snapshots(img, &s);

	if (!r) {
		found = snapshot_find(&s, name);
		if (!found)
			r = -ENOENT;
		else
			r = action == 'a' ? qc_snapshot_revert(img, found) :
					    qc_snapshot_delete(img, found);
	}
	qc_snapshots_free(&s);
	return r;
}

static qc_err take_named_snapshot(struct qc_image *img, const char *name)
{
	struct qc_snapshots s = { 0 };
	qc_err r = qc_list_snapshots(img, &s);

	if (!r)
		r = qc_snapshot_take(img, name, strlen(name));
	if (r == -EMLINK && s.n >= SNAPSHOTS_MAX)
		r = -EDQUOT;
	qc_snapshots_free(&s);
	return r;
}

static const char *describe_snapshot_error(qc_err r, int action)
{
	switch (r) {
	case -EOPNOTSUPP:
		return action == 'a' ? "in version 2 of the format a disk with snapshots cannot get "
				       "another size" :
				       "version 1, or an image with an external data file, has no "
				       "snapshots";
	case -EINVAL:
		return "the name is empty";
	case -ENAMETOOLONG:
		return "the name is longer than 255 bytes";
	case -EEXIST:
		return "another snapshot has the name";
	case -ENOENT:
		return "there is no such snapshot";
	case -EDQUOT:
		return "there are 65536 snapshots already";
	default:
		return strerror(-r);
	}
}

static const char *verb_of_action(int action)
{
	return action == 'c' ? "take" : action == 'a' ? "go back to" : "delete";
}

int snapshot_change(struct command *c, const char *path, int action, const char *name)
{
	struct qc_image *img;
	int status = command_open(c, path, QC_OPEN_WRITE, &img);
	qc_err r;

	if (status != COMMAND_OK)
		return status;
	r = action == 'c' ? take_named_snapshot(img, name) : use_named_snapshot(img, action, name);
	if (!r)
		r = qc_flush(img);
	qc_close(img);
	if (!r)
		return COMMAND_OK;
	if (r != -EMLINK) /* the core has logged which refcount is at its maximum */
		report(QC_LOG_ERROR, "%s: cannot %s the snapshot '%s': %s%s", path,
		       verb_of_action(action), name, describe_snapshot_error(r, action),
		       qc_errno_hint(r));
	return COMMAND_FAILED;
}
