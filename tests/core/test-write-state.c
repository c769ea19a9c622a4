/* SPDX-License-Identifier: MIT */
/* Images in a state that the first writer must see to: dirty, corrupt, in use. */
#include <signal.h>
#include <sys/resource.h>

#include "write.h"

static struct qc_context *ctx;

static void set_dirty(const char *path)
{
	poke64(path, 72, peek64(path, 72) | 1);
}

static void make(const char *options)
{
	sh("rm -f image && qemu-img create -q -f qcow2 %s image 1M"
	   " && qemu-io -t unsafe -c 'write -P 1 0 1M' image >/dev/null", options);
}

static bool refused(const char *path, qc_err err, const char *word)
{
	struct qc_image *img = NULL;
	struct qc_reason why;
	qc_err r = image_try(ctx, path, QC_OPEN_WRITE, &img, &why);

	if (!r)
		qc_close(img);
	if (r == err && strstr(why.text, word) &&
	    why.cause == (err == -EBUSY ? QC_CAUSE_LOCKED : QC_CAUSE_READONLY))
		return true;
	printf("# %s: not refused with %d for '%s': %d %s\n", path, err, word, r, why.text);
	return false;
}

/* The log says which write failed, and why; the disk goes on. */
static void a_failed_write_is_logged(void)
{
	struct logbook book = LOGBOOK;
	struct qc_context *mine = context_new(&book);
	struct rlimit before, limit;
	struct qc_image *img;

	sh("rm -f image && qemu-img create -q -f qcow2 image 4M");
	img = image_write(mine, "image");
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	limit = before;
	limit.rlim_cur = M;
	setrlimit(RLIMIT_FSIZE, &limit);
	CHECK(!fill(img, 0, 64 * K, 1));
	CHECK(fill(img, 0x20000, 2 * M, 2) == -EFBIG);
	setrlimit(RLIMIT_FSIZE, &before);
	CHECK(logged(&book, "/image: cannot write 2097152 bytes at guest offset 0x20000: File too large"));
	CHECK(!fill(img, 0x20000, 2 * M, 3) && reads_byte(img, 0, 64 * K, 1));
	CHECK(reads_byte(img, 0x20000, 2 * M, 3) && book.lines == 1);
	qc_close(img);
	CHECK(is_sound("image"));
	context_end(mine);
}

static void a_corrupt_image_is_only_read(void)
{
	struct qc_image *img;

	make("");
	poke64("image", 72, 2);
	CHECK(refused("image", -EROFS, "corrupt"));
	img = image_open(ctx, "image");
	CHECK(reads_byte(img, 0, M, 1) && fill(img, 0, 512, 2) == -EROFS);
	qc_close(img);
}

static void a_dirty_image_is_repaired(void)
{
	struct qc_image *img;

	make("-o lazy_refcounts=on");
	set_dirty("image");
	poke64("image", 2 * 64 * K, 0); /* counts of the first clusters */
	poke64("image", 2 * 64 * K + 16, UINT64_C(0x0003000000070001));
	qc_close(image_open(ctx, "image"));
	CHECK(peek64("image", 72) == 1);
	img = image_write(ctx, "image");
	CHECK(peek64("image", 72) == 0 && is_sound("image"));
	CHECK(!fill(img, 0, 512, 2) && !fill(img, 100 * K, 512, 3));
	qc_close(img);
	CHECK(is_sound("image"));
}

/* Tables that a reader has loaded are unchanged. */
static void a_repair_while_somebody_reads(void)
{
	struct qc_image *reader, *img;
	size_t n, i = 0;
	uint8_t *one;

	make("");
	sh("qemu-img snapshot -c one image");
	poke64("image", l1_at("image"), peek64("image", l1_at("image")) | UINT64_C(1) << 63);
	poke64("image", l2_at("image", 0), peek64("image", l2_at("image", 0)) | UINT64_C(1) << 63);
	set_dirty("image");
	reader = image_open(ctx, "image");
	CHECK(reads_byte(reader, 0, M, 1));
	img = image_write(ctx, "image");
	CHECK(!fill(img, 0, 512, 2));
	CHECK(reads_byte(reader, 0, 512, 2) && reads_byte(reader, 512, M - 512, 1));
	qc_close(img);
	qc_close(reader);
	CHECK(is_sound("image"));
	sh("qemu-img convert -q -l one -f qcow2 -O raw image one.raw");
	one = slurp("one.raw", &n);
	while (i < n && one[i] == 1)
		i++;
	CHECK(n == M && i == n);
	free(one);
}

/* They are no longer true, and so not looked after: but not damaged, either. */
static void a_dirty_image_with_bitmaps(void)
{
	struct qc_image *img;

	make("");
	sh("qemu-img bitmap --add -g 64k image b");
	set_dirty("image");
	img = image_write(ctx, "image");
	qc_close(img);
	CHECK(is_sound_but_for_leaks("image"));
	img = image_write(ctx, "image");
	CHECK(!fill(img, 0, M, 2));
	qc_close(img);
	CHECK(is_sound_but_for_leaks("image"));
}

static void autoclear_bits_are_cleared_by_the_first_write(void)
{
	struct qc_image *img;

	make("");
	sh("qemu-img bitmap --add -g 64k image b");
	poke64("image", 88, peek64("image", 88) | 0x80);
	img = image_write(ctx, "image");
	CHECK(peek64("image", 88) == 0x81);
	CHECK(reads_byte(img, 0, M, 1) && !qc_flush(img));
	CHECK(peek64("image", 88) == 0x81);
	CHECK(!fill(img, 0, 512, 2));
	CHECK(peek64("image", 88) == 1);
	qc_close(img);
	CHECK(is_sound_but_for_leaks("image"));
}

static void an_entry_that_cannot_be_ends_all_writing(void)
{
	static const uint64_t bad[] = { 0x50200, UINT64_C(1) << 57 | 0x50000, 0x50002 };
	struct qc_image *img;

	for (size_t i = 0; i < COUNT(bad); i++) {
		make("");
		poke64("image", l2_at("image", 3), bad[i]);
		img = image_write(ctx, "image");
		CHECK(!fill(img, 0, 64 * K, 2));
		CHECK(fill(img, 3 * 64 * K, 512, 2) == -EIO);
		CHECK(peek64("image", 72) == 2);
		CHECK(fill(img, 0, 512, 2) == -EIO && qc_flush(img) == -EIO);
		CHECK(reads_byte(img, 0, 64 * K, 2));
		qc_close(img);
	}
}

static void an_image_is_written_or_the_base_of_others(void)
{
	struct qc_image *img, *over;
	struct qc_reason why;

	make("");
	sh("qemu-img create -q -f qcow2 -b image -F qcow2 over");
	over = image_write(ctx, "over");
	CHECK(refused("image", -EBUSY, "backing file"));
	img = image_open(ctx, "image");
	CHECK(reads_byte(img, 0, M, 1));
	qc_close(img);
	qc_close(over);
	img = image_write(ctx, "image");
	CHECK(image_try(ctx, "over", 0, &over, &why) == -EBUSY);
	CHECK(image_try(ctx, "over", QC_OPEN_WRITE, &over, &why) == -EBUSY);
	CHECK(!fill(img, 0, 512, 2));
	qc_close(img);
	over = image_write(ctx, "over");
	CHECK(reads_byte(over, 0, 512, 2) && !fill(over, 0, 100, 3));
	CHECK(reads_byte(over, 0, 100, 3));
	qc_close(over);
	CHECK(is_sound("over") && is_sound("image"));
}

int main(void)
{
	begin();
	ctx = context_new(NULL);
	RUN(a_failed_write_is_logged);
	RUN(a_corrupt_image_is_only_read);
	RUN(a_dirty_image_is_repaired);
	RUN(a_repair_while_somebody_reads);
	RUN(a_dirty_image_with_bitmaps);
	RUN(autoclear_bits_are_cleared_by_the_first_write);
	RUN(an_entry_that_cannot_be_ends_all_writing);
	RUN(an_image_is_written_or_the_base_of_others);
	context_end(ctx);
	return DONE();
}
