/* SPDX-License-Identifier: MIT */
#include "commands/chain_info.h"

#include <errno.h>
#include <sys/stat.h>

#include "info/image_json.h"

/* Describes layer @n of @img, which is called @name.  @why is the reason why the image cannot be
 * used, or empty. */
static int add_layer(const struct command *c, json_t *list, const char *name, struct qc_image *img,
		     unsigned int n, const struct qc_reason *why)
{
	struct info info = { .path = name, .img = img, .layer = n,
			     .error = *why->text ? why->text : NULL };
	json_t *o;

	qc_get_counters(c->ctx, &info.counters);
	o = image_json(&info);
	return o && !json_array_append_new(list, o) ? 0 : command_fail(name, -ENOMEM, NULL);
}

/* Opens one file of a chain again, as an image, since core lists the snapshots and bitmaps
 * of the first layer only. */
static int add_backing_file(struct command *c, json_t *list, const char *name,
			    struct qc_image *top, unsigned int n)
{
	struct qc_layer_info f;
	struct qc_reason why = { 0 };
	struct qc_image *img;
	int status;
	qc_err r = qc_get_layer_info(top, n, &f);
	bool raw = f.raw;

	qc_layer_info_free(&f);
	if (r || raw)
		return r ? command_fail(name, r, NULL) : add_layer(c, list, name, top, n, &why);
	r = command_try_open(c, qc_layer_path(top, n), QC_OPEN_HEADERS_ONLY | QC_OPEN_INSPECT, &img,
			     &why);
	if (!img)
		return command_fail(name, r, &why);
	status = add_layer(c, list, name, img, 0, &why);
	qc_close(img);
	return status;
}

int chain_info_add_backing(struct command *c, json_t *list, struct qc_image *img)
{
	int status = COMMAND_OK;

	for (unsigned int n = 1; !status && n < qc_depth(img); n++) {
		const json_t *over = json_array_get(list, n - 1);
		const char *name = json_string_value(json_object_get(over, "full-backing-filename"));
		const char *path = qc_layer_path(img, n);
		struct stat named, found;

		/* A json: name is none, and --backing-map leads elsewhere. */
		if (!name || stat(name, &named) || stat(path, &found) ||
		    named.st_dev != found.st_dev || named.st_ino != found.st_ino)
			name = path;
		status = add_backing_file(c, list, name, img, n);
	}
	return status;
}

int chain_info_add_image(const struct command *c, json_t *list, const char *name,
			 struct qc_image *img, const struct qc_reason *why)
{
	return add_layer(c, list, name, img, 0, why);
}
