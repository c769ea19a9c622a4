/* SPDX-License-Identifier: MIT */
#include "tree/raw_name.h"

#include <string.h>

#include "tap.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void check(char *(*fn)(const char *), const char *file, const char *want)
{
	char *got = fn(file);

	CHECK(got && !strcmp(got, want));
	free(got);
}

static void short_names(void)
{
	static const char *const t[][2] = {
		{ "vm.qcow2", "vm.raw" },	  { "vm.qcow", "vm.raw" },
		{ "vm.qcow3", "vm.raw" },	  { "vm.qc2", "vm.raw" },
		{ "vm.cow", "vm.raw" },		  { "vm.img", "vm.raw" },
		{ "vm.QCOW2", "vm.raw" },	  { "VM.Img", "VM.raw" },
		{ "a.b.qcow2", "a.b.raw" },	  { "vm.qcow2.qcow2", "vm.qcow2.raw" },
		{ "vm", "vm.raw" },		  { "vm.vmdk", "vm.vmdk.raw" },
		{ "vm.qcow22", "vm.qcow22.raw" }, { "vmqcow2", "vmqcow2.raw" },
		{ ".qcow2", ".qcow2.raw" }, /* something must be left */
		{ ".img", ".img.raw" },		  { "x.img", "x.raw" },
		{ "vm.qcow2 ", "vm.qcow2 .raw" }, { "", ".raw" },
		{ "%s%n.img", "%s%n.raw" },	  { "\xff\xfe.cow", "\xff\xfe.raw" },
	};

	for (size_t i = 0; i < COUNT(t); i++)
		check(raw_name, t[i][0], t[i][1]);
}

static void long_names(void)
{
	check(raw_name_full, "vm.qcow2", "vm.qcow2.raw");
	check(raw_name_full, "vm", "vm.raw");
	check(raw_name_full, "%d.img", "%d.img.raw");
}

static void names_of_views(void)
{
	char *name = raw_name_of_view("vm.raw", ".snapshots");

	CHECK(name && !strcmp(name, "vm.snapshots"));
	free(name);
}

/* Names of 300 bytes that differ in the last one are cut to different names of 255. */
static void names_are_cut(void)
{
	char file[301], *name[2], *view;

	for (int i = 0; i < 2; i++) {
		memset(file, 'x', 300);
		file[299] = (char)('a' + i);
		file[300] = 0;
		name[i] = raw_name(file);
		CHECK(name[i] && strlen(name[i]) == RAW_NAME_MAX);
		CHECK(name[i] && !strcmp(name[i] + RAW_NAME_MAX - 4, ".raw"));
		view = raw_name_of_view(name[i], ".snapshots");
		CHECK(view && strlen(view) == RAW_NAME_MAX && strstr(view, ".snapshots"));
		free(view);
	}
	CHECK(strcmp(name[0], name[1]) && !strncmp(name[0], name[1], 200));
	free(name[0]);
	free(name[1]);
}

static void characters_are_not_cut(void)
{
	for (size_t shift = 0; shift < 4; shift++) {
		char file[400], *name;

		memset(file, 'x', shift);
		for (size_t i = shift; i + 4 < sizeof(file); i += 4)
			memcpy(file + i, "\xf0\x9f\x98\x80", 4);
		file[shift + 4 * 90] = 0;
		name = raw_name(file);
		CHECK(name && strstr(name, "%~") && (size_t)(strstr(name, "%~") - name - (ptrdiff_t)shift) % 4 == 0);
		free(name);
	}
}

int main(void)
{
	RUN(short_names);
	RUN(long_names);
	RUN(names_of_views);
	RUN(names_are_cut);
	RUN(characters_are_not_cut);
	return DONE();
}
