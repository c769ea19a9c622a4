/* SPDX-License-Identifier: MIT */
#include "commands/image_operand.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/create_options.h"
#include "commands/image_format.h"
#include "qcow.h"
#include "util/report.h"

enum { NAME_DEPTH_MAX = 8, KEY_ROOM = 128 };

/* ---- one flat object: {"file.filename": "...", ...} ----------------------------------- */

/* Adds the members of @from, with @prefix before their keys. */
static int flatten_name(json_t *to, const json_t *from, const char *prefix, unsigned int depth)
{
	const char *key;
	json_t *value;
	int r = depth < NAME_DEPTH_MAX ? 0 : -EINVAL;

	json_object_foreach((json_t *)(uintptr_t)from, key, value) {
		char full[KEY_ROOM];

		if (r || snprintf(full, sizeof(full), "%s%s%s", prefix, *prefix ? "." : "", key) >= KEY_ROOM)
			return -EINVAL;
		r = json_is_object(value) ? flatten_name(to, value, full, depth + 1) :
					    json_object_set(to, full, value);
	}
	return r;
}

static json_t *load_json_name(const char *text)
{
	json_t *nested = json_loads(text, JSON_REJECT_DUPLICATES, NULL), *flat = json_object();

	if (!json_is_object(nested) || flatten_name(flat, nested, "", 0)) {
		json_decref(flat);
		flat = NULL;
	}
	json_decref(nested);
	return flat;
}

static json_t *load_image_opts(const char *list)
{
	char *copy = strdup(list), *next;
	json_t *flat = json_object();

	for (char *word = copy; word && *word; word = next) {
		char *value;

		next = create_options_cut(word, ',');
		value = strchr(word, '=');
		if (value)
			*value++ = 0;
		json_object_set_new(flat, word, json_string(value ? value : "on"));
	}
	free(copy);
	return flat;
}

/* ---- its members ------------------------------------------------------------------------- */

/* Options of an image that are known here, or that change neither bytes nor files. */
static bool is_known_option(const char *key)
{
	static const char *const names[] = {
		"encrypt.format", "encrypt.key-secret", "key-secret", "force-share", "lazy-refcounts",
		"pass-discard-request", "pass-discard-snapshot", "pass-discard-other", "cache-size",
		"l2-cache-size", "l2-cache-entry-size", "refcount-cache-size", "cache-clean-interval",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(names[i], key))
			return true;
	return !strncmp(key, "overlap-check", 13);
}

static bool is_on(const json_t *flat, const char *key)
{
	const json_t *value = json_object_get(flat, key);
	bool on = false;

	if (json_is_string(value))
		create_options_switch(json_string_value(value), &on);
	return on || json_is_true(value);
}

static char *copy_member(const json_t *flat, const char *key)
{
	const char *text = json_string_value(json_object_get(flat, key));

	return text ? strdup(text) : NULL;
}

/* Removes the options of images, so that only the name of the file is left. */
static void remove_known_options(json_t *flat)
{
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(flat, next, key, value)
		if (is_known_option(key))
			json_object_del(flat, key);
}

/* Asks core for the path: it knows the drivers and options of QEMU that mean a local file. */
static int find_operand_path(const json_t *flat, struct image_operand *out)
{
	char *text = json_dumps(flat, JSON_COMPACT), *name = NULL;

	if (text && asprintf(&name, "json:%s", text) >= 0)
		out->path = qc_backing_path(name);
	free(text);
	free(name);
	return out->path ? 0 : -EINVAL;
}

static int read_flat_name(json_t *flat, const char *name, struct image_operand *out)
{
	int r = flat ? 0 : -EINVAL;

	if (flat) {
		out->format = copy_member(flat, "driver");
		out->secret = copy_member(flat, "encrypt.key-secret");
		if (!out->secret)
			out->secret = copy_member(flat, "key-secret");
		out->share = is_on(flat, "force-share");
		remove_known_options(flat);
		r = find_operand_path(flat, out);
	}
	json_decref(flat);
	if (r)
		report(QC_LOG_ERROR, "%s: cannot open: only whole local files are opened (drivers raw, "
		       "qcow, qcow2 and file)", name);
	if (out->format && !image_format_is_known(out->format)) { /* the driver "file" */
		free(out->format);
		out->format = NULL;
	}
	return r;
}

/* ---- public ------------------------------------------------------------------------------ */

int image_operand_parse(const char *name, bool image_opts, struct image_operand *out)
{
	*out = (struct image_operand){ 0 };
	if (image_opts)
		return read_flat_name(load_image_opts(name), name, out);
	if (!strncmp(name, "json:", 5))
		return read_flat_name(load_json_name(name + 5), name, out);
	out->path = strdup(strncmp(name, "file:", 5) ? name : name + 5);
	return out->path ? 0 : -ENOMEM;
}

void image_operand_free(struct image_operand *o)
{
	free(o->path);
	free(o->format);
	free(o->secret);
	*o = (struct image_operand){ 0 };
}
