/* SPDX-License-Identifier: MIT */
/* Locks of two open files on one file are as those of two programs. */
#include "io/image_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "tempdir.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static int ours, theirs;
static struct qc_reason why;
static bool live;

static int open_file(void)
{
	return open("image", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

static void open_both(void)
{
	ours = open_file();
	theirs = open_file();
	CHECK(ours >= 0 && theirs >= 0);
	memset(&why, 0, sizeof(why));
}

static void close_both(void)
{
	close(ours);
	close(theirs);
}

static int hold(int fd, short type, off_t byte)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

	return fcntl(fd, F_OFD_SETLK, &l);
}

static bool held(int by_other_than, off_t byte)
{
	struct flock l = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1
	};

	CHECK(!fcntl(by_other_than, F_OFD_GETLK, &l));
	return l.l_type != F_UNLCK;
}

/* Whether exactly these of the bytes 90 to 210 are locked by us. */
static bool we_hold(const off_t *bytes, size_t n)
{
	for (off_t b = 90; b <= 210; b++) {
		bool want = false;

		for (size_t i = 0; i < n; i++)
			want |= bytes[i] == b;
		if (held(theirs, b) != want)
			return false;
	}
	return true;
}

static void a_reader_locks_three_bytes(void)
{
	static const off_t want[] = { 100, 201, 203 };

	open_both();
	CHECK(!qc_image_lock_read(ours, QC_LOCKING_ON, &live, &why));
	CHECK(we_hold(want, 3));
	close_both();
}

static void sharing_locks_one(void)
{
	static const off_t want[] = { 100 };

	open_both();
	CHECK(!qc_image_lock_read(ours, QC_LOCKING_SHARE, &live, &why));
	CHECK(we_hold(want, 1));
	close_both();
}

static void off_locks_none(void)
{
	open_both();
	hold(theirs, F_RDLCK, 101);
	CHECK(!qc_image_lock_read(ours, QC_LOCKING_OFF, &live, &why));
	CHECK(we_hold(NULL, 0));
	close_both();
}

static void locks_are_shared_ones(void)
{
	int third;

	open_both();
	third = open_file();
	CHECK(!qc_image_lock_read(ours, QC_LOCKING_ON, &live, &why));
	CHECK(!qc_image_lock_read(theirs, QC_LOCKING_ON, &live, &why)); /* two readers */
	CHECK(!qc_image_lock_read(third, QC_LOCKING_SHARE, &live, &why));
	CHECK(!hold(third, F_RDLCK, 201));
	close(third);
	close_both();
}

static void what_others_hold(void)
{
	static const struct {
		off_t byte;
		bool refused;
	} t[] = {
		{ 0, false },	{ 99, false },	{ 100, false }, { 101, true },
		{ 102, false }, { 103, true },	{ 104, false }, { 200, true },
		{ 201, false }, { 202, false }, { 203, false }, { 204, false },
	};

	for (size_t i = 0; i < COUNT(t); i++) {
		open_both();
		CHECK(!hold(theirs, F_RDLCK, t[i].byte));
		CHECK(qc_image_lock_read(ours, QC_LOCKING_ON, &live, &why) ==
		      (t[i].refused ? -EBUSY : 0));
		if (t[i].refused) {
			CHECK(why.cause == QC_CAUSE_LOCKED);
			CHECK(strstr(why.text, "locked") && strstr(why.text, "locking=share"));
			CHECK(we_hold(NULL, 0)); /* nothing is left locked */
		}
		close(ours);
		ours = open_file();
		CHECK(!qc_image_lock_read(ours, QC_LOCKING_SHARE, &live, &why));
		close_both();
	}
}

static void sharing_tells_of_writers(void)
{
	static const off_t bytes[] = { 100, 102, 103, 200, 201, 203, 101 };

	for (size_t i = 0; i < COUNT(bytes); i++) {
		open_both();
		CHECK(!hold(theirs, F_RDLCK, bytes[i]));
		CHECK(!qc_image_lock_read(ours, QC_LOCKING_SHARE, &live, &why));
		CHECK(live == (bytes[i] == 101));
		CHECK(!qc_image_lock_read(ours, QC_LOCKING_OFF, &live, &why) && !live);
		close_both();
	}
}

static void exclusive_locks(void)
{
	static const off_t bytes[] = { 100, 201, 203, 101, 200 };

	for (size_t i = 0; i < COUNT(bytes); i++) {
		open_both();
		CHECK(!hold(theirs, F_WRLCK, bytes[i]));
		CHECK(qc_image_lock_read(ours, QC_LOCKING_ON, &live, &why) == -EBUSY);
		CHECK(why.cause == QC_CAUSE_LOCKED);
		close_both();
	}
}

static void locks_go_with_the_descriptor(void)
{
	int again;

	open_both();
	CHECK(!qc_image_lock_read(ours, QC_LOCKING_ON, &live, &why));
	again = open_file();
	close(again); /* as POSIX locks would not survive */
	CHECK(held(theirs, 201));
	close(ours);
	CHECK(!held(theirs, 201));
	close(theirs);
}

/* The child locks the byte, says so, and stays until the pipe is closed. */
static pid_t other_program(off_t byte, int *in, int *out)
{
	int down[2], up[2];
	char c = 'x';
	pid_t pid;

	CHECK(!pipe2(down, O_CLOEXEC) && !pipe2(up, O_CLOEXEC));
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		int fd = open_file();

		prctl(PR_SET_NAME, "foreign\nvm");
		close(down[1]);
		if (hold(fd, F_RDLCK, byte) || write(up[1], &c, 1) != 1)
			_exit(1);
		_exit(read(down[0], &c, 1) != 0);
	}
	close(down[0]);
	close(up[1]);
	*in = down[1];
	*out = up[0];
	CHECK(pid > 0 && read(*out, &c, 1) == 1);
	return pid;
}

static void the_other_program_is_named(void)
{
	int in, out, status = 1;
	pid_t pid = other_program(101, &in, &out);
	char number[40];

	open_both();
	CHECK(qc_image_lock_read(ours, QC_LOCKING_ON, &live, &why) == -EBUSY);
	snprintf(number, sizeof(number), "(process %d)", (int)pid);
	CHECK(strstr(why.text, number));
	CHECK(strstr(why.text, "foreign"));
	CHECK(!strchr(why.text, '\n'));
	close_both();
	close(in);
	close(out);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void descriptors_that_cannot_be_locked(void)
{
	int fd = open("image", O_PATH | O_CLOEXEC);

	CHECK(qc_image_lock_read(fd, QC_LOCKING_ON, &live, &why) == -EBADF);
	CHECK(why.cause == QC_CAUSE_IMAGE && strstr(why.text, "locking=off"));
	CHECK(!qc_image_lock_read(fd, QC_LOCKING_OFF, &live, &why));
	close(fd);
}

/* ---- looking -------------------------------------------------------------------- */

static void looking_takes_nothing(void)
{
	struct qc_locks l;

	open_both();
	CHECK(!qc_image_lock_test(ours, QC_LOCKING_ON, &why) && we_hold(NULL, 0));
	hold(theirs, F_RDLCK, 100);
	hold(theirs, F_RDLCK, 103);
	hold(theirs, F_RDLCK, 202);
	qc_image_lock_query(ours, &l);
	CHECK(l.perm == 9 && l.unshared == 4);
	CHECK(qc_image_lock_test(ours, QC_LOCKING_ON, &why) == -EBUSY);
	CHECK(why.cause == QC_CAUSE_LOCKED && strstr(why.text, "locked"));
	CHECK(!qc_image_lock_test(ours, QC_LOCKING_SHARE, &why));
	CHECK(!qc_image_lock_test(ours, QC_LOCKING_OFF, &why));
	hold(theirs, F_UNLCK, 103);
	CHECK(!qc_image_lock_test(ours, QC_LOCKING_ON, &why)); /* who only reads */
	hold(theirs, F_RDLCK, 200);
	CHECK(qc_image_lock_test(ours, QC_LOCKING_ON, &why) == -EBUSY);
	qc_image_lock_query(theirs, &l);
	CHECK(!l.perm && !l.unshared);
	close_both();
}

int main(void)
{
	tempdir_enter();
	RUN(a_reader_locks_three_bytes);
	RUN(sharing_locks_one);
	RUN(off_locks_none);
	RUN(locks_are_shared_ones);
	RUN(what_others_hold);
	RUN(sharing_tells_of_writers);
	RUN(exclusive_locks);
	RUN(locks_go_with_the_descriptor);
	RUN(the_other_program_is_named);
	RUN(descriptors_that_cannot_be_locked);
	RUN(looking_takes_nothing);
	return DONE();
}
