/* SPDX-License-Identifier: MIT */
/*
 * backing_name.c - parses json: and file: names.
 *
 * A json: name is an object: {"driver": "qcow2", "file": {"driver": "file", "filename": "..."}}.
 * A member of a nested object may also be written with a dot: "file.filename".  An option that
 * could change which bytes are read, such as "offset" of the raw driver, is refused by its name.
 */
#include "io/backing_name.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { KEY_MAX = 64, NESTED_MAX = 3 };

/* Options of QEMU's drivers that do not change the bytes. */
static const char *const harmless[] = {
	"driver", "filename", "node-name", "read-only", "auto-read-only", "discard", "detect-zeroes",
	"force-share", "locking", "aio", "cache", "cache.direct", "cache.no-flush",
	"drop-cache", "x-check-cache-dropped", "pr-manager",
};

struct json_name {
	const char *path;   /* of the file; NULL: not found yet */
	const char *format; /* of the outermost driver that has one */
	const char *driver[NESTED_MAX];
};

static qc_err fail_json_name(struct qc_reason *why, const char *problem, const char *word)
{
	return qc_fail(why, -EACCES, "the json: name of the backing file %s '%s' (only whole local "
		       "files are opened: drivers raw, qcow, qcow2 and file)", problem, word);
}

static bool is_harmless(const char *key)
{
	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		if (!strcmp(harmless[i], key))
			return true;
	return false;
}

/* Reads one member at nesting @level: 0 is the outermost object. */
static qc_err read_member(struct json_name *n, unsigned int level, const char *key,
			  const json_t *value, struct qc_reason *why)
{
	if (!is_harmless(key))
		return fail_json_name(why, "has the option", key);
	if (strcmp(key, "driver") != 0 && strcmp(key, "filename") != 0)
		return 0;
	if (!json_is_string(value))
		return fail_json_name(why, "has no text as", key);
	if (!strcmp(key, "driver"))
		n->driver[level] = json_string_value(value);
	else if (n->path)
		return fail_json_name(why, "has a second", key);
	else
		n->path = json_string_value(value);
	return 0;
}

static qc_err read_object(struct json_name *n, unsigned int level, json_t *object,
			  struct qc_reason *why)
{
	const char *member;
	json_t *value;

	json_object_foreach(object, member, value) {
		const char *key = member;
		unsigned int at = level;
		qc_err r;

		for (; !strncmp(key, "file.", 5) && at < NESTED_MAX; at++)
			key += 5;
		if (at >= NESTED_MAX || (!strcmp(key, "file") && at + 1 >= NESTED_MAX))
			return fail_json_name(why, "is nested too deeply at", key);
		/* The check above bounds the recursion. */
		if (!strcmp(key, "file") && json_is_object(value))
			r = read_object(n, at + 1, value, why);
		else
			r = read_member(n, at, key, value, why);
		if (r)
			return r;
	}
	return 0;
}

/* Checks the drivers: a format, then perhaps raw, then file. */
static qc_err check_drivers(struct json_name *n, struct qc_reason *why)
{
	for (unsigned int i = 0; i < NESTED_MAX; i++) {
		const char *d = n->driver[i];
		bool image = d && (!strcmp(d, "qcow") || !strcmp(d, "qcow2"));

		if (!d || !strcmp(d, "file"))
			continue;
		if ((!image && strcmp(d, "raw") != 0) || (image && i))
			return fail_json_name(why, "has the driver", d);
		if (!n->format)
			n->format = d;
	}
	return n->path ? 0 : fail_json_name(why, "has no", "filename");
}

bool qc_backing_name_has_drive(const char *name)
{
	return ((*name >= 'A' && *name <= 'Z') || (*name >= 'a' && *name <= 'z')) && name[1] == ':' &&
	       (name[2] == '\\' || name[2] == '/');
}

static qc_err parse_json_name(const char *text, char **path, char format[QC_BACKING_FORMAT_ROOM],
			      struct qc_reason *why)
{
	struct json_name n = { 0 };
	json_error_t error;
	json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	qc_err r = 0;

	if (!json_is_object(root)) {
		json_decref(root);
		return qc_fail(why, -EACCES, "the json: name of the backing file is no JSON object");
	}
	r = read_object(&n, 0, root, why);
	if (!r)
		r = check_drivers(&n, why);
	if (!r) {
		*path = strdup(n.path);
		snprintf(format, QC_BACKING_FORMAT_ROOM, "%s", n.format ? n.format : "");
		r = *path ? 0 : qc_fail_errno(why, -ENOMEM, NULL);
	}
	json_decref(root);
	return r;
}

qc_err qc_backing_name_parse(const char *name, char **path, char format[QC_BACKING_FORMAT_ROOM],
			     struct qc_reason *why)
{
	*format = 0;
	*path = NULL;
	if (!strncmp(name, "json:", 5))
		return parse_json_name(name + 5, path, format, why);
	*path = strdup(strncmp(name, "file:", 5) ? name : name + 5);
	if (!*path)
		return qc_fail_errno(why, -ENOMEM, NULL);
	if (qc_backing_name_has_drive(*path))
		for (char *p = strchr(*path, '\\'); p; p = strchr(p, '\\'))
			*p = '/';
	return 0;
}
