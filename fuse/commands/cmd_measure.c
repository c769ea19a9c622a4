/* SPDX-License-Identifier: MIT */
/*
 * cmd_measure.c - qcowfs measure: how long the file of a copy would become, as qemu-img measure.
 */
#include "commands/commands.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/create_options.h"
#include "commands/common.h"
#include "commands/source_disk.h"
#include "util/report.h"

enum { SIZE = 256 };

struct measure_args {
	struct create_options options;
	const char *snapshot;
	bool qcow2, has_size;
};

static int set_measure_option(void *to, int id, const char *value)
{
	struct measure_args *a = to;

	switch (id) {
	case SIZE:
		a->has_size = true;
		return create_options_size(value, &a->options.o.size);
	case 'l':
		a->snapshot = value;
		return 0;
	case 'o':
		return command_add_create_options(&a->options, value);
	default:
		a->qcow2 = !strcmp(value, "qcow2");
		return a->qcow2 || !strcmp(value, "raw") ? 0 : -EINVAL;
	}
}

static const struct command_option measure_options[] = {
	{ 'O', NULL, "raw|qcow2", "format of the copy (raw)" },
	{ 'o', NULL, "OPTION=VALUE,...", "options of the copy, as for create" },
	{ 'l', NULL, "SNAPSHOT", "measure this internal snapshot of SRC" },
	{ SIZE, "size", "N", "measure an empty disk of this size" },
	{ 0 },
};

static const struct command_spec spec = {
	.name = "measure",
	.summary = "Says how long the file of a copy would become",
	.operands = "[SRC]",
	.min_operands = 0,
	.images = 1,
	.max_operands = 1,
	.has_json = true, .options = measure_options,
	.set = set_measure_option,
};

static uint64_t round_to(uint64_t v, uint64_t unit)
{
	return (v + unit - 1) / unit * unit;
}

/* Counts the bytes of the clusters that hold data. */
static qc_err count_data(const struct source_disk *s, uint64_t cluster, uint64_t *bytes)
{
	struct qc_extent e;

	for (uint64_t at = 0; at < s->size; at += e.len) {
		qc_err r = source_disk_status(s, at, &e);

		if (r)
			return r;
		if (e.data) {
			*bytes += at % cluster + round_to(at + e.len, cluster) - at;
			e.len = round_to(at + e.len, cluster) - at; /* a cluster counts once */
		}
	}
	return 0;
}

static void print_measures(bool json, uint64_t required, uint64_t full,
			   const struct source_disk *s, bool bitmaps)
{
	if (json)
		printf("{\n");
	if (json && bitmaps)
		printf("    \"bitmaps\": %" PRIu64 ",\n", s->bitmap_bytes);
	printf(json ? "    \"required\": %" PRIu64 ",\n    \"fully-allocated\": %" PRIu64 "\n}\n" :
			 "required size: %" PRIu64 "\nfully allocated size: %" PRIu64 "\n",
	       required, full);
	if (!json && bitmaps)
		printf("bitmaps size: %" PRIu64 "\n", s->bitmap_bytes);
}

static int measure(struct command *c, struct measure_args *a, const char *what)
{
	struct qc_create_options *o = &a->options.o;
	struct source_disk s = { .fd = -1, .size = o->size };
	uint64_t metadata = 0, data = 0, disk;
	struct qc_reason why = { 0 };
	uint32_t cluster = 512;
	int status = COMMAND_OK;
	qc_err r = 0;

	if (!a->has_size)
		status = source_disk_open_as(c, what, c->format[0], &s);
	if (status == COMMAND_OK && a->snapshot && !a->has_size)
		status = source_disk_select_snapshot(what, a->snapshot, &s);
	if (status != COMMAND_OK)
		goto out;
	o->size = s.size;
	if (a->qcow2)
		r = qc_measure(o, &metadata, &cluster, &why);
	disk = round_to(s.size, cluster);
	if (!r && !a->has_size)
		r = count_data(&s, cluster, &data);
	if (!r && !a->has_size)
		r = source_disk_measure_bitmaps(c, what, &s, cluster);
	if (!a->qcow2 || a->options.preallocation >= PREALLOC_FALLOC)
		data = disk;
	if (r)
		status = command_fail(what, r, &why);
	else
		print_measures(c->json, metadata + data, metadata + disk, &s,
			       a->qcow2 && o->version != 2 && s.bitmaps_possible);
out:
	source_disk_close(&s);
	return status;
}

int cmd_measure(int argc, char **argv)
{
	struct measure_args a = { 0 };
	struct command c;
	int status = command_begin(&c, &spec, &a, argc, argv);

	if (status == COMMAND_RUN && a.has_size == (c.operands > 0)) {
		report(QC_LOG_ERROR, "measure: needs SRC or --size=N, one of the two");
		status = COMMAND_FAILED;
	} else if (status == COMMAND_RUN) {
		status = measure(&c, &a, c.operands ? c.operand[0] : "--size");
	}
	create_options_free(&a.options);
	return command_end(&c, status);
}
