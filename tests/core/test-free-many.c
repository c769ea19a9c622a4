/* SPDX-License-Identifier: MIT */
/* Many freed clusters keep no program waiting in fsync, and their space comes back all the same;
 * a flush without new links has one sync. */
#include <stdatomic.h>

#include "io/file.h"
#include "write.h"

#ifdef QC_FAILPOINTS

enum { CLUSTERS = 600, FEW = 40, TRIES = 1200 };

static struct qc_context *ctx;

/* In place of libc's: the flusher has rounds only when it is woken. */
int pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *until)
{
	(void)until;
	return pthread_cond_wait(c, m);
}

static struct qc_file_ops counting;
static const struct qc_file_ops *real_ops;
static atomic_uint syncs;

static qc_err count_sync(struct qc_file *f)
{
	syncs++;
	return real_ops->sync(f);
}

static uint64_t space(void)
{
	struct stat st;

	return stat("image", &st) ? 0 : (uint64_t)st.st_blocks * 512;
}

static const struct qc_file_ops *interpose_count(const struct qc_file_ops *real)
{
	real_ops = real;
	counting = *real;
	counting.sync = count_sync;
	return &counting;
}

/* Returns true if the file has n clusters less than @before, but for the file system's own
 * blocks. */
static bool has_freed(uint64_t before, uint64_t n)
{
	return space() <= before - n * 64 * K + 256 * K;
}

static struct qc_image *open_filled(void)
{
	sh("rm -f image && qemu-img create -q -f qcow2 image 64M && "
	   "qemu-io -t unsafe -f qcow2 -c 'write -P 1 0 %u' image >/dev/null", CLUSTERS * 65536);
	return image_write(ctx, "image");
}

/* Discards n clusters of which no two are adjacent. */
static void discard_scattered(struct qc_image *img, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		CHECK(!qc_discard(img, i * 128 * K, 64 * K));
}

static void a_few_are_free_after_the_flush(void)
{
	struct qc_image *img = open_filled();
	uint64_t before = space();

	discard_scattered(img, FEW);
	CHECK(!qc_flush(img));
	CHECK(has_freed(before, FEW));
	qc_close(img);
	CHECK(is_sound("image"));
}

static void many_are_free_soon_after_it(void)
{
	struct qc_image *img = open_filled();
	uint64_t before = space();

	discard_scattered(img, CLUSTERS / 2);
	CHECK(!qc_flush(img));
	for (int i = 0; i < TRIES && !has_freed(before, CLUSTERS / 2); i++)
		usleep(100000);
	CHECK(has_freed(before, CLUSTERS / 2));
	qc_close(img);
	CHECK(is_sound("image"));
}

static void the_close_frees_all(void)
{
	struct qc_image *img = open_filled();
	uint64_t before = space();

	discard_scattered(img, CLUSTERS / 2);
	CHECK(!qc_flush(img) && !qc_writeback(img));
	CHECK(has_freed(before, CLUSTERS / 2));
	qc_close(img);
	CHECK(is_sound("image"));
}

static unsigned int syncs_of_flush(struct qc_image *img)
{
	unsigned int before = syncs;

	CHECK(!qc_flush(img));
	return syncs - before;
}

static void a_flush_without_new_links_has_one_sync(void)
{
	struct qc_image *img;

	qc_file_interpose = interpose_count;
	img = open_filled();
	discard_scattered(img, 1); /* clears autoclear bits, if there are some */
	CHECK(!qc_flush(img) && !qc_flush(img));
	CHECK(!qc_discard(img, 2 * M, 64 * K) && !qc_write_zeroes(img, 3 * M, 64 * K));
	CHECK(syncs_of_flush(img) == 1);
	CHECK(!fill(img, 60 * M, 64 * K, 2));
	CHECK(syncs_of_flush(img) >= 2);
	CHECK(!fill(img, 60 * M, 64 * K, 3)); /* in place */
	CHECK(syncs_of_flush(img) == 1);
	qc_close(img);
	qc_file_interpose = NULL;
	CHECK(is_sound("image"));
}

int main(void)
{
	begin();
	ctx = context_new(NULL);
	RUN(a_few_are_free_after_the_flush);
	RUN(many_are_free_soon_after_it);
	RUN(the_close_frees_all);
	RUN(a_flush_without_new_links_has_one_sync);
	context_end(ctx);
	return DONE();
}

#else

int main(void)
{
	SKIP("needs -Dfailpoints=true");
}

#endif
