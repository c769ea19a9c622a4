/* SPDX-License-Identifier: MIT */
#include "commands/convert_options.h"

#include <errno.h>
#include <string.h>

#include "cli/option_values.h"
#include "commands/cache_mode.h"
#include "commands/image_format.h"
#include "util/report.h"

enum { TARGET_IS_ZERO = 256, BITMAP, BITMAPS, SALVAGE, TARGET_IMAGE_OPTS, SKIP_BROKEN };

enum { REQUESTS_MAX = 16 }; /* QEMU's */

const struct command_option convert_options_table[] = {
	{ 'O', NULL, "raw|qcow|qcow2", "format of DST (raw)" },
	{ 'o', NULL, "OPTION=VALUE,...", "options of a new image, as for create" },
	{ 'c', NULL, NULL, "compress the clusters of DST" },
	{ 'b', NULL, "BASE", "backing file of DST: store only what differs from it" },
	{ 'B', NULL, "BASE", "the same as -b" },
	{ 'F', NULL, "raw|qcow|qcow2", "format of the backing file" },
	{ 'l', NULL, "SNAPSHOT", "copy this internal snapshot of SRC" },
	{ BITMAP, "bitmap", "BITMAP", "with -b: store what is dirty in this bitmap of SRC, and no more" },
	{ BITMAPS, "bitmaps", NULL, "copy all dirty bitmaps, too" },
	{ 'n', NULL, NULL, "write to a DST that exists, instead of a new one" },
	{ TARGET_IS_ZERO, "target-is-zero", NULL, "with -n: DST reads as zeros" },
	{ 'S', NULL, "SIZE", "zeros of this size become a hole in a raw DST (4k); 0: none" },
	{ 'm', NULL, "N", "requests in parallel (8; with -c one for each processor at least)" },
	{ 'r', NULL, "RATE", "copy at most so many bytes in a second" },
	{ SALVAGE, "salvage", NULL, "read zeros where SRC cannot be read" },
	{ SKIP_BROKEN, "skip-broken-bitmaps", NULL, "with --bitmaps: leave out inconsistent ones" },
	{ TARGET_IMAGE_OPTS, "target-image-opts", NULL, "with -n: DST is written as for --image-opts" },
	{ 'C', NULL, NULL, "accepted as by qemu-img, and ignored" },
	{ 'W', NULL, NULL, "write DST out of order" },
	{ 't', NULL, "CACHE", "how DST is written: unsafe, or writeback, which syncs it (unsafe)" },
	{ 0 },
};

static int set_format(const char **to, const char *value)
{
	*to = value;
	return image_format_is_known(value) ? 0 : -EINVAL;
}

static int set_zero_bytes(struct convert_args *a, const char *value)
{
	uint64_t n;

	if (create_options_size(value, &n) || n % 512 || n > 1 << 30)
		return -EINVAL;
	a->full = !n;
	a->zero_bytes = (uint32_t)n;
	return 0;
}

static int set_requests(struct convert_args *a, const char *value)
{
	unsigned long long n = 0;
	int r = option_value_number(value, REQUESTS_MAX, false, &n);

	a->requests = (unsigned int)n;
	return n ? r : -EINVAL;
}

static void set_convert_switch(struct convert_args *a, int id)
{
	switch (id) {
	case 'c':
		a->compress = true;
		break;
	case 'n':
		a->existing = true;
		break;
	case 'W':
		a->any_order = true;
		break;
	case 'C':
		a->offload = true;
		break;
	case SALVAGE:
		a->salvage = true;
		break;
	case SKIP_BROKEN:
		a->skip_broken = true;
		break;
	case TARGET_IMAGE_OPTS:
		a->target_opts = true;
		break;
	case BITMAPS:
		a->bitmaps = true;
		break;
	default:
		a->target_is_zero = true;
		break;
	}
}

int convert_options_set(void *to, int id, const char *value)
{
	struct convert_args *a = to;

	switch (id) {
	case 'O':
		return set_format(&a->target_format, value);
	case 'F':
		return set_format(&a->options.o.backing_format, value);
	case 'o':
		return command_add_create_options(&a->options, value);
	case 'b':
	case 'B':
		a->options.o.backing = value;
		return 0;
	case 'l':
		a->snapshot = value;
		return 0;
	case BITMAP:
		a->bitmap = value;
		return 0;
	case 'S':
		return set_zero_bytes(a, value);
	case 'm':
		return set_requests(a, value);
	case 't':
		return cache_mode_read(value, &a->sync);
	case 'r':
		return create_options_size(value, &a->rate) || !a->rate ? -EINVAL : 0;
	default:
		set_convert_switch(a, id);
		return 0;
	}
}

/* Finds the path and, with --target-image-opts, the format of DST. */
static int resolve_target(struct convert_args *a, struct command *c)
{
	if (!a->target_opts && !strcmp(c->operand[1], "-"))
		return 0;
	if (image_operand_parse(c->operand[1], a->target_opts, &c->image[1]))
		return -EINVAL;
	c->operand[1] = c->image[1].path;
	if (a->target_opts && c->image[1].format)
		a->target_format = c->image[1].format;
	return 0;
}

int convert_options_check(struct convert_args *a, struct command *c)
{
	const struct qc_create_options *o = &a->options.o;
	bool unresolved = resolve_target(a, c), raw = !a->target_format || !strcmp(a->target_format, "raw");
	const char *why = NULL;

	if (unresolved)
		return COMMAND_FAILED;
	if (raw && a->compress)
		why = "-c: a raw file is not compressed (-O qcow2)";
	else if (raw && o->backing)
		why = "-b: a raw file has no backing file (-O qcow2)";
	else if (raw && a->options.text)
		why = "-o: a raw file has no options (-O qcow2)";
	else if (a->compress && (o->encryption != QC_CREATE_PLAIN || o->data_file))
		why = "-c: an image that is encrypted, or has an external data file, has no "
		      "compressed clusters";
	else if (a->compress && a->options.preallocation != PREALLOC_OFF)
		why = "-c: clusters cannot be compressed and preallocated at the same time";
	else if (a->bitmap && !o->backing)
		why = "--bitmap: only with a backing file (-b), which has all else";
	else if (a->bitmap && a->bitmaps)
		why = "--bitmap and --bitmaps exclude each other";
	else if (a->bitmaps && (raw || strcmp(a->target_format, "qcow2") != 0))
		why = "--bitmaps: only qcow2 has bitmaps (-O qcow2)";
	else if (a->skip_broken && !a->bitmaps)
		why = "--skip-broken-bitmaps: only with --bitmaps";
	else if (a->target_opts && !a->existing)
		why = "--target-image-opts: only with -n";
	else if (a->offload && (a->compress || a->full || a->zero_bytes))
		why = "-C: not together with -c or -S";
	else if (a->target_is_zero && !a->existing)
		why = "--target-is-zero: only with -n";
	if (!why && a->existing && a->options.text)
		report(QC_LOG_WARN, "-o: a file that exists gets no options (-n)");
	if (why)
		report(QC_LOG_ERROR, "%s", why);
	return why ? COMMAND_FAILED : COMMAND_OK;
}
