/* SPDX-License-Identifier: MIT */
#include "util/path_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "tap.h"
#include "tempdir.h"

static void a_path_is_a_directory_and_a_name(void)
{
	static const struct {
		const char *path, *dir, *name; /* dir: below the temporary directory */
	} cases[] = {
		{ "file", "", "file" },
		{ "./file", "", "file" },
		{ "sub/file", "/sub", "file" },
		{ "sub//file/", "/sub", "file" },
		{ "link/file", "/sub", "file" },
		{ "link", "", "link" },
		{ "sub/../nothing", "", "nothing" },
		{ "sub", "", "sub" },
	};

	mkdir("sub", 0700);
	CHECK(!symlink("sub", "link"));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char want[400];
		struct path_dir p;
		struct stat st, dir;

		snprintf(want, sizeof(want), "%s%s", tempdir, cases[i].dir);
		CHECK(!path_dir_open(&p, cases[i].path));
		CHECK(!strcmp(p.dir, want));
		CHECK(!strcmp(p.name, cases[i].name));
		CHECK(!fstat(p.fd, &st) && !stat(want, &dir) && st.st_ino == dir.st_ino);
		CHECK(fcntl(p.fd, F_GETFD) == FD_CLOEXEC);
		path_dir_close(&p);
		CHECK(p.fd == -1 && !p.dir && !p.name);
		path_dir_close(&p); /* once more does nothing */
	}
}

static void the_root_is_a_name_in_itself(void)
{
	struct path_dir p;

	CHECK(!path_dir_open(&p, "/"));
	CHECK(!strcmp(p.dir, "/") && !strcmp(p.name, "/"));
	path_dir_close(&p);
}

static void a_directory_itself_has_no_name(void)
{
	char want[400];
	struct path_dir p;

	snprintf(want, sizeof(want), "%s/sub", tempdir);
	CHECK(!path_dir_open_self(&p, "./link", O_RDONLY));
	CHECK(!strcmp(p.dir, want) && !p.name);
	CHECK((fcntl(p.fd, F_GETFL) & O_ACCMODE) == O_RDONLY && !(fcntl(p.fd, F_GETFL) & O_PATH));
	CHECK(fcntl(p.fd, F_GETFD) == FD_CLOEXEC);
	path_dir_close(&p);
	CHECK(path_dir_open_self(&p, "nowhere", O_PATH) == -ENOENT && p.fd == -1 && !p.dir);
}

static void a_directory_that_is_missing_or_none_is_an_error(void)
{
	struct path_dir p;

	CHECK(path_dir_open(&p, "nowhere/file") == -ENOENT);
	CHECK(p.fd == -1 && !p.dir && !p.name);
	close(open("plain", O_CREAT | O_WRONLY, 0600));
	CHECK(path_dir_open(&p, "plain/file") == -ENOTDIR);
}

static void the_directory_stays_when_the_path_changes(void)
{
	struct path_dir p;
	struct stat st;

	mkdir("first", 0700);
	close(open("first/mine", O_CREAT | O_WRONLY, 0600));
	CHECK(!path_dir_open(&p, "first/mine"));
	CHECK(!rename("first", "second"));
	CHECK(!fstatat(p.fd, p.name, &st, 0));
	path_dir_close(&p);
}

int main(void)
{
	tempdir_enter();
	RUN(a_path_is_a_directory_and_a_name);
	RUN(the_root_is_a_name_in_itself);
	RUN(a_directory_itself_has_no_name);
	RUN(a_directory_that_is_missing_or_none_is_an_error);
	RUN(the_directory_stays_when_the_path_changes);
	return DONE();
}
