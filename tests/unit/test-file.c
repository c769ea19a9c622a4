/* SPDX-License-Identifier: MIT */
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "memfile.h"
#include "tap.h"
#include "tempdir.h"

static struct qc_file *file;
static int fd;

static void open_file(void)
{
	fd = memfd_create("test", MFD_CLOEXEC);
	CHECK(fd >= 0 && pwrite(fd, "0123456789", 10, 0) == 10);
	CHECK(!qc_file_of_fd(fd, &file));
	CHECK(qc_file_fd(file) == fd);
}

static bool reads(uint64_t off, size_t len, const char *want, size_t want_got)
{
	char buf[32];
	size_t got = 99;

	memset(buf, 'x', sizeof(buf));
	return !qc_file_read(file, off, buf, len, &got) && got == want_got &&
	       !memcmp(buf, want, len) && buf[len] == 'x';
}

static void past_the_end_there_are_zeros(void)
{
	open_file();
	CHECK(reads(0, 10, "0123456789", 10));
	CHECK(reads(3, 4, "3456", 4));
	CHECK(reads(8, 6, "89\0\0\0\0", 2));
	CHECK(reads(10, 4, "\0\0\0\0", 0));
	CHECK(reads(1000000, 4, "\0\0\0\0", 0));
	CHECK(reads(5, 0, "", 0));
	qc_file_close(file);
}

static void offsets_that_no_file_has(void)
{
	open_file();
	CHECK(reads(INT64_MAX - 1, 4, "\0\0\0\0", 0));
	CHECK(reads(INT64_MAX, 4, "\0\0\0\0", 0));
	CHECK(reads((uint64_t)INT64_MAX + 1, 4, "\0\0\0\0", 0));
	CHECK(reads(UINT64_MAX - 1, 4, "\0\0\0\0", 0));
	CHECK(reads(UINT64_MAX, 1, "\0", 0));
	qc_file_close(file);
}

static void facts(void)
{
	struct qc_file_stat f;
	struct timespec t[2] = { { 5, 6 }, { 7, 8 } };
	struct stat st;

	open_file();
	CHECK(!futimens(fd, t) && !fstat(fd, &st));
	CHECK(!qc_file_stat(file, &f));
	CHECK(f.size == 10 && f.ino == st.st_ino && f.dev == st.st_dev);
	CHECK(f.mtime_ns == INT64_C(7000000008));
	CHECK(f.ctime_ns == (int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec);
	CHECK(!ftruncate(fd, 4096) && !qc_file_stat(file, &f) && f.size == 4096);
	qc_file_close(file);
}

static void extents(void)
{
	struct qc_extent e;

	open_file(); /* memory files tell holes apart by the page */
	CHECK(!ftruncate(fd, 4 << 20) && pwrite(fd, "x", 1, 2 << 20) == 1);
	CHECK(!qc_file_extent(file, 0, &e) && e.data);
	CHECK(e.len >= 10 && e.len <= 2 << 20);
	CHECK(!qc_file_extent(file, 1 << 20, &e));
	CHECK(e.data || e.len == 1 << 20);
	CHECK(!qc_file_extent(file, 2 << 20, &e) && e.data);
	CHECK(!qc_file_extent(file, 3 << 20, &e));
	CHECK(e.len == 1 << 20); /* a hole up to the end */
	CHECK(!qc_file_extent(file, (4 << 20) - 1, &e) && e.len == 1);
	CHECK(!ftruncate(fd, 1 << 20));
	CHECK(qc_file_extent(file, 2 << 20, &e) == -EIO); /* cut off meanwhile */
	qc_file_close(file);
}

static void errors(void)
{
	int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char c;
	size_t got;

	CHECK(qc_file_of_fd(-1, &file) == -EBADF);
	CHECK(!qc_file_of_fd(dir, &file));
	CHECK(qc_file_read(file, 0, &c, 1, &got) == -EISDIR);
	qc_file_close(file);
	qc_file_close(NULL);
}

static void other_files_have_no_descriptor(void)
{
	struct memfile m;
	char c[4] = "xxx";
	size_t got;

	memfile_init(&m, "ab", 2);
	CHECK(qc_file_fd(&m.file) == -1);
	CHECK(!qc_file_read(&m.file, 1, c, 3, &got) && got == 1 && !memcmp(c, "b\0\0", 3));
}

static bool is_filled(uint64_t off, size_t n, int with)
{
	static uint8_t buf[1 << 20];
	size_t got;

	if (qc_file_read(file, off, buf, n, &got) || got != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (buf[i] != with)
			return false;
	return true;
}

/* In a file of memory, and in one of a file system that may have them past its pages. */
static void large_pieces_at_the_end(void)
{
	static uint8_t buf[200 * 1024];

	tempdir_enter();
	for (int disk = 0; disk < 2; disk++) {
		fd = disk ? open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600) :
			    memfd_create("test", MFD_CLOEXEC);
		CHECK(fd >= 0 && !qc_file_of_fd(fd, &file));
		memset(buf, 1, sizeof(buf));
		CHECK(!qc_file_write(file, 0, buf, 64 * 1024));
		CHECK(!qc_file_write(file, 64 * 1024, buf, sizeof(buf)));
		memset(buf, 2, sizeof(buf));
		CHECK(!qc_file_write(file, 1000, buf, 100 * 1000));
		CHECK(!qc_file_resize(file, 150 * 1000));
		CHECK(!qc_file_write(file, 200 * 1000, buf, sizeof(buf)));
		CHECK(is_filled(0, 1000, 1) && is_filled(1000, 100 * 1000, 2));
		CHECK(is_filled(101 * 1000, 49 * 1000, 1) && is_filled(150 * 1000, 50 * 1000, 0));
		CHECK(is_filled(200 * 1000, sizeof(buf), 2));
		CHECK(lseek(fd, 0, SEEK_END) == 200 * 1000 + (off_t)sizeof(buf));
		qc_file_close(file);
	}
}

/* Large pieces that go past the page cache, small ones, and one across the others, all read back. */
static void direct_and_cached_writes(void)
{
	enum { PIECE = 1 << 20 };
	static _Alignas(QC_DIRECT_ALIGN) uint8_t buf[PIECE];

	for (int disk = 0; disk < 2; disk++) {
		fd = disk ? open("direct", O_RDWR | O_CREAT | O_CLOEXEC, 0600) :
			    memfd_create("test", MFD_CLOEXEC);
		CHECK(fd >= 0 && !qc_file_of_fd(fd, &file));
		qc_file_enable_direct(file);
		memset(buf, 1, PIECE);
		CHECK(!qc_file_write(file, 0, buf, PIECE) && !qc_file_write(file, PIECE, buf, PIECE));
		memset(buf, 2, PIECE);
		CHECK(!qc_file_write(file, PIECE / 2 + 1, buf, 3000));
		CHECK(!qc_file_write(file, PIECE - 4096, buf + 4096, PIECE / 2));
		CHECK(!qc_file_write(file, 2 * PIECE, buf + 1, PIECE - 1)); /* not aligned */
		CHECK(!qc_file_write(file, 3 * PIECE, buf, PIECE - 512));
		CHECK(is_filled(0, PIECE / 2 + 1, 1) && is_filled(PIECE / 2 + 1, 3000, 2));
		CHECK(is_filled(PIECE / 2 + 3001, PIECE / 2 - 4096 - 3001, 1));
		CHECK(is_filled(PIECE - 4096, PIECE / 2, 2) && is_filled(2 * PIECE, 512 * 1024, 2));
		CHECK(is_filled(PIECE + PIECE / 2 - 4096, PIECE / 2 + 4096, 1));
		CHECK(lseek(fd, 0, SEEK_END) == 4 * PIECE - 512);
		qc_file_close(file);
	}
}

#ifdef QC_FAILPOINTS
static void fail_points(void)
{
	char c;
	size_t got;

	open_file();
	qc_failpoint_once("io.read");
	CHECK(qc_file_read(file, 0, &c, 1, &got) == -EIO);
	CHECK(!qc_file_read(file, 0, &c, 1, &got) && c == '0');
	qc_file_close(file);
}
#endif

int main(void)
{
	RUN(past_the_end_there_are_zeros);
	RUN(offsets_that_no_file_has);
	RUN(facts);
	RUN(extents);
	RUN(errors);
	RUN(other_files_have_no_descriptor);
	RUN(large_pieces_at_the_end);
	RUN(direct_and_cached_writes);
#ifdef QC_FAILPOINTS
	RUN(fail_points);
#endif
	return DONE();
}
