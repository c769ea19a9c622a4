/* SPDX-License-Identifier: MIT */
/* Writers that meet others, with one of them stopped where it matters. */
#include "job.h"

#ifdef QC_FAILPOINTS

static struct qc_context *ctx;

static struct qc_image *fresh(const char *options)
{
	sh("rm -f image && qemu-img create -q -f qcow2 %s image 4M", options);
	return image_write(ctx, "image");
}

/* ---- writers and writers ---------------------------------------------------- */

static void the_second_writer_of_a_cluster_keeps_the_bytes_of_the_first(void)
{
	struct qc_image *img = fresh("");
	struct job a = { .what = WRITE, .img = img, .off = 0, .len = 700, .byte = 1 };
	struct job b = { .what = WRITE, .img = img, .off = 5000, .len = 700, .byte = 2 };

	CHECK(has_to_wait(&b, &a, "write.before-link"));
	CHECK(!a.r && !b.r);
	CHECK(reads_byte(img, 0, 700, 1) && reads_byte(img, 700, 4300, 0));
	CHECK(reads_byte(img, 5000, 700, 2) && reads_byte(img, 5700, 50000, 0));
	qc_close(img);
	CHECK(is_sound("image"));
}

static void writers_of_other_clusters_do_not_wait(void)
{
	struct qc_image *img = fresh("");
	struct job a = { .what = WRITE, .img = img, .off = 64 * K, .len = 64 * K, .byte = 1 };
	pthread_t t = park(&a, "write.before-link");

	CHECK(!fill(img, 0, 64 * K, 2));
	CHECK(!fill(img, 128 * K, 100, 3));
	CHECK(!qc_discard(img, 256 * K, 64 * K));
	CHECK(!qc_allocate(img, 512 * K, 64 * K));
	CHECK(reads_byte(img, 0, 64 * K, 2) && reads_byte(img, 64 * K, 64 * K, 0));
	CHECK(!a.done);
	qc_failpoint_resume("write.before-link");
	end(t);
	CHECK(!a.r && reads_byte(img, 64 * K, 64 * K, 1));
	qc_close(img);
	CHECK(is_sound("image"));
}

static void a_discard_waits_for_the_writer(void)
{
	struct qc_image *img = fresh("");
	struct job a = { .what = WRITE, .img = img, .off = 0, .len = 64 * K, .byte = 1 };
	struct job b = { .what = DISCARD, .img = img, .off = 0, .len = 64 * K };
	pthread_t t[2];

	t[0] = park(&a, "write.before-link");
	t[1] = start(run, &b);
	linger(&b);
	CHECK(!b.done || reads_byte(img, 0, 64 * K, 0));
	qc_failpoint_resume("write.before-link");
	end(t[0]);
	end(t[1]);
	CHECK(!a.r && !b.r);
	qc_close(img);
	CHECK(is_sound("image"));
}

/* Allocation writes nothing of its own, least of all over newer bytes. */
static void allocation_does_not_undo_a_write(void)
{
	struct qc_image *img;
	struct job a = { .what = ALLOCATE, .off = 0, .len = 64 * K };
	struct job b = { .what = WRITE, .off = 0, .len = 64 * K, .byte = 2 };

	sh("qemu-img create -q -f raw base.raw 1M && qemu-io -t unsafe -f raw -c 'write -P 1 0 1M'"
	   " base.raw >/dev/null && rm -f image && qemu-img create -q -f qcow2 -b base.raw -F raw"
	   " image");
	a.img = b.img = img = image_write(ctx, "image");
	CHECK(reads_byte(img, 128 * K, 64 * K, 1));
	(void)has_to_wait(&b, &a, "io.read");
	CHECK(!a.r && !b.r);
	CHECK(reads_byte(img, 0, 64 * K, 2));
	qc_close(img);
	CHECK(is_sound("image"));
}

/* ---- writers and readers ---------------------------------------------------- */

static void a_reader_sees_the_old_bytes_until_the_copy_is_linked(void)
{
	struct qc_image *img;
	struct job a = { .what = WRITE, .off = 4096, .len = 4096, .byte = 2 };
	pthread_t t;

	sh("rm -f image && qemu-img create -q -f qcow2 image 4M && qemu-io -t unsafe -c"
	   " 'write -P 1 0 1M' image >/dev/null && qemu-img snapshot -c old image");
	a.img = img = image_write(ctx, "image");
	t = park(&a, "write.before-link");
	CHECK(reads_byte(img, 0, 64 * K, 1));
	qc_failpoint_resume("write.before-link");
	end(t);
	CHECK(!a.r);
	CHECK(reads_byte(img, 0, 4096, 1) && reads_byte(img, 4096, 4096, 2) &&
	      reads_byte(img, 8192, 56 * K, 1));
	qc_close(img);
	CHECK(is_sound("image"));
	sh("qemu-img convert -q -l old -f qcow2 -O raw image old.raw");
	CHECK(!try_sh("qemu-io -r -f raw -c 'read -q -P 1 0 1M' old.raw >out; test ! -s out"));
}

/* A cluster that a reader in flight has looked up is neither allocated nor
 * punched, also during a flush. */
static void a_cluster_with_a_reader_is_not_given_away(void)
{
	struct qc_image *img = fresh("-o cluster_size=4k");
	struct job r = { .what = READ, .img = img, .off = 4096, .len = 4096 };
	struct job f = { .what = FLUSH, .img = img };
	pthread_t t[2];

	CHECK(!fill(img, 0, 64 * K, 7) && !qc_flush(img));
	CHECK(reads_byte(img, 4096, 16, 7));
	t[0] = park(&r, "io.read");
	CHECK(!qc_discard(img, 0, 64 * K));
	t[1] = park(&f, "io.sync");
	qc_failpoint_resume("io.sync");
	linger(&f);
	CHECK(!f.done);
	CHECK(!fill(img, 128 * K, 256 * K, 9));
	CHECK(reads_byte(img, 0, 64 * K, 0) && reads_byte(img, 128 * K, 256 * K, 9));
	CHECK(!r.done);
	qc_failpoint_resume("io.read");
	end(t[0]);
	end(t[1]);
	CHECK(!r.r && r.uniform && (r.byte == 7 || r.byte == 0));
	CHECK(!f.r);
	CHECK(!fill(img, 512 * K, 64 * K, 9));
	qc_close(img);
	CHECK(is_sound("image"));
}

/* As above, and the writer needs tables written back that another thread is
 * writing. */
static void a_flush_that_waits_for_a_reader_holds_nobody_up(void)
{
	struct qc_config config = { .cache_bytes = 64 * K };
	struct qc_context *small = context_of(&config);
	struct qc_image *img;
	struct job r = { .what = READ, .off = 0, .len = 512 }, f = { .what = FLUSH };
	pthread_t t[2];

	sh("rm -f image && qemu-img create -q -f qcow2 -o cluster_size=512 image 64M");
	r.img = f.img = img = image_write(small, "image");
	CHECK(!fill(img, 0, 512, 7) && !fill(img, 512, 512, 8) && !qc_flush(img));
	CHECK(reads_byte(img, 0, 16, 7));
	t[0] = park(&r, "io.read");
	CHECK(!qc_discard(img, 512, 512));
	t[1] = park(&f, "io.sync");
	qc_failpoint_resume("io.sync");
	linger(&f);
	for (uint64_t at = 32 * K; at < 64 * M; at += 32 * K)
		CHECK(!fill(img, at, 512, 9));
	CHECK(!f.done && !r.done);
	qc_failpoint_resume("io.read");
	end(t[0]);
	end(t[1]);
	CHECK(!r.r && r.uniform && r.byte == 7 && !f.r);
	qc_close(img);
	CHECK(is_sound("image"));
	context_end(small);
}

/* ---- flush ------------------------------------------------------------------ */

static void a_flush_does_not_show_what_is_not_linked(void)
{
	struct qc_image *img = fresh("");
	struct job a = { .what = WRITE, .img = img, .off = 0, .len = 64 * K, .byte = 1 };
	pthread_t t;

	CHECK(!fill(img, M, 100, 3));
	t = park(&a, "write.before-link");
	CHECK(!qc_flush(img));
	sh("cp image crashed");
	qc_failpoint_resume("write.before-link");
	end(t);
	CHECK(!a.r);
	qc_close(img);
	CHECK(is_sound("image") && is_sound_but_for_leaks("crashed"));
	img = image_open(ctx, "crashed");
	CHECK(reads_byte(img, 0, 64 * K, 0) && reads_byte(img, M, 100, 3));
	qc_close(img);
}

/* Flushed data is in the file, while other writers go on. */
static void a_flush_writes_what_is_linked(void)
{
	struct qc_image *img = fresh("-o cluster_size=4k");
	struct job f = { .what = FLUSH, .img = img };
	pthread_t t;

	CHECK(!fill(img, 0, 64 * K, 1));
	t = park(&f, "io.sync"); /* has its copies of the tables */
	CHECK(!fill(img, M, 64 * K, 2));
	CHECK(!qc_discard(img, 0, 4096));
	qc_failpoint_resume("io.sync");
	end(t);
	CHECK(!f.r);
	sh("cp image crashed");
	CHECK(is_sound_but_for_leaks("crashed"));
	CHECK(!qc_flush(img));
	sh("cp image crashed");
	CHECK(is_sound_but_for_leaks("crashed"));
	qc_close(img);
	CHECK(is_sound("image"));
	img = image_open(ctx, "crashed");
	CHECK(reads_byte(img, 4096, 60 * K, 1) && reads_byte(img, M, 64 * K, 2) &&
	      reads_byte(img, 0, 4096, 0));
	qc_close(img);
}

/* Tables that another thread is about to write are not in the file yet. */
static void closing_waits_for_a_flush_on_its_way(void)
{
	struct qc_image *img = fresh("");
	struct job f = { .what = FLUSH, .img = img }, s = { .what = SETTLE, .img = img };
	pthread_t t[2];

	CHECK(!fill(img, 0, 64 * K, 1));
	t[0] = park(&f, "io.sync"); /* has its copies of the tables */
	t[1] = start(run, &s);
	linger(&s);
	CHECK(!s.done);
	qc_failpoint_resume("io.sync");
	end(t[1]);
	CHECK(!s.r);
	sh("cp image closed");
	end(t[0]);
	CHECK(!f.r && is_sound("closed"));
	qc_close(img);
	img = image_open(ctx, "closed");
	CHECK(reads_byte(img, 0, 64 * K, 1));
	qc_close(img);
}

/* ---- resize ----------------------------------------------------------------- */

static void a_resize_waits_for_those_inside(void)
{
	struct qc_image *img = fresh("");
	struct job a = { .what = WRITE, .img = img, .off = 3 * M, .len = 64 * K, .byte = 1 };
	struct job z = { .what = RESIZE, .img = img, .off = 1 * M };
	pthread_t t[2];

	t[0] = park(&a, "write.before-link");
	t[1] = start(run, &z);
	linger(&z);
	CHECK(!z.done && qc_size(img) == 4 * M);
	qc_failpoint_resume("write.before-link");
	end(t[0]);
	end(t[1]);
	CHECK(!a.r && !z.r && qc_size(img) == M);
	CHECK(!qc_resize(img, 4 * M) && reads_byte(img, M, 3 * M, 0));
	qc_close(img);
	CHECK(is_sound("image"));
}

/* A request that waited for a resize must not write beyond the new end. */
static void nobody_writes_behind_an_end_that_came_nearer(void)
{
	struct qc_image *img = fresh("");
	struct job a = { .what = WRITE, .img = img, .off = 0, .len = 64 * K, .byte = 1 };
	struct job z = { .what = RESIZE, .img = img, .off = 1 * M };
	struct job b = { .what = WRITE, .img = img, .off = 3 * M, .len = 64 * K, .byte = 2 };
	pthread_t t[3];

	t[0] = park(&a, "write.before-link");
	t[1] = start(run, &z);
	linger(&z);
	t[2] = start(run, &b);
	linger(&b);
	qc_failpoint_resume("write.before-link");
	for (int i = 0; i < 3; i++)
		end(t[i]);
	CHECK(!a.r && !z.r && (!b.r || b.r == -EINVAL));
	CHECK(!qc_resize(img, 4 * M) && reads_byte(img, M, 3 * M, 0));
	qc_close(img);
	CHECK(is_sound("image"));
}

/* ---- open and close --------------------------------------------------------- */

/* The last of its users still writes it back when the next one comes. */
static void who_opens_it_while_it_is_being_closed_gets_it(void)
{
	struct job c = { .what = CLOSE, .img = fresh("") };
	struct job o = { .what = OPEN, .ctx = ctx, .path = "image", .flags = QC_OPEN_WRITE };

	CHECK(!fill(c.img, 0, 64 * K, 1));
	(void)has_to_wait(&o, &c, "io.sync");
	CHECK(!o.r);
	if (!o.r) {
		CHECK(reads_byte(o.img, 0, 64 * K, 1) && !fill(o.img, M, 64 * K, 2));
		qc_close(o.img);
	}
	CHECK(is_sound("image"));
}

/* A checkpoint that took pending frees does not end before they are free. */
static void a_settle_waits_for_who_is_freeing(void)
{
	struct qc_image *img = fresh(""), *other = image_write(ctx, "image");
	struct job f = { .what = FLUSH, .img = img }, s = { .what = SETTLE, .img = other };

	CHECK(!fill(img, 0, 64 * K, 1) && !qc_writeback(img) && !qc_discard(img, 0, 64 * K));
	CHECK(has_to_wait(&s, &f, "checkpoint.before-free"));
	CHECK(!f.r && !s.r && is_sound("image"));
	qc_close(img);
	qc_close(other);
}

/* The flusher comes by every few seconds. */
static void a_close_waits_for_the_flusher(void)
{
	struct job c = { .what = CLOSE, .img = fresh("") };
	pthread_t t;

	CHECK(!fill(c.img, 0, 64 * K, 1) && !qc_writeback(c.img) && !qc_discard(c.img, 0, 64 * K));
	qc_failpoint_park("checkpoint.before-free");
	qc_failpoint_await("checkpoint.before-free");
	t = start(run, &c);
	linger(&c);
	CHECK(!c.done);
	qc_failpoint_resume("checkpoint.before-free");
	end(t);
	CHECK(is_sound("image"));
}

/* ---- failures --------------------------------------------------------------- */

static void what_failed_before_the_link_leaves_nothing(void)
{
	static const char *const place[] = { "write.before-link", "io.write" };

	for (size_t i = 0; i < COUNT(place); i++) {
		struct qc_image *img = fresh("");

		CHECK(!fill(img, 0, 64 * K, 1));
		qc_failpoint_once(place[i]);
		CHECK(fill(img, 128 * K, 64 * K, 2) == -EIO);
		CHECK(reads_byte(img, 128 * K, 64 * K, 0));
		CHECK(!fill(img, 256 * K, 64 * K, 3) && !qc_flush(img));
		CHECK(reads_byte(img, 0, 64 * K, 1) && reads_byte(img, 256 * K, 64 * K, 3));
		qc_close(img);
		CHECK(is_sound("image"));
	}
}

static void a_failed_sync_ends_all_writing(void)
{
	struct qc_image *img = fresh("");

	CHECK(!fill(img, 0, 64 * K, 1));
	qc_failpoint_once("io.sync");
	CHECK(qc_flush(img) == -EIO);
	CHECK(qc_flush(img) == -EIO);
	CHECK(fill(img, 0, 512, 2) == -EIO && qc_discard(img, 0, 512) == -EIO &&
	      qc_write_zeroes(img, 0, 512) == -EIO && qc_allocate(img, M, 512) == -EIO &&
	      qc_resize(img, 8 * M) == -EIO);
	CHECK(reads_byte(img, 0, 64 * K, 1));
	qc_close(img);
	CHECK(is_sound_but_for_leaks("image"));
}

/* Tables could not be written: they stay in memory, for the next time. */
static void a_failed_write_of_tables_is_tried_again(void)
{
	struct qc_image *img = fresh("");

	CHECK(!fill(img, 0, 64 * K, 1));
	qc_failpoint_once("io.write");
	CHECK(qc_flush(img) == -EIO);
	CHECK(is_sound_but_for_leaks("image"));
	CHECK(!fill(img, M, 64 * K, 2));
	CHECK(!qc_flush(img));
	qc_close(img);
	CHECK(is_sound("image"));
	img = image_open(ctx, "image");
	CHECK(reads_byte(img, 0, 64 * K, 1) && reads_byte(img, M, 64 * K, 2));
	qc_close(img);
}

static void a_table_that_cannot_be_read_is_no_damage(void)
{
	struct qc_image *img = fresh("");

	CHECK(!fill(img, 0, 64 * K, 1));
	qc_close(img);
	img = image_write(ctx, "image");
	qc_failpoint_once("cache.load");
	CHECK(fill(img, M, 512, 2) == -EIO);
	CHECK(!fill(img, M, 512, 2) && !qc_flush(img));
	qc_close(img);
	CHECK(peek64("image", 72) == 0 && is_sound("image"));
}

int main(void)
{
	begin();
	ctx = context_new(NULL);
	RUN(the_second_writer_of_a_cluster_keeps_the_bytes_of_the_first);
	RUN(writers_of_other_clusters_do_not_wait);
	RUN(a_discard_waits_for_the_writer);
	RUN(allocation_does_not_undo_a_write);
	RUN(a_reader_sees_the_old_bytes_until_the_copy_is_linked);
	RUN(a_cluster_with_a_reader_is_not_given_away);
	RUN(a_flush_that_waits_for_a_reader_holds_nobody_up);
	RUN(a_flush_does_not_show_what_is_not_linked);
	RUN(a_flush_writes_what_is_linked);
	RUN(closing_waits_for_a_flush_on_its_way);
	RUN(a_resize_waits_for_those_inside);
	RUN(nobody_writes_behind_an_end_that_came_nearer);
	RUN(who_opens_it_while_it_is_being_closed_gets_it);
	RUN(a_settle_waits_for_who_is_freeing);
	RUN(a_close_waits_for_the_flusher);
	RUN(what_failed_before_the_link_leaves_nothing);
	RUN(a_failed_sync_ends_all_writing);
	RUN(a_failed_write_of_tables_is_tried_again);
	RUN(a_table_that_cannot_be_read_is_no_damage);
	context_end(ctx);
	return DONE();
}

#else

int main(void)
{
	SKIP("needs -Dfailpoints=true");
}

#endif
