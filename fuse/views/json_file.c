/* SPDX-License-Identifier: MIT */
#include "views/json_file.h"

#include <errno.h>

#include "info/image_json.h"
#include "tree/image_file.h"
#include "tree/tree.h"
#include "tree/tree_fields.h"
#include "views/snapshot_dir.h"
#include "views/snapshot_names.h"
#include "views/text_file.h"

static int make_json(struct tree *t, struct node *image, char **text, size_t *len)
{
	struct image_inspection i;
	struct info info;

	if (image_file_inspect(t, image, &i))
		return -ENOMEM;
	info = (struct info){ .path = i.path, .img = i.img, .live = i.live,
			      .error = i.failed ? i.why.text : NULL,
			      .shown = tree_shows_views(t, &snapshot_dir_views) ? snapshot_names :
										  NULL };
	qc_get_counters(t->ctx, &info.counters);
	*text = image_json_text(&info, len);
	image_file_inspection_end(&i);
	return *text ? 0 : -ENOMEM;
}

static struct node *make_json_node(struct tree *t, struct name *view, struct node *image)
{
	return text_file_new(t, view, image, true, make_json);
}

const struct view_provider json_file_views = {
	.suffix = ".json",
	.make = make_json_node,
};
