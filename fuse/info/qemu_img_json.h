/* SPDX-License-Identifier: MIT */
/*
 * qemu_img_json.h - the keys of NAME.json that `qemu-img info` has, too, and helpers for all keys.
 *
 * Names and values are those of qemu-img 7.2.  Keys that it leaves out are left out.
 */
#ifndef QEMU_IMG_JSON_H
#define QEMU_IMG_JSON_H

#include "info/image_json_fields.h"
#include "info/json.h"

struct json_report {
	struct json j;
	const struct info *info;
	struct qc_layer_info f; /* of the image itself */
	struct qc_bitmaps bitmaps;
	struct qc_snapshots snapshots;
	char **shown; /* names of the snapshots in the mount; NULL */
	qc_err bitmaps_error, snapshots_error;
};

static inline void put(struct json_report *p, json_t *to, const char *key, json_t *value)
{
	json_put(&p->j, to, key, value);
}

/* Adds a name, unless it is "". */
static inline void put_name(struct json_report *p, json_t *to, const char *key, const char *name)
{
	if (*name)
		put(p, to, key, json_name(name));
}

void qemu_img_json_put(struct json_report *p, json_t *root);

/* Returns QEMU's name of the format; NULL: the version is unknown. */
const char *qemu_img_json_format(const struct qc_layer_info *f);

/* Return arrays; with @details their objects also have keys that qemu-img does not have. */
json_t *qemu_img_json_bitmaps(struct json_report *p, bool details);
json_t *qemu_img_json_snapshots(struct json_report *p, bool details);

#endif
