/* SPDX-License-Identifier: MIT */
#include "tree/image_info.h"

#include <errno.h>
#include <string.h>

#include "qcow_info.h"
#include "tree/image_file.h"

static int fill_node_info(struct qc_image *img, unsigned int number, struct node_info *out)
{
	struct qc_layer_info f;

	if (qc_get_layer_info(img, number, &f))
		return -ENOMEM;
	out->format = f.raw ? "raw" : qc_format_name(f.version);
	if (f.backing && *f.backing)
		out->backing = strdup(f.backing);
	out->has_size = !f.refused;
	out->size = f.size;
	qc_layer_info_free(&f);
	return f.backing && *f.backing && !out->backing ? -ENOMEM : 0;
}

int image_info_of_layer(struct tree *t, struct node *image, unsigned int number,
			 const char *path, struct node_info *out)
{
	struct image_inspection i;
	int r = image_file_inspect(t, image, &i);

	*out = (struct node_info){ 0 };
	if (r)
		return r;
	if (i.img && (number >= qc_depth(i.img) ||
		      (path && strcmp(path, qc_layer_path(i.img, number)))))
		r = -ESTALE;
	else if (i.img)
		r = fill_node_info(i.img, number, out);
	image_file_inspection_end(&i);
	return r;
}

int image_info_get(struct tree *t, struct node *image, struct node_info *out)
{
	return image_info_of_layer(t, image, 0, NULL, out);
}
