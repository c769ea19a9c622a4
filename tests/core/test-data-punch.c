/* SPDX-License-Identifier: MIT */
/* Holes in an external data file: they come after the change is durable, and never where data
 * was written again. */
#include "job.h"

#ifdef QC_FAILPOINTS

static struct qc_context *ctx;

static struct qc_image *open_filled(const char *options)
{
	sh("rm -f image data && qemu-img create -q -f qcow2 -o data_file=data%s image 4M && "
	   "qemu-io -t unsafe -f qcow2 -c 'write -P 1 0 4M' image >/dev/null", options);
	return image_write(ctx, "image");
}

/* Returns the bytes of the data file that take space, as lseek() tells. */
static uint64_t data_bytes(void)
{
	int fd = open("data", O_RDONLY | O_CLOEXEC);
	off_t at = 0, hole;
	uint64_t n = 0;

	while ((at = lseek(fd, at, SEEK_DATA)) >= 0) {
		hole = lseek(fd, at, SEEK_HOLE);
		n += (uint64_t)(hole - at);
		at = hole;
	}
	close(fd);
	return n;
}

static void space_comes_back_with_the_flush(void)
{
	struct qc_image *img = open_filled("");

	CHECK(!qc_discard(img, M, M));
	CHECK(reads_byte(img, M, M, 0));
	CHECK(data_bytes() == 4 * M);
	CHECK(!qc_flush(img));
	CHECK(data_bytes() == 3 * M);
	CHECK(!qc_discard(img, 3 * M, M));
	qc_close(img); /* without a flush */
	CHECK(data_bytes() == 2 * M);
	CHECK(is_sound("image"));
}

/* A discarded range, of which the left, the right and the middle are written again. */
static void data_that_is_written_again_stays(void)
{
	static const struct {
		uint64_t off, len;
	} again[] = { { M, 64 * K }, { 2 * M - 64 * K, 64 * K }, { M + 300 * K, 70 * K },
		      { M + 500 * K, 10 }, { M + 700 * K, 64 * K }, { M, M } };

	for (size_t i = 0; i < COUNT(again); i++) {
		struct qc_image *img = open_filled("");

		CHECK(!qc_discard(img, M, M));
		for (size_t k = i < 5 ? 0 : i; k <= i; k++)
			CHECK(!fill(img, again[k].off, again[k].len, (uint8_t)(k + 2)));
		CHECK(!qc_flush(img) && !qc_flush(img));
		for (size_t k = i < 5 ? 0 : i; k <= i; k++)
			CHECK(reads_byte(img, again[k].off, again[k].len, (uint8_t)(k + 2)));
		CHECK(i == 5 ? data_bytes() == 4 * M : data_bytes() < 4 * M - 256 * K);
		CHECK(reads_byte(img, 0, M, 1) && reads_byte(img, 2 * M, 2 * M, 1));
		qc_close(img);
		CHECK(is_sound("image"));
	}
}

static void data_that_is_written_after_a_clear_stays(void)
{
	struct qc_image *img = open_filled("");

	for (int i = 0; i < 3; i++) { /* of all clusters, then of two */
		CHECK(!qc_clear(img));
		CHECK(!fill(img, M, 64 * K, 2) && !fill(img, 3 * M + 100, 512, 3));
		CHECK(!qc_flush(img) && !qc_flush(img));
		CHECK(reads_byte(img, M, 64 * K, 2) && reads_byte(img, 3 * M + 100, 512, 3));
		CHECK(reads_byte(img, 0, M, 0) && reads_byte(img, M + 64 * K, 2 * M - 64 * K, 0));
		CHECK(data_bytes() <= 128 * K);
	}
	qc_close(img);
	CHECK(is_sound("image"));
}

/* The writer comes while the checkpoint is about to punch. */
static void data_that_is_written_meanwhile_stays(void)
{
	static const char *const options[] = { "", ",cluster_size=16k,extended_l2=on" };

	for (size_t i = 0; i < COUNT(options); i++) {
		struct qc_image *img = open_filled(options[i]);
		struct job flush = { .what = FLUSH, .img = img };
		pthread_t t;

		CHECK(!qc_discard(img, M, M));
		t = park(&flush, "checkpoint.before-free");
		CHECK(!fill(img, M + 256 * K, 64 * K, 2));
		CHECK(!fill(img, M + 600 * K, 512, 3));
		CHECK(!qc_discard(img, 3 * M, M)); /* for the next checkpoint */
		qc_failpoint_resume("checkpoint.before-free");
		end(t);
		CHECK(!flush.r);
		CHECK(reads_byte(img, M, 256 * K, 0));
		CHECK(reads_byte(img, M + 256 * K, 64 * K, 2));
		CHECK(reads_byte(img, M + 600 * K, 512, 3));
		CHECK(data_bytes() < 3 * M + 200 * K && data_bytes() > 3 * M);
		CHECK(!qc_flush(img));
		CHECK(reads_byte(img, M + 256 * K, 64 * K, 2) && reads_byte(img, 3 * M, M, 0));
		CHECK(data_bytes() < 2 * M + 200 * K);
		qc_close(img);
		CHECK(is_sound("image"));
	}
}

/* Nothing is punched by a checkpoint that failed, and all by the next. */
static void a_failed_checkpoint_punches_nothing(void)
{
	struct qc_image *img = open_filled("");

	CHECK(!qc_discard(img, M, M));
	qc_failpoint_once("checkpoint.before-free");
	CHECK(qc_flush(img) == -EIO);
	CHECK(data_bytes() == 4 * M);
	CHECK(!qc_flush(img));
	CHECK(data_bytes() == 3 * M);
	qc_close(img);
}

/* The range of a disk that shrinks and grows again has the data of its new life. */
static void a_disk_that_was_smaller_meanwhile(void)
{
	struct qc_image *img = open_filled("");

	CHECK(!qc_discard(img, 2 * M, 2 * M));
	CHECK(!qc_resize(img, 3 * M) && !qc_resize(img, 4 * M));
	CHECK(!fill(img, 3 * M, M, 5));
	CHECK(!qc_flush(img));
	CHECK(reads_byte(img, 2 * M, M, 0) && reads_byte(img, 3 * M, M, 5));
	qc_close(img);
	CHECK(is_sound("image"));
}

int main(void)
{
	struct qc_config config = { .refs = QC_REFS_ANY };

	begin();
	ctx = context_of(&config);
	RUN(space_comes_back_with_the_flush);
	RUN(data_that_is_written_again_stays);
	RUN(data_that_is_written_after_a_clear_stays);
	RUN(data_that_is_written_meanwhile_stays);
	RUN(a_failed_checkpoint_punches_nothing);
	RUN(a_disk_that_was_smaller_meanwhile);
	context_end(ctx);
	return DONE();
}

#else

int main(void)
{
	SKIP("needs -Dfailpoints=true");
}

#endif
