/* SPDX-License-Identifier: MIT */
#include "views/map_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "info/qemu_img_map.h"
#include "tree/image_file.h"
#include "views/text_file.h"

/* The text is in memory as a whole.  For a disk in more pieces there is the command. */
enum { MAP_BYTES_MAX = 64 << 20 };

static qc_err write_entries(FILE *to, struct qc_image *img)
{
	struct qemu_img_map map = { .get = qemu_img_map_of_image, .arg = img, .end = qc_size(img) };
	struct qc_mapping m;
	qc_err r = qemu_img_map_next(&map, &m);

	fputc('[', to);
	for (bool first = true; !r && (first || m.len); first = false) {
		if (!first)
			fputs(",\n", to);
		qemu_img_map_print_json(to, &m, m.file);
		r = ftell(to) > MAP_BYTES_MAX ? -EFBIG : qemu_img_map_next(&map, &m);
	}
	fputs("]\n", to);
	return r;
}

static int make_map(struct tree *t, struct node *image, char **text, size_t *len)
{
	struct qc_image *img;
	qc_err r = image_file_open(t, image, 0, &img);
	FILE *to;

	if (r)
		return r;
	to = open_memstream(text, len);
	r = to ? write_entries(to, img) : -ENOMEM;
	if (to && fclose(to) && !r)
		r = -ENOMEM;
	qc_close(img);
	if (r && to)
		free(*text);
	return r;
}

static struct node *make_map_node(struct tree *t, struct name *view, struct node *image)
{
	return text_file_new(t, view, image, false, make_map);
}

const struct view_provider map_file_views = {
	.suffix = ".map",
	.make = make_map_node,
};

const struct view_provider map_file_views_of_rescue = {
	.suffix = ".map.json",
	.make = make_map_node,
};
