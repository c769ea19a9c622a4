/* SPDX-License-Identifier: MIT */
/* Image files that change while they are open here; and how a stamp tells. */
#include <sys/syscall.h>

#include "make.h"

static struct logbook book = LOGBOOK;
static struct qc_context *ctx;

/* ---- a clock that can be set ------------------------------------------------ */

#define NS_PER_S INT64_C(1000000000)

static _Atomic time_t ahead; /* seconds by which the clock of the core is fast */
static _Atomic int64_t stopped; /* ns; not 0: the time at which it stands, without `ahead` */

/* Takes the place of the C library's, for the whole program. */
int clock_gettime(clockid_t id, struct timespec *t)
{
	int r = (int)syscall(SYS_clock_gettime, id, t);

	if (!r && id == CLOCK_REALTIME && stopped)
		*t = (struct timespec){ stopped / NS_PER_S, stopped % NS_PER_S };
	if (!r && id == CLOCK_REALTIME)
		t->tv_sec += ahead;
	return r;
}

/* The clock stands at the time of the last change of a file, however slow the machine is. */
static void stop_clock_at(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		fatal(path);
	stopped = st.st_ctim.tv_sec * NS_PER_S + st.st_ctim.tv_nsec;
}

/* ---- images ----------------------------------------------------------------- */

static void make_images(void)
{
	sh("rm -f base top"
	   " && qemu-img create -q -f qcow2 base 1M"
	   " && qemu-io -t unsafe -c 'write -P 1 0 1M' base >/dev/null"
	   " && qemu-img create -q -f qcow2 -b base -F qcow2 top 1M"
	   " && qemu-io -t unsafe -c 'write -P 2 0 64k' top >/dev/null");
}

/* The same bytes at another time; the clock of files may be coarse. */
static void touch(const char *path)
{
	struct timespec t[2] = { { 0, UTIME_NOW }, { 0, UTIME_OMIT } };
	struct stat before, st;

	if (stat(path, &before))
		fatal(path);
	t[1] = before.st_mtim;
	t[1].tv_sec++;
	t[0] = before.st_atim;
	do {
		if (utimensat(AT_FDCWD, path, t, 0) || stat(path, &st))
			fatal(path);
	} while (st.st_ctim.tv_sec == before.st_ctim.tv_sec &&
		 st.st_ctim.tv_nsec == before.st_ctim.tv_nsec);
}

static void change_mode(const char *path)
{
	struct stat before, st;
	mode_t mode = 0600;

	if (stat(path, &before))
		fatal(path);
	do {
		mode ^= 0040;
		if (chmod(path, mode) || stat(path, &st))
			fatal(path);
	} while (st.st_ctim.tv_sec == before.st_ctim.tv_sec &&
		 st.st_ctim.tv_nsec == before.st_ctim.tv_nsec);
}

/* As a program does that does not ask for locks. */
static void overwrite_first_cluster(const char *path, uint8_t byte)
{
	uint64_t host = peek64(path, l2_at(path, 0)) & UINT64_C(0x00fffffffffffe00);
	uint8_t *bytes = malloc(64 * K);

	memset(bytes, byte, 64 * K);
	poke(path, host, bytes, 64 * K);
	free(bytes);
	touch(path);
}

/* ---- stories ---------------------------------------------------------------- */

static void the_old_one_fails_and_the_new_one_is_fresh(void)
{
	struct qc_image *old, *new;
	struct qc_extent e;

	make_images();
	old = image_open(ctx, "top");
	CHECK(reads_byte(old, 0, 64 * K, 2));
	logbook_clear(&book);
	overwrite_first_cluster("top", 9);
	new = image_open(ctx, "top");
	CHECK(reads_byte(new, 0, 64 * K, 9));
	CHECK(read_error(old, 0, 512) == -ESTALE);
	CHECK(read_error(old, 512 * K, 512) == -ESTALE);
	CHECK(qc_block_status(old, 0, &e) == -ESTALE);
	CHECK(logged(&book, "/top: another program changed it"));
	CHECK(book.lines == 1);
	CHECK(counters(ctx).layers_open == 3); /* the base is not affected */
	qc_close(old);
	CHECK(reads_byte(new, 0, 64 * K, 9));
	qc_close(new);
	CHECK(counters(ctx).layers_open == 0);
}

static void tables_are_not_those_of_before(void)
{
	struct qc_image *old, *new;

	make_images();
	old = image_open(ctx, "top");
	CHECK(reads_byte(old, 64 * K, 64 * K, 1));
	/* The second cluster of the overlay becomes zeros. */
	poke64("top", l2_at("top", 1), 1);
	touch("top");
	new = image_open(ctx, "top");
	CHECK(reads_byte(new, 64 * K, 64 * K, 0));
	CHECK(read_error(old, 64 * K, 512) == -ESTALE);
	qc_close(old);
	qc_close(new);
}

static void a_base_that_changes(void)
{
	struct qc_image *old, *new;

	make_images();
	old = image_open(ctx, "top");
	overwrite_first_cluster("base", 9);
	new = image_open(ctx, "base");
	CHECK(reads_byte(old, 0, 64 * K, 2)); /* of the overlay alone */
	CHECK(read_error(old, 64 * K, 512) == -ESTALE);
	CHECK(reads_byte(new, 0, 64 * K, 9));
	qc_close(new);
	qc_close(old);
}

static void a_data_file_that_changes(void)
{
	struct qc_image *old, *new;

	sh("qemu-img create -q -f qcow2 -o data_file=disk.data with-data 1M"
	   " && qemu-io -t unsafe -c 'write -P 5 0 1M' with-data >/dev/null");
	old = image_open(ctx, "with-data");
	CHECK(reads_byte(old, 0, M, 5));
	poke("disk.data", 0, "6", 1);
	touch("disk.data");
	new = image_open(ctx, "with-data");
	CHECK(reads_byte(new, 0, 1, '6'));
	CHECK(read_error(old, 0, 1) == -ESTALE);
	qc_close(new);
	qc_close(old);
}

static void a_change_of_mode_is_none_of_bytes(void)
{
	struct qc_image *old, *new;

	make_images();
	old = image_open(ctx, "top");
	change_mode("top");
	new = image_open(ctx, "top");
	CHECK(reads_byte(old, 0, 64 * K, 2));
	CHECK(reads_byte(new, 0, 64 * K, 2));
	qc_close(old);
	qc_close(new);
}

static void sharing_goes_on(void)
{
	struct qc_config config = { .locking = QC_LOCKING_SHARE, .log = logbook_fn,
				    .log_arg = &book, .log_max = QC_LOG_WARN };
	struct qc_context *share = context_of(&config);
	struct qc_image *old, *new;

	make_images();
	old = image_open(share, "top");
	CHECK(reads_byte(old, 0, 64 * K, 2));
	logbook_clear(&book);
	overwrite_first_cluster("top", 9);
	new = image_open(share, "top");
	CHECK(reads_byte(new, 0, 64 * K, 9));
	CHECK(reads_byte(old, 0, 64 * K, 9)); /* no error, at least */
	CHECK(book.lines == 0);
	qc_close(old);
	qc_close(new);
	context_end(share);
}

static void a_file_that_is_replaced(void)
{
	struct qc_image *old, *new;

	make_images();
	old = image_open(ctx, "top");
	sh("mv top gone && cp gone top");
	overwrite_first_cluster("top", 9);
	new = image_open(ctx, "top");
	CHECK(reads_byte(old, 0, 64 * K, 2)); /* still has its own */
	CHECK(reads_byte(new, 0, 64 * K, 9));
	qc_close(old);
	qc_close(new);
}

/* ---- stamps ----------------------------------------------------------------- */

static struct qc_fingerprint stamp_of(const char *path)
{
	struct qc_image *img = image_open(ctx, path);
	struct qc_fingerprint s;

	qc_get_fingerprint(img, &s);
	qc_close(img);
	return s;
}

static void equal_files_have_equal_stamps(void)
{
	make_images();
	CHECK(stamp_of("top").content == stamp_of("top").content);
	CHECK(stamp_of("top").exact == stamp_of("top").exact);
	CHECK(stamp_of("top").content != stamp_of("base").content);
	CHECK(stamp_of("top").exact != stamp_of("base").exact);
}

static void a_change_below_changes_the_stamp(void)
{
	struct qc_fingerprint before, after;

	make_images();
	before = stamp_of("top");
	touch("base");
	after = stamp_of("top");
	CHECK(after.content != before.content && after.exact != before.exact);
	before = stamp_of("with-data");
	touch("disk.data");
	after = stamp_of("with-data");
	CHECK(after.content != before.content && after.exact != before.exact);
}

/* It may stand for a change whose time was put back; nobody can tell. */
static void a_new_mode_changes_only_the_exact_one(void)
{
	struct qc_fingerprint before, after;

	make_images();
	before = stamp_of("top");
	change_mode("base");
	after = stamp_of("top");
	CHECK(after.content == before.content && after.exact != before.exact);
}

static void times_are_reliable_only_after_a_while(void)
{
	struct timespec t[2] = { { 0, UTIME_OMIT }, { 0, 0 } };

	make_images();
	stop_clock_at("top");
	CHECK(!stamp_of("top").times_reliable);
	ahead = 60;
	CHECK(stamp_of("top").times_reliable);
	t[1].tv_sec = stopped / NS_PER_S + 60; /* a whole second: the tick may be as long */
	CHECK(!utimensat(AT_FDCWD, "base", t, 0));
	ahead = 61;
	CHECK(!stamp_of("top").times_reliable);
	ahead = 63;
	CHECK(stamp_of("top").times_reliable);
	touch("base");
	ahead = 0;
	CHECK(!stamp_of("top").times_reliable);
	ahead = -3600; /* a file of the future */
	CHECK(!stamp_of("top").times_reliable);
	ahead = 0;
	stopped = 0;
}

static void one_young_file_is_enough(void)
{
	struct timespec t[2] = { { 0, UTIME_OMIT }, { 0, 0 } };

	make_images();
	stop_clock_at("top");
	t[1].tv_sec = stopped / NS_PER_S + 30;
	CHECK(!utimensat(AT_FDCWD, "base", t, 0));
	CHECK(!utimensat(AT_FDCWD, "with-data", t, 0));
	ahead = 10;
	CHECK(!stamp_of("top").times_reliable && !stamp_of("with-data").times_reliable);
	ahead = 100;
	CHECK(stamp_of("top").times_reliable && stamp_of("with-data").times_reliable);
	CHECK(!utimensat(AT_FDCWD, "disk.data", t, 0));
	ahead = 10;
	CHECK(!stamp_of("with-data").times_reliable);
	ahead = 0;
	stopped = 0;
}

int main(void)
{
	begin();
	ctx = context_new(&book);
	RUN(the_old_one_fails_and_the_new_one_is_fresh);
	RUN(tables_are_not_those_of_before);
	RUN(a_base_that_changes);
	RUN(a_data_file_that_changes);
	RUN(a_change_of_mode_is_none_of_bytes);
	RUN(sharing_goes_on);
	RUN(a_file_that_is_replaced);
	RUN(equal_files_have_equal_stamps);
	RUN(a_change_below_changes_the_stamp);
	RUN(a_new_mode_changes_only_the_exact_one);
	RUN(times_are_reliable_only_after_a_while);
	RUN(one_young_file_is_enough);
	context_end(ctx);
	return DONE();
}
