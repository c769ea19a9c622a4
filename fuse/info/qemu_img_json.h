/* SPDX-License-Identifier: MIT */
/*
 * qemu_img_json.h - the part of NAME.json that qemu-img would say, too; and what all parts
 * of it need.
 */
#ifndef QEMU_IMG_JSON_H
#define QEMU_IMG_JSON_H

#include "info/image_json.h"
#include "info/json.h"

struct page {
	struct json j;
	const struct info *info;
	struct qc_layer_facts f; /* of the image itself */
	struct qc_bitmaps bitmaps;
	struct qc_snapshots snapshots;
	char **shown; /* what they are called in the mount; NULL */
	qc_err bitmaps_error, snapshots_error;
};

static inline void put(struct page *p, json_t *to, const char *key, json_t *value)
{
	json_put(&p->j, to, key, value);
}

/* Nothing if it is "". */
static inline void put_name(struct page *p, json_t *to, const char *key, const char *name)
{
	if (*name)
		put(p, to, key, json_name(name));
}

void page_put_qemu_keys(struct page *p, json_t *root);

/* As QEMU calls it; NULL: it is none that we know. */
const char *page_format(const struct qc_layer_facts *f);

/* Lists; `details`: also what qemu-img does not say. */
json_t *page_bitmaps(struct page *p, bool details);
json_t *page_snapshots(struct page *p, bool details);

#endif
