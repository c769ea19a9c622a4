/* SPDX-License-Identifier: MIT */
/* Bitmaps through the public header: memory that is too small, failures, and names of any bytes. */
#include <sys/resource.h>

#include "write.h"

static struct qc_context *ctx;

static void make(const char *options, const char *size)
{
	sh("rm -f image && qemu-img create -q -f qcow2 %s image %s", options, size);
}

static bool has_flags(const char *name, const char *flags)
{
	return !try_sh("qemu-img info -U --output=json image | python3 -c \"import json, sys\n"
		       "b = json.load(sys.stdin)['format-specific']['data'].get('bitmaps', [])\n"
		       "b = [' '.join(x['flags']) for x in b if x['name'] == '%s']\n"
		       "sys.exit(b != ['%s'])\"", name, flags);
}

static uint64_t dirty_bytes(struct qc_image *img, const char *name)
{
	uint64_t bytes = UINT64_MAX;
	struct qc_bitmaps list;

	CHECK(!qc_list_bitmaps(img, &list) && !qc_count_dirty_bytes(img, &list));
	for (size_t i = 0; i < list.n; i++)
		if (!strcmp(list.at[i].name, name) && list.at[i].counted)
			bytes = list.at[i].dirty_bytes;
	qc_bitmaps_free(&list);
	return bytes;
}

static qc_err add(struct qc_image *img, const char *name, uint64_t granularity)
{
	return qc_bitmap_add(img, name, strlen(name), granularity, true);
}

/* ---- memory ---------------------------------------------------------------------- */

/* Writes each `step` bytes, and counts all bits of a bitmap with 512 bytes a bit. */
static void bits_are_stored_when_memory_is_short(void)
{
	struct qc_config config = { .cache_bytes = 64 * K };
	struct qc_context *small = context_of(&config);
	struct qc_image *img;
	uint64_t n = 0;

	make("-o cluster_size=4k", "256M"); /* 64 KiB of bits each */
	img = image_write(small, "image");
	CHECK(!add(img, "one", 512) && !add(img, "two", 512) && !add(img, "three", 512));
	for (uint64_t at = 0; at < 256 * M; at += 1000 * K, n++)
		CHECK(!fill(img, at, 512, 1));
	for (uint64_t at = 0; at < 256 * M; at += 3000 * K)
		CHECK(!fill(img, at, 512, 2));
	CHECK(dirty_bytes(img, "one") == n * 512 && dirty_bytes(img, "three") == n * 512);
	qc_close(img);
	CHECK(is_sound("image"));
	img = image_open(small, "image");
	CHECK(dirty_bytes(img, "one") == n * 512 && dirty_bytes(img, "two") == n * 512);
	qc_close(img);
	img = image_write(small, "image");
	CHECK(add(img, "large", 512) == 0);
	CHECK(!qc_resize(img, 512 * 1024 * M)); /* 128 MiB of bits: slots of 512 KiB */
	qc_close(img);
	CHECK(is_sound("image"));
	context_end(small);
}

static void bitmaps_that_are_too_large_are_removed(void)
{
	struct logbook book = LOGBOOK;
	struct qc_config config = { .cache_bytes = 64 * K, .log = logbook_fn, .log_arg = &book,
				    .log_max = QC_LOG_TRACE };
	struct qc_context *small = context_of(&config);
	struct qc_image *img;

	make("", "512G");
	sh("qemu-img bitmap --add -g 512 image large && qemu-img bitmap --add -g 1M image ok");
	img = image_write(small, "image");
	CHECK(!fill(img, 0, 512, 1));
	CHECK(logged(&book, "bitmap 'large' is removed: it is too large for the memory"));
	CHECK(add(img, "again", 512) == -EFBIG && add(img, "again", M) == 0);
	qc_close(img);
	CHECK(is_sound("image") && has_flags("ok", "auto"));
	context_end(small);
}

static void removed_bitmaps_leave_their_memory_to_others(void)
{
	struct qc_config config = { .cache_bytes = 64 * K };
	struct qc_context *small = context_of(&config);
	struct qc_image *img;

	make("", "512G");
	img = image_write(small, "image");
	for (int i = 0; i < 20; i++) /* each takes 4 KiB */
		CHECK(!add(img, "b", 64 * K) && !qc_bitmap_remove(img, "b", 1));
	qc_close(img);
	CHECK(is_sound("image"));
	context_end(small);
}

/* A disk of 64 TiB with 64 KiB a bit has 128 MiB of bits.  Those that are set take memory within the
 * bound, wherever they are. */
static void bits_of_64_tib_take_bounded_memory(void)
{
	struct qc_config config = { .cache_bytes = M };
	struct qc_context *small = context_of(&config);
	const uint64_t end = 64 * K * 1024 * M, step = end / 600;
	struct rusage before, after;
	struct qc_image *img;
	uint64_t n = 0;

	make("", "64T");
	img = image_write(small, "image");
	CHECK(!add(img, "b", 64 * K));
	getrusage(RUSAGE_SELF, &before);
	for (uint64_t at = 0; at + 512 <= end; at += step / (64 * K) * (64 * K), n++)
		CHECK(!fill(img, at, 512, 1));
	CHECK(dirty_bytes(img, "b") == n * 64 * K);
	qc_close(img);
	getrusage(RUSAGE_SELF, &after);
	if (!is_sanitized()) /* a sanitizer keeps freed memory */
		CHECK(after.ru_maxrss - before.ru_maxrss < 16 * 1024); /* in KiB */
	img = image_open(small, "image");
	CHECK(dirty_bytes(img, "b") == n * 64 * K);
	qc_close(img);
	CHECK(has_flags("b", "auto"));
	context_end(small);
}

/* ---- failures ---------------------------------------------------------------------- */

#ifdef QC_FAILPOINTS
static void bits_that_cannot_be_stored_leave_the_bitmap_in_use(void)
{
	static const char *const points[] = { "bitmap.store", "bitmap.before-switch", "io.sync" };
	struct qc_image *img;

	for (size_t i = 0; i < COUNT(points); i++) {
		make("", "64M");
		sh("qemu-img bitmap --add image b");
		img = image_write(ctx, "image");
		CHECK(!fill(img, M, 100 * K, 1) && !qc_flush(img));
		qc_failpoint_once(points[i]);
		qc_close(img);
		CHECK(is_sound_but_for_leaks("image") && has_flags("b", "in-use auto"));
		CHECK(i == 2 || is_sound("image"));
		img = image_write(ctx, "image"); /* the image can be written, and the bitmap stays */
		CHECK(!fill(img, 0, 512, 1));
		qc_close(img);
		CHECK(has_flags("b", "in-use auto"));
		img = image_write(ctx, "image");
		CHECK(!qc_bitmap_remove(img, "b", 1));
		qc_close(img);
		CHECK(i == 2 || is_sound("image"));
	}
}

static void a_change_that_fails_leaves_all_as_it_was(void)
{
	struct qc_image *img;

	make("", "64M");
	img = image_write(ctx, "image");
	CHECK(!add(img, "b", 0) && !fill(img, M, 64 * K, 1));
	qc_failpoint_once("bitmap.before-switch");
	CHECK(add(img, "new", 0) == -EIO && dirty_bytes(img, "new") == UINT64_MAX);
	qc_failpoint_once("bitmap.before-switch");
	CHECK(qc_bitmap_remove(img, "b", 1) == -EIO && dirty_bytes(img, "b") == 64 * K);
	qc_failpoint_once("bitmap.before-switch");
	CHECK(qc_bitmap_rename(img, "b", 1, "c", 1) == -EIO && dirty_bytes(img, "b") == 64 * K);
	qc_failpoint_once("bitmap.before-switch");
	CHECK(qc_bitmap_enable(img, "b", 1, false) == -EIO);
	CHECK(!fill(img, 2 * M, 64 * K, 1) && dirty_bytes(img, "b") == 128 * K);
	qc_close(img);
	CHECK(is_sound("image") && has_flags("b", "auto"));
}
#endif

/* ---- the rest ------------------------------------------------------------------------ */

static void names_of_any_bytes(void)
{
	static const char odd[] = "a\0b\n\xff/..";
	struct qc_bitmaps list;
	struct qc_image *img;
	char most[1024];

	memset(most, 'n', sizeof(most));
	make("", "1M");
	img = image_write(ctx, "image");
	CHECK(!qc_bitmap_add(img, odd, sizeof(odd) - 1, 0, true));
	CHECK(qc_bitmap_add(img, odd, sizeof(odd) - 1, 0, true) == -EEXIST);
	CHECK(!qc_bitmap_add(img, "a", 1, 0, true) && !qc_bitmap_add(img, most, 1023, 0, false));
	CHECK(qc_bitmap_add(img, most, 1024, 0, true) == -ENAMETOOLONG);
	CHECK(qc_bitmap_add(img, "", 0, 0, true) == -EINVAL);
	CHECK(!fill(img, 0, 512, 1));
	qc_close(img);
	img = image_open(ctx, "image");
	CHECK(!qc_list_bitmaps(img, &list) && list.n == 3);
	CHECK(list.at[0].name_len == sizeof(odd) - 1 && !memcmp(list.at[0].name, odd, sizeof(odd)));
	CHECK(list.at[2].name_len == 1023 && !list.at[2].is_auto && list.at[1].is_auto);
	qc_bitmaps_free(&list);
	CHECK(qc_bitmap_add(img, "b", 1, 0, true) == -EROFS);
	qc_close(img);
}

static void a_view_outlives_its_image_and_holds_the_bitmap(void)
{
	struct qc_image *img, *view;
	struct qc_reason why;
	struct qc_extent x;

	make("", "1M");
	sh("qemu-img bitmap --add -g 64k image b");
	img = image_open(ctx, "image");
	CHECK(!qc_bitmap_open(img, "b", 1, &view, &why));
	CHECK(qc_bitmap_open(img, "c", 1, &view, &why) == -ENOENT);
	qc_close(img);
	CHECK(!qc_block_status(view, 5, &x) && !x.data && x.len == M - 5);
	img = image_write(ctx, "image");
	CHECK(!fill(img, 100 * K, 512, 9));
	CHECK(!qc_block_status(view, 64 * K, &x) && x.data && x.len == 64 * K);
	CHECK(reads_byte(view, 100 * K, 512, 9) && reads_byte(view, 128 * K, 512, 0));
	CHECK(qc_bitmap_remove(img, "b", 1) == -EBUSY);
	CHECK(qc_bitmap_rename(img, "b", 1, "c", 1) == -EBUSY);
	CHECK(fill(view, 0, 512, 1) == -EROFS);
	qc_close(view);
	CHECK(!qc_bitmap_rename(img, "b", 1, "c", 1) && !qc_bitmap_remove(img, "c", 1));
	qc_close(img);
	CHECK(is_sound("image"));
}

static void changes_while_the_image_is_written(void)
{
	struct qc_image *img, *view;
	struct qc_reason why;

	make("", "16M");
	img = image_write(ctx, "image");
	CHECK(!add(img, "a", 64 * K) && !fill(img, 0, 512, 1) && !add(img, "b", 64 * K));
	CHECK(has_flags("a", "in-use auto") && has_flags("b", "in-use auto"));
	CHECK(!fill(img, M, 512, 1) && dirty_bytes(img, "a") == 128 * K && dirty_bytes(img, "b") == 64 * K);
	CHECK(!qc_bitmap_enable(img, "a", 1, false) && has_flags("a", ""));
	CHECK(!fill(img, 2 * M, 512, 1) && dirty_bytes(img, "a") == 128 * K);
	CHECK(!qc_bitmap_open(img, "b", 1, &view, &why) && !qc_bitmap_merge(img, "a", 1, view));
	qc_close(view);
	CHECK(dirty_bytes(img, "a") == 192 * K && has_flags("a", ""));
	CHECK(!qc_bitmap_enable(img, "a", 1, true) && has_flags("a", "in-use auto"));
	CHECK(!qc_bitmap_clear(img, "b", 1) && !fill(img, 3 * M, 512, 1));
	CHECK(dirty_bytes(img, "a") == 256 * K && dirty_bytes(img, "b") == 64 * K);
	CHECK(qc_resize(img, 3 * M + 100) && !qc_resize(img, 3 * M + 512));
	CHECK(dirty_bytes(img, "b") == 512 && dirty_bytes(img, "a") == 192 * K + 512);
	CHECK(!qc_resize(img, 4 * M) && dirty_bytes(img, "b") == M);
	qc_close(img);
	CHECK(is_sound("image") && has_flags("a", "auto") && has_flags("b", "auto"));
}

static void snapshots_do_not_hold_bitmaps(void)
{
	struct qc_snapshots list;
	struct qc_image *img;

	make("", "4M");
	img = image_write(ctx, "image");
	CHECK(!fill(img, 0, 64 * K, 1) && !qc_snapshot_take(img, "s", 1) && !add(img, "b", 64 * K));
	CHECK(!qc_resize(img, 2 * M) && dirty_bytes(img, "b") == 0);
	CHECK(!qc_list_snapshots(img, &list) && !qc_snapshot_revert(img, &list.at[0]));
	CHECK(qc_size(img) == 4 * M && dirty_bytes(img, "b") == 4 * M);
	CHECK(!qc_bitmap_clear(img, "b", 1) && !qc_snapshot_delete(img, &list.at[0]));
	CHECK(dirty_bytes(img, "b") == 0);
	qc_snapshots_free(&list);
	/* To delete a snapshot sets the bits of what the disk has otherwise. */
	CHECK(!qc_snapshot_take(img, "t", 1) && !fill(img, 64 * K, 512, 1) && !fill(img, M, 64 * K, 1));
	CHECK(!qc_discard(img, 0, 64 * K) && !qc_bitmap_clear(img, "b", 1));
	CHECK(!qc_list_snapshots(img, &list) && !qc_snapshot_delete(img, &list.at[0]));
	CHECK(dirty_bytes(img, "b") == 3 * 64 * K);
	qc_snapshots_free(&list);
	qc_close(img);
	CHECK(is_sound("image") && has_flags("b", "auto"));
}

int main(void)
{
	begin();
	ctx = context_new(NULL);
	RUN(bits_are_stored_when_memory_is_short);
	RUN(bitmaps_that_are_too_large_are_removed);
	RUN(removed_bitmaps_leave_their_memory_to_others);
	RUN(bits_of_64_tib_take_bounded_memory);
#ifdef QC_FAILPOINTS
	RUN(bits_that_cannot_be_stored_leave_the_bitmap_in_use);
	RUN(a_change_that_fails_leaves_all_as_it_was);
#endif
	RUN(names_of_any_bytes);
	RUN(a_view_outlives_its_image_and_holds_the_bitmap);
	RUN(changes_while_the_image_is_written);
	RUN(snapshots_do_not_hold_bitmaps);
	context_end(ctx);
	return DONE();
}
