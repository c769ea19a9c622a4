/* SPDX-License-Identifier: MIT */
#include "views/rescue_files.h"

#include "views/made_text.h"

static struct node *make_rescue_map(struct tree *t, struct name *view, struct node *image)
{
	return made_text_new(t, qc_rescue_map, view, image);
}

static struct node *make_needed_map(struct tree *t, struct name *view, struct node *image)
{
	return made_text_new(t, qc_rescue_needed_map, view, image);
}

static struct node *make_rescue_report(struct tree *t, struct name *view, struct node *image)
{
	return made_text_new(t, qc_rescue_report, view, image);
}

const struct view_provider rescue_files_map = { .suffix = ".map", .make = make_rescue_map };
const struct view_provider rescue_files_needed = { .suffix = ".needed.map", .make = make_needed_map };
const struct view_provider rescue_files_report = {
	.suffix = ".rescue.json",
	.make = make_rescue_report,
};
