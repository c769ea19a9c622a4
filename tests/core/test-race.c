/* SPDX-License-Identifier: MIT */
/* Readers that meet, with one of them stopped where it matters. */
#include "make.h"

#ifdef QC_FAILPOINTS

static struct logbook book = LOGBOOK;
static struct qc_context *ctx;

struct reader {
	struct qc_image *img;
	uint64_t off;
	size_t len;
	uint8_t want;
	qc_err r;
	bool right;
};

static void *read_once(void *arg)
{
	struct reader *r = arg;
	uint8_t *buf = malloc(r->len);

	r->r = qc_read(r->img, r->off, buf, r->len);
	r->right = !r->r;
	for (size_t i = 0; r->right && i < r->len; i++)
		r->right = buf[i] == r->want;
	free(buf);
	return NULL;
}

/* One reader, who waits at the place until qc_failpoint_resume(). */
static pthread_t park(struct reader *r, const char *place)
{
	pthread_t t;

	qc_failpoint_park(place);
	t = start(read_once, r);
	qc_failpoint_await(place);
	return t;
}

/* A slice of its L2 tables stands for 32 MiB of this disk. */
static void make_images(void)
{
	sh("qemu-img create -q -f qcow2 wide 256M"
	   " && qemu-io -t unsafe -c 'write -P 1 0 64k' -c 'write -P 2 40M 64k'"
	   " -c 'write -P 3 80M 64k' -c 'write -P 4 120M 64k' wide >/dev/null"
	   " && qemu-img create -q -f qcow2 other 1M"
	   " && qemu-io -t unsafe -c 'write -P 9 0 1M' other >/dev/null"
	   " && qemu-img create -q -f qcow2 packed 1M"
	   " && qemu-io -t unsafe -c 'write -c -P 5 0 64k' -c 'write -c -P 6 64k 64k' packed"
	   " >/dev/null"
	   " && qemu-img create -q -f qcow2 -b wide -F qcow2 over-a 256M"
	   " && qemu-img create -q -f qcow2 -b wide -F qcow2 over-b 256M");
}

/* ---- tables ----------------------------------------------------------------- */

static void two_miss_the_same_slice(void)
{
	struct qc_image *img = image_open(ctx, "wide");
	struct reader a = { img, 0, 512, 1, 1, false }, b = { img, 4096, 512, 1, 1, false };
	uint64_t before = counters(ctx).table_loads;
	pthread_t t[2];

	t[0] = park(&a, "cache.load");
	t[1] = start(read_once, &b);
	qc_failpoint_resume("cache.load");
	end(t[0]);
	end(t[1]);
	CHECK(a.right && b.right);
	CHECK(counters(ctx).table_loads == before + 2); /* L1, L2 */
	qc_close(img);
}

static void others_read_on_while_one_loads(void)
{
	struct qc_image *img = image_open(ctx, "wide"), *other = image_open(ctx, "other");
	struct reader a = { img, 40 * M, 64 * K, 2, 1, false };
	pthread_t t;

	CHECK(reads_byte(img, 0, 64 * K, 1)); /* so L1 is there */
	t = park(&a, "cache.load");
	CHECK(reads_byte(img, 0, 64 * K, 1));	 /* a slice that is there */
	CHECK(reads_byte(img, 80 * M, 64 * K, 3)); /* one that is not */
	CHECK(reads_byte(img, 160 * M, 64 * K, 0));
	CHECK(reads_byte(other, 0, M, 9));
	qc_close(image_open(ctx, "over-a")); /* and opened and closed */
	qc_failpoint_resume("cache.load");
	end(t);
	CHECK(a.right);
	qc_close(img);
	qc_close(other);
}

static void a_load_that_fails_is_tried_again(void)
{
	struct qc_image *img = image_open(ctx, "wide");

	logbook_clear(&book);
	qc_failpoint_once("cache.load");
	CHECK(read_error(img, 0, 512) == -EIO);
	CHECK(logged(&book, "/wide: cannot read the L1 table at 0x30000"));
	qc_failpoint_once("io.read");
	CHECK(read_error(img, 0, 512) == -EIO);
	CHECK(reads_byte(img, 0, 64 * K, 1));
	qc_failpoint_once("io.read");
	CHECK(read_error(img, 0, 512) == -EIO); /* the data itself */
	CHECK(logged(&book, "guest offset 0x0: cannot read: "));
	CHECK(reads_byte(img, 0, 64 * K, 1));
	qc_close(img);
}

/* Of two readers of a slice, only the one whose read failed gets an error. */
static void the_failure_of_one_is_not_that_of_the_other(void)
{
	struct qc_image *img = image_open(ctx, "wide");
	struct reader a = { img, 0, 512, 1, 1, false }, b = { img, 512, 512, 1, 1, false };
	pthread_t t[2];

	t[0] = park(&a, "cache.load");
	t[1] = start(read_once, &b);
	qc_failpoint_once("io.read");
	qc_failpoint_resume("cache.load");
	end(t[0]);
	end(t[1]);
	CHECK((a.r == -EIO) + (b.r == -EIO) == 1);
	CHECK(a.right + b.right == 1);
	CHECK(reads_byte(img, 0, 64 * K, 1));
	qc_close(img);
}

static void a_shared_base_outlives_one_of_its_overlays(void)
{
	struct qc_image *a = image_open(ctx, "over-a"), *b = image_open(ctx, "over-b");
	struct reader r = { a, 80 * M, 4096, 3, 1, false };
	pthread_t t;

	CHECK(reads_byte(a, 0, 512, 1));
	t = park(&r, "cache.load");
	CHECK(reads_byte(b, 0, 512, 1));
	qc_close(b);
	CHECK(counters(ctx).layers_open == 2);
	qc_failpoint_resume("cache.load");
	end(t);
	CHECK(r.right);
	qc_close(a);
}

/* ---- compressed clusters ---------------------------------------------------- */

static void two_readers_of_one_compressed_cluster(void)
{
	struct qc_image *img = image_open(ctx, "packed");
	struct reader a = { img, 0, 512, 5, 1, false }, b = { img, 60 * K, 4096, 5, 1, false };
	uint64_t before = counters(ctx).clusters_decompressed;
	pthread_t t[2];

	t[0] = park(&a, "cluster-cache.fill");
	t[1] = start(read_once, &b);
	CHECK(reads_byte(img, 64 * K, 4096, 6)); /* another is not held up */
	CHECK(reads_byte(img, 0, 64 * K, 5));	 /* nor a reader of the whole cluster */
	CHECK(counters(ctx).clusters_decompressed == before + 2);
	qc_failpoint_resume("cluster-cache.fill");
	end(t[0]);
	end(t[1]);
	CHECK(a.right && b.right);
	CHECK(counters(ctx).clusters_decompressed == before + 3);
	CHECK(reads_byte(img, 0, 64 * K, 5)); /* it is still there */
	CHECK(counters(ctx).clusters_decompressed == before + 3);
	qc_close(img);
}

static void unpacking_that_fails(void)
{
	struct qc_image *img = image_open(ctx, "packed");

	qc_failpoint_once("cluster-cache.fill");
	CHECK(read_error(img, 0, 512) == -EIO);
	CHECK(reads_byte(img, 0, 512, 5));
	qc_close(img);
}

/* Nothing of an image that was closed is found by one that is opened. */
static void unpacked_clusters_go_with_their_image(void)
{
	for (int i = 0; i < 30; i++) { /* memory is bound to be used again */
		struct qc_image *img = image_open(ctx, "packed");
		uint64_t before = counters(ctx).clusters_decompressed;

		CHECK(reads_byte(img, 0, 512, 5));
		CHECK(counters(ctx).clusters_decompressed == before + 1);
		qc_close(img);
	}
}

/* ---- opening ---------------------------------------------------------------- */

static void *open_once(void *arg)
{
	struct qc_image **out = arg;

	*out = image_open(ctx, "wide");
	return NULL;
}

/* The second waits for the first, whose locks it would meet; another file is not
 * held up. */
static void two_open_the_same_file(void)
{
	uint64_t before = counters(ctx).layers_opened;
	struct qc_image *a = NULL, *b = NULL, *other;
	pthread_t t[2];

	qc_failpoint_park("io.read"); /* at its header */
	t[0] = start(open_once, &a);
	qc_failpoint_await("io.read");
	t[1] = start(open_once, &b);
	other = image_open(ctx, "other");
	qc_close(other);
	qc_failpoint_resume("io.read");
	end(t[0]);
	end(t[1]);
	CHECK(counters(ctx).layers_open == 1);
	CHECK(counters(ctx).layers_opened == before + 2); /* with the other */
	CHECK(reads_byte(a, 0, 512, 1) && reads_byte(b, 0, 512, 1));
	qc_close(b);
	CHECK(reads_byte(a, 40 * M, 512, 2));
	qc_close(a);
	CHECK(counters(ctx).layers_open == 0);
}

static void a_header_that_cannot_be_read(void)
{
	qc_failpoint_once("io.read");
	CHECK(image_refused(ctx, "wide", -EIO, QC_CAUSE_IMAGE, "cannot read the header"));
	CHECK(counters(ctx).layers_open == 0);
	qc_close(image_open(ctx, "wide"));
}

/* A change that is noticed while a reader is on its way. */
static void a_change_while_somebody_reads(void)
{
	struct qc_image *old, *new;
	struct timespec times[2] = { { 1, 0 }, { 1, 0 } };
	struct reader a;
	pthread_t t;

	sh("cp wide changing");
	old = image_open(ctx, "changing");
	a = (struct reader){ old, 0, 64 * K, 1, 1, false };
	t = park(&a, "cache.load");
	CHECK(!utimensat(AT_FDCWD, "changing", times, 0));
	new = image_open(ctx, "changing");
	CHECK(reads_byte(new, 0, 64 * K, 1));
	qc_failpoint_resume("cache.load");
	end(t);
	CHECK(a.right || a.r == -ESTALE);
	CHECK(read_error(old, 0, 1) == -ESTALE);
	qc_close(old);
	qc_close(new);
}

int main(void)
{
	begin();
	ctx = context_new(&book);
	make_images();
	RUN(two_miss_the_same_slice);
	RUN(others_read_on_while_one_loads);
	RUN(a_load_that_fails_is_tried_again);
	RUN(the_failure_of_one_is_not_that_of_the_other);
	RUN(a_shared_base_outlives_one_of_its_overlays);
	RUN(two_readers_of_one_compressed_cluster);
	RUN(unpacking_that_fails);
	RUN(unpacked_clusters_go_with_their_image);
	RUN(two_open_the_same_file);
	RUN(a_header_that_cannot_be_read);
	RUN(a_change_while_somebody_reads);
	context_end(ctx);
	return DONE();
}

#else
int main(void)
{
	SKIP("not built with -Dfailpoints=true");
}
#endif
