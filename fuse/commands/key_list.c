/* SPDX-License-Identifier: MIT */
#include "commands/key_list.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "commands/common.h"

static json_t *slot_object(const struct qc_luks_slot_info *s)
{
	json_t *o = json_object();

	json_object_set_new(o, "active", json_boolean(s->active));
	if (s->active) {
		json_object_set_new(o, "iters", json_integer(s->iterations));
		json_object_set_new(o, "stripes", json_integer(s->stripes));
	}
	json_object_set_new(o, "key-offset", json_integer((json_int_t)s->key_offset));
	return o;
}

static void print_slots_json(const struct qc_luks_info *l)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < QC_KEY_SLOTS; i++)
		json_array_append_new(list, slot_object(&l->slot[i]));
	json_dumpf(list, stdout, JSON_INDENT(4));
	putchar('\n');
	json_decref(list);
}

static void print_slots(const struct qc_luks_info *l)
{
	puts("Slot  State     Iterations");
	for (unsigned int i = 0; i < QC_KEY_SLOTS; i++) {
		if (l->slot[i].active)
			printf("%-5u active    %10" PRIu32 "\n", i, l->slot[i].iterations);
		else
			printf("%-5u free\n", i);
	}
}

int key_list_print(struct command *c, const char *path, bool json)
{
	struct qc_luks_info info;
	struct qc_image *img;
	struct qc_reason why = { .text = "not encrypted with LUKS, so it has no key slots" };
	int status = command_open(c, path, QC_OPEN_HEADERS_ONLY | QC_OPEN_NO_BACKING, &img);
	qc_err r;

	if (status != COMMAND_OK)
		return status;
	r = qc_get_luks_info(img, &info);
	if (r)
		status = command_fail(path, r, r == -ENOENT ? &why : NULL);
	else if (json)
		print_slots_json(&info);
	else
		print_slots(&info);
	qc_close(img);
	return status;
}
