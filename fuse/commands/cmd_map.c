/* SPDX-License-Identifier: MIT */
/*
 * cmd_map.c - qcowfs map: in which file, and where, the bytes of a disk are, as qemu-img map
 * tells it.
 */
#include "commands/commands.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "cli/create_options.h"
#include "commands/common.h"
#include "commands/layer_names.h"
#include "commands/source_disk.h"
#include "info/qemu_img_map.h"
#include "util/report.h"

struct map_args {
	bool has_length;
	uint64_t start, length;
};

static int set_map_option(void *to, int id, const char *value)
{
	struct map_args *a = to;

	switch (id) {
	case 's':
		return create_options_size(value, &a->start);
	default:
		a->has_length = true;
		return create_options_size(value, &a->length);
	}
}

static const struct command_option map_options[] = {
	{ 's', "start-offset", "N", "begin at this byte of the disk" },
	{ 'l', "max-length", "N", "tell so many bytes at most" },
	{ 0 },
};

static const struct command_spec spec = {
	.name = "map",
	.summary = "Tells in which file of the chain, and where, the bytes of a disk are",
	.operands = "IMAGE",
	.min_operands = 1,
	.images = 1,
	.max_operands = 1,
	.has_json = true,
	.options = map_options,
	.set = set_map_option,
};

/* Prints data that has an offset in a file.  Return: 0; -ENOTSUP there is none for data */
static int print_data_line(const struct qc_mapping *m, const char *file)
{
	if (m->data && !m->has_offset)
		return -ENOTSUP;
	if (m->data && !m->zero)
		printf("%#-16" PRIx64 "%#-16" PRIx64 "%#-16" PRIx64 "%s\n", m->start, m->len,
		       m->offset, file);
	return 0;
}

static qc_err print_entries(bool json, struct qemu_img_map *map, const struct layer_names *names,
			    const char *path)
{
	struct qc_mapping m;
	bool first = true;
	qc_err r = qemu_img_map_next(map, &m);

	if (json)
		putchar('[');
	else
		printf("%-16s%-16s%-16s%s\n", "Offset", "Length", "Mapped to", "File");
	for (; !r && (first || m.len); first = false) {
		const char *file = m.has_offset && names->img ? layer_names_of(names, &m) : path;

		if (json && !first)
			puts(",");
		if (json)
			qemu_img_map_print_json(stdout, &m, file);
		else
			r = print_data_line(&m, file);
		if (!r)
			r = qemu_img_map_next(map, &m);
	}
	if (json)
		puts("]");
	return r;
}

static int print_map(struct command *c, const struct map_args *a)
{
	const char *path = c->operand[0];
	struct layer_names names = { 0 };
	struct qemu_img_map map = { .at = a->start };
	struct source_disk s;
	qc_err r = 0;

	if (source_disk_open_as(c, path, c->format[0], &s) != COMMAND_OK)
		return COMMAND_FAILED;
	map.get = s.img ? qemu_img_map_of_image : source_disk_raw_mapping;
	map.arg = s.img ? (void *)s.img : &s;
	map.end = s.size;
	if (a->has_length && a->start < s.size && a->length < s.size - a->start)
		map.end = a->start + a->length;
	if (s.img)
		r = layer_names_find(&names, s.img, path);
	if (!r)
		r = print_entries(c->json, &map, &names, path);
	layer_names_free(&names);
	source_disk_close(&s);
	if (r == -ENOTSUP)
		report(QC_LOG_ERROR, "%s: cannot show all: it has compressed or encrypted clusters "
		       "(use --json)", path);
	return r == -ENOTSUP ? COMMAND_FAILED : r ? command_fail(path, r, NULL) : COMMAND_OK;
}

int cmd_map(int argc, char **argv)
{
	struct map_args a = { 0 };
	struct command c;
	int status = command_begin(&c, &spec, &a, argc, argv);

	if (status == COMMAND_RUN)
		status = print_map(&c, &a);
	return command_end(&c, status);
}
