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

int main(void)
{
	RUN(short_names);
	RUN(long_names);
	return DONE();
}
