/* SPDX-License-Identifier: MIT */
/* A file that another program shortens, overwrites or deletes is noticed; our own changes are not. */
#include "io/watched_file.h"

#include "ramfile.h"

static struct ramfile ram;
static struct qc_watch watch;
static struct qc_file *file;
static unsigned int lost_calls;
static char lost_how[200];

static void on_lost(void *arg, const struct qc_watch *w, const char *how)
{
	CHECK(arg == &ram && w == &watch);
	lost_calls++;
	snprintf(lost_how, sizeof(lost_how), "%s", how);
}

/* 1000 bytes 7. */
static void open_file(uint64_t names)
{
	struct qc_file_stat st;

	ram_init(&ram, 4096);
	memset(ram.bytes, 7, 1000);
	ram.size = 1000;
	lost_calls = 0;
	qc_watch_init(&watch, on_lost, &ram);
	file = &ram.file;
	CHECK(!qc_file_stat(file, &st));
	st.names = names;
	CHECK(!qc_watched_file_new(&file, &watch, &st) && file != &ram.file);
}

static void close_file(void)
{
	qc_file_close(file);
	qc_watch_destroy(&watch);
	free(ram.bytes);
}

static qc_err read_at(uint64_t off, size_t len, uint8_t *first, uint8_t *last)
{
	uint8_t buf[4096];
	size_t got;
	qc_err r = qc_file_read(file, off, buf, len, &got);

	*first = r ? 0 : buf[0];
	*last = r ? 0 : buf[len - 1];
	return r;
}

static bool is_lost(const char *word)
{
	return lost_calls == 1 && strstr(lost_how, word);
}

static void behind_the_end_there_are_zeros(void)
{
	uint8_t a, b;

	open_file(0);
	CHECK(!read_at(900, 200, &a, &b) && a == 7 && b == 0);
	CHECK(!read_at(2000, 10, &a, &b) && !a && !b && !lost_calls);
	CHECK(!qc_file_sync(file));
	close_file();
}

static void a_shortened_file_has_no_zeros(void)
{
	uint8_t a, b;

	open_file(0);
	ram_resize(&ram.file, 500);
	CHECK(!read_at(0, 500, &a, &b) && a == 7 && b == 7 && !lost_calls);
	CHECK(read_at(450, 100, &a, &b) == -EIO && is_lost("from 1000 to 500 bytes"));
	CHECK(!read_at(0, 500, &a, &b) && read_at(600, 10, &a, &b) == -EIO);
	ram_resize(&ram.file, 1000); /* the other program makes it longer again */
	CHECK(read_at(600, 10, &a, &b) == -EIO && !read_at(0, 500, &a, &b) && lost_calls == 1);
	close_file();
}

static void no_write_makes_a_shortened_file_longer(void)
{
	for (uint64_t off = 0; off <= 1000; off += 500) {
		open_file(0);
		ram_resize(&ram.file, 300);
		CHECK(qc_file_write(file, off, "x", 1) == -EIO && is_lost("to 300 bytes"));
		CHECK(ram.size == 300 && ram.bytes[0] == 7);
		CHECK(qc_file_sync(file) == -EIO && qc_file_resize(file, 1000) == -EIO);
		CHECK(lost_calls == 1);
		close_file();
	}
}

static void our_own_changes_are_no_loss(void)
{
	uint8_t a, b;

	open_file(1);
	CHECK(!qc_file_write(file, 1990, "0123456789", 10) && atomic_load(&watch.end) == 2000);
	CHECK(!read_at(1500, 500, &a, &b) && a == 0 && b == '9');
	CHECK(!qc_file_resize(file, 700) && atomic_load(&watch.end) == 700);
	CHECK(!read_at(600, 200, &a, &b) && a == 7 && b == 0);
	CHECK(!qc_file_resize(file, 800) && !lost_calls);
	ram_resize(&ram.file, 799);
	CHECK(qc_file_write(file, 0, "x", 1) == -EIO && is_lost("from 800 to 799"));
	close_file();
}

/* A failed write is no reason to expect the bytes that it did not write. */
static void a_failed_write_raises_no_end(void)
{
	open_file(0);
	CHECK(qc_file_write(file, 5000, "x", 1) == -ENOSPC && atomic_load(&watch.end) == 1000);
	CHECK(!qc_file_sync(file) && !lost_calls);
	close_file();
}

static void a_header_of_another_program_is_noticed(void)
{
	uint8_t a, b;

	open_file(0);
	CHECK(!qc_watch_header(&watch, file, 100));
	CHECK(!qc_file_write(file, 90, "0123456789abc", 13) && !qc_file_sync(file));
	CHECK(!qc_file_write(file, 0, "z", 1) && !qc_file_sync(file));
	ram.bytes[100] = 1; /* is not of the header */
	CHECK(!qc_file_sync(file) && !lost_calls);
	ram.bytes[99] = 1;
	CHECK(!read_at(0, 1, &a, &b) && a == 'z');
	CHECK(qc_file_sync(file) == -EIO && is_lost("overwritten the header"));
	CHECK(read_at(0, 1, &a, &b) == -EIO && qc_file_write(file, 0, "x", 1) == -EIO);
	close_file();
}

/* Half of it may be there, or nothing. */
static void a_header_whose_write_failed_is_not_compared(void)
{
	open_file(0);
	CHECK(!qc_watch_header(&watch, file, 100));
	ram.fail[RAM_WRITE] = 1;
	CHECK(qc_file_write(file, 0, "x", 1) == -ENOSPC);
	ram.bytes[0] = 'x';
	CHECK(!qc_file_sync(file) && !lost_calls);
	close_file();
}

static void a_file_that_lost_its_name_cannot_be_synced(void)
{
	uint8_t a, b;

	open_file(1); /* the file of the test says 0 from now on */
	CHECK(qc_watch_compare(&watch, file) == -EIO && is_lost("deleted"));
	CHECK(qc_file_sync(file) == -EIO && qc_file_write(file, 0, "x", 1) == -EIO);
	CHECK(!read_at(0, 1000, &a, &b) && a == 7 && b == 7 && lost_calls == 1);
	close_file();
}

int main(void)
{
	RUN(behind_the_end_there_are_zeros);
	RUN(a_shortened_file_has_no_zeros);
	RUN(no_write_makes_a_shortened_file_longer);
	RUN(our_own_changes_are_no_loss);
	RUN(a_failed_write_raises_no_end);
	RUN(a_header_of_another_program_is_noticed);
	RUN(a_header_whose_write_failed_is_not_compared);
	RUN(a_file_that_lost_its_name_cannot_be_synced);
	return DONE();
}
