/* SPDX-License-Identifier: MIT */
/* A descriptor is opened again: with another mode, position and locks, also without its name. */
#include "qcow.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "tap.h"
#include "tempdir.h"

static bool lock_byte(int fd)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };

	return !fcntl(fd, F_OFD_SETLK, &l);
}

static void a_file_without_its_name(void)
{
	char c = 0;
	int fd, again;

	tempdir_enter();
	fd = open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(write(fd, "ab", 2) == 2);
	CHECK(!unlink("file"));
	again = qc_reopen(fd, O_RDONLY);
	CHECK(again >= 0 && fcntl(again, F_GETFD) == FD_CLOEXEC);
	CHECK(read(again, &c, 1) == 1 && c == 'a'); /* a position of its own */
	CHECK(write(again, "x", 1) < 0 && errno == EBADF);
	CHECK(lock_byte(fd));
	close(again);
	again = qc_reopen(fd, O_RDWR);
	CHECK(again >= 0 && !lock_byte(again)); /* another owner of locks */
	close(again);
	close(fd);
}

static void a_descriptor_of_a_path(void)
{
	int fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC), again = qc_reopen(fd, O_RDONLY);

	CHECK(again >= 0 && fcntl(again, F_GETFL) >= 0 && !(fcntl(again, F_GETFL) & O_PATH));
	close(again);
	CHECK(qc_reopen(fd, O_RDWR) < 0 && errno == EISDIR);
	close(fd);
	CHECK(qc_reopen(fd, O_RDONLY) < 0 && errno == ENOENT);
}

int main(void)
{
	RUN(a_file_without_its_name);
	RUN(a_descriptor_of_a_path);
	return DONE();
}
