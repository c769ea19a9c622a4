/* SPDX-License-Identifier: MIT */
/*
 * evidence_files.c - how long the bytes are is known after the tables were walked, which an open
 * does.  Until then the size is that of the image file, so that programs which ask before they
 * open do not take the file for empty.
 */
#include "views/evidence_files.h"

#include <errno.h>
#include <stdlib.h>

#include "qcow.h"
#include "tree/identity.h"
#include "views/deleted_dir.h"
#include "views/made_text.h"
#include "views/view.h"
#include "views/view_attr.h"

/* node.data; the node's attr_lock. */
struct evidence_file {
	enum qc_evidence which;
	bool has_size;
	struct identity size_of; /* the image file then */
	uint64_t size;
};

static void remember_size(struct node *n, const struct identity *id, uint64_t size)
{
	struct evidence_file *f = n->data;

	pthread_mutex_lock(&n->attr_lock);
	f->has_size = true;
	f->size_of = *id;
	f->size = size;
	pthread_mutex_unlock(&n->attr_lock);
}

/* A view_part_fn. */
static int open_evidence_part(struct node *n, struct qc_image *img, struct qc_image **out,
			      struct qc_reason *why)
{
	const struct evidence_file *f = n->data;

	return qc_open_evidence(img, f->which, out, why);
}

static int open_evidence(struct tree *t, struct node *n, bool write, struct qc_image **out)
{
	struct identity id;
	struct stat st;
	int r = view_attr_begin(t, n, &st);

	if (r)
		return r;
	id = identity_of(&st);
	r = view_open_part(t, n, write, open_evidence_part, out);
	if (!r)
		remember_size(n, &id, qc_size(*out));
	return r;
}

static int getattr_of_evidence(struct tree *t, struct node *n, struct stat *st)
{
	struct evidence_file *f = n->data;
	int r = view_attr_begin(t, n, st);

	if (!r) {
		struct identity now = identity_of(st);
		uint64_t size = (uint64_t)st->st_size;

		pthread_mutex_lock(&n->attr_lock);
		if (f->has_size && identity_same_content(&f->size_of, &now))
			size = f->size;
		pthread_mutex_unlock(&n->attr_lock);
		view_attr_make_file(size, 0444, st);
	}
	return view_attr_end(t, n, r, st);
}

static void free_evidence(struct node *n)
{
	free(n->data);
}

static const struct node_ops evidence_ops = {
	.getattr = getattr_of_evidence,
	.open = open_evidence,
	.free = free_evidence,
};

static struct node *make_evidence_node(struct tree *t, enum qc_evidence which, struct name *view,
				       struct node *image)
{
	struct evidence_file *f = calloc(1, sizeof(*f));
	struct node *n = f ? view_new(t, &evidence_ops, false, view, image) : NULL;

	if (!n) {
		free(f);
		return NULL;
	}
	f->which = which;
	n->data = f;
	return n;
}

static struct node *make_unallocated_raw(struct tree *t, struct name *view, struct node *image)
{
	return make_evidence_node(t, QC_EVIDENCE_UNALLOCATED, view, image);
}

static struct node *make_slack_raw(struct tree *t, struct name *view, struct node *image)
{
	return make_evidence_node(t, QC_EVIDENCE_SLACK, view, image);
}

static struct node *make_zeroed_raw(struct tree *t, struct name *view, struct node *image)
{
	return make_evidence_node(t, QC_EVIDENCE_ZEROED, view, image);
}

static struct node *make_unallocated_json(struct tree *t, struct name *view, struct node *image)
{
	return made_text_new(t, qc_unallocated_report, view, image);
}

static struct node *make_slack_json(struct tree *t, struct name *view, struct node *image)
{
	return made_text_new(t, qc_slack_report, view, image);
}

static struct node *make_findings_json(struct tree *t, struct name *view, struct node *image)
{
	return made_text_new(t, qc_findings_report, view, image);
}

static const struct view_provider kinds[] = {
	{ .suffix = ".unallocated.raw", .make = make_unallocated_raw },
	{ .suffix = ".unallocated.json", .make = make_unallocated_json },
	{ .suffix = ".slack.raw", .make = make_slack_raw },
	{ .suffix = ".slack.json", .make = make_slack_json },
	{ .suffix = ".zeroed.raw", .make = make_zeroed_raw },
	{ .suffix = ".findings.json", .make = make_findings_json },
};

const struct view_provider *const evidence_files_views[] = {
	&kinds[0], &kinds[1], &kinds[2], &kinds[3], &kinds[4], &kinds[5],
	&deleted_dir_views, NULL,
};
