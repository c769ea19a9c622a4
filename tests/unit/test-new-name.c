/* SPDX-License-Identifier: MIT */
/* Names of image files for names in the mount, and back. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"
#include "tree/new_name.h"

static bool gives(const char *shown, const char *ending, const char *want)
{
	char *file;
	int r = new_name_of_image(shown, ending, &file);
	bool good = !r && !strcmp(file, want);

	free(file);
	return good;
}

static int error_of(const char *shown, const char *ending)
{
	char *file;
	int r = new_name_of_image(shown, ending, &file);

	r = file ? 0 : r;
	free(file);
	return r;
}

static void names_become_files(void)
{
	CHECK(gives("vm.raw", ".qcow2", "vm.qcow2"));
	CHECK(gives("vm.img.raw", ".qcow2", "vm.img.qcow2"));
	CHECK(gives("vm.raw.raw", ".qcow2", "vm.raw.qcow2"));
	CHECK(gives("vm.raw", ".IMG", "vm.IMG"));
	CHECK(gives("vm.raw", "", "vm"));
	CHECK(gives("..raw", ".qcow2", "..qcow2"));
}

static void other_names_are_refused(void)
{
	char long_name[300];

	CHECK(error_of("vm", ".qcow2") == -EPERM);
	CHECK(error_of(".raw", ".qcow2") == -EPERM);
	CHECK(error_of("vm.RAW", ".qcow2") == -EPERM);
	CHECK(error_of("vm.img.raw", "") == -EPERM); /* vm.img is shown as vm.raw */
	memset(long_name, 'n', sizeof(long_name));
	strcpy(long_name + 249, ".raw");
	CHECK(error_of(long_name, ".qcow2") == 0);
	strcpy(long_name + 249, "n.raw");
	CHECK(error_of(long_name, ".qcow2") == -ENAMETOOLONG);
}

static void endings_are_those_of_images(void)
{
	CHECK(!strcmp(new_name_ending("vm.qcow2"), ".qcow2"));
	CHECK(!strcmp(new_name_ending("vm.x.IMG"), ".IMG"));
	CHECK(!strcmp(new_name_ending("vm"), "") && !strcmp(new_name_ending("vm.bin"), ""));
}

int main(void)
{
	RUN(names_become_files);
	RUN(other_names_are_refused);
	RUN(endings_are_those_of_images);
	return DONE();
}
