/* SPDX-License-Identifier: MIT */
#include "info/qemu_img_text.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

void qemu_img_text_size(char *out, uint64_t bytes)
{
	static const char *const units[] = { "", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei" };
	double n = (double)bytes;
	size_t i = 0;

	for (; n >= 1000 && i + 1 < sizeof(units) / sizeof(units[0]); i++)
		n /= 1024;
	snprintf(out, 20, "%.3g %sB", n, units[i]);
}

static uint64_t number_of(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

/* Prints text of an image.  A terminal would obey control bytes: C0, DEL, and C1 in UTF-8. */
static void print_text(FILE *f, const json_t *value)
{
	const unsigned char *p = (const unsigned char *)json_string_value(value);
	size_t left = p ? json_string_length(value) : 0;

	for (; left; left--, p++) {
		bool c1 = left > 1 && *p == 0xc2 && p[1] < 0xa0;

		if (*p >= ' ' && *p != 0x7f && !c1) {
			putc(*p, f);
		} else {
			fprintf(f, "%%%02X", c1 ? p[1] : *p);
			p += c1;
			left -= c1;
		}
	}
}

static void print_line(FILE *f, const char *label, const json_t *value)
{
	if (!value)
		return;
	fprintf(f, "%s: ", label);
	print_text(f, value);
	putc('\n', f);
}

static void print_sizes(FILE *f, const json_t *info)
{
	uint64_t size = number_of(info, "virtual-size");
	char text[20];

	if (json_object_get(info, "virtual-size")) {
		qemu_img_text_size(text, size);
		fprintf(f, "virtual size: %s (%llu bytes)\n", text, (unsigned long long)size);
	}
	qemu_img_text_size(text, number_of(info, "actual-size"));
	fprintf(f, "disk size: %s\n", text);
}

static void print_backing(FILE *f, const json_t *info)
{
	const json_t *name = json_object_get(info, "backing-filename");
	const json_t *full = json_object_get(info, "full-backing-filename");

	if (!name)
		return;
	fprintf(f, "backing file: ");
	print_text(f, name);
	if (full && !json_equal((json_t *)name, (json_t *)full)) {
		fprintf(f, " (actual path: ");
		print_text(f, full);
		fprintf(f, ")");
	}
	putc('\n', f);
	print_line(f, "backing file format", json_object_get(info, "backing-filename-format"));
}

/* ---- the snapshot list ---------------------------------------------------------- */

static int width_of(const json_t *text)
{
	return (int)json_string_length(text);
}

static void print_padded(FILE *f, const json_t *text, int width)
{
	print_text(f, text);
	fprintf(f, "%*s", width_of(text) < width ? width - width_of(text) : 1, "");
}

void qemu_img_text_print_snapshot_heading(FILE *f)
{
	fprintf(f, "Snapshot list:\n%-10s%-17s%8s%20s%13s%11s\n", "ID", "TAG", "VM SIZE", "DATE",
		"VM CLOCK", "ICOUNT");
}

void qemu_img_text_print_snapshot(FILE *f, const json_t *s)
{
	time_t date = (time_t)json_integer_value(json_object_get(s, "date-sec"));
	uint64_t clock = number_of(s, "vm-clock-sec");
	char size[20], day[40] = "?", run[60], icount[24] = "";
	struct tm tm;

	if (localtime_r(&date, &tm))
		strftime(day, sizeof(day), "%Y-%m-%d %H:%M:%S", &tm);
	qemu_img_text_size(size, number_of(s, "vm-state-size"));
	snprintf(run, sizeof(run), "%02llu:%02u:%02u.%03u", (unsigned long long)clock / 3600,
		 (unsigned int)(clock / 60 % 60), (unsigned int)(clock % 60),
		 (unsigned int)(number_of(s, "vm-clock-nsec") / 1000000));
	print_padded(f, json_object_get(s, "id"), 10);
	print_padded(f, json_object_get(s, "name"), 17);
	if (json_object_get(s, "icount"))
		snprintf(icount, sizeof(icount), "%llu",
			 (unsigned long long)number_of(s, "icount"));
	fprintf(f, "%8s%20s%13s%11s\n", size, day, run, icount);
}

static void print_snapshots(FILE *f, const json_t *list)
{
	if (!json_array_size(list))
		return;
	qemu_img_text_print_snapshot_heading(f);
	for (size_t i = 0; i < json_array_size(list); i++)
		qemu_img_text_print_snapshot(f, json_array_get(list, i));
}

/* ---- format specific information ------------------------------------------------- */

static void print_scalar(FILE *f, const json_t *v)
{
	if (json_is_string(v))
		print_text(f, v);
	else if (json_is_boolean(v))
		fputs(json_is_true(v) ? "true" : "false", f);
	else
		fprintf(f, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	putc('\n', f);
}

/* Prints the members of an object or of an array, which may hold others: a document of
 * image_json() is four levels deep. */
static void print_members(FILE *f, const json_t *of, int indent)
{
	bool array = json_is_array(of);
	void *at = array ? NULL : json_object_iter((json_t *)of);

	for (size_t i = 0; array ? i < json_array_size(of) : at != NULL; i++) {
		const json_t *v = array ? json_array_get(of, i) : json_object_iter_value(at);

		fprintf(f, "%*s", indent, "");
		if (array)
			fprintf(f, "[%zu]", i);
		for (const char *c = array ? "" : json_object_iter_key(at); *c; c++)
			putc(*c == '-' ? ' ' : *c, f);
		if (json_is_array(v) || json_is_object(v)) {
			fputs(":\n", f);
			print_members(f, v, indent + 4);
		} else {
			fputs(": ", f);
			print_scalar(f, v);
		}
		at = array ? NULL : json_object_iter_next((json_t *)of, at);
	}
}

void qemu_img_text_print(FILE *f, const json_t *info)
{
	const json_t *special = json_object_get(info, "format-specific");

	print_line(f, "image", json_object_get(info, "filename"));
	print_line(f, "file format", json_object_get(info, "format"));
	print_sizes(f, info);
	if (json_is_true(json_object_get(info, "encrypted")))
		fprintf(f, "encrypted: yes\n");
	if (json_object_get(info, "cluster-size"))
		fprintf(f, "cluster_size: %llu\n",
			(unsigned long long)number_of(info, "cluster-size"));
	if (json_is_true(json_object_get(info, "dirty-flag")))
		fprintf(f, "cleanly shut down: no\n");
	print_backing(f, info);
	print_snapshots(f, json_object_get(info, "snapshots"));
	if (special) {
		fprintf(f, "Format specific information:\n");
		print_members(f, json_object_get(special, "data"), 4);
	}
}
