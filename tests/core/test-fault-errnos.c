/* SPDX-License-Identifier: MIT */
/*
 * A request ends with the error of the file, whatever number a file system answers with: none
 * of them makes the core try again, or takes one step for another.
 */
#include "record.h"
#include "write.h"

static const qc_err errors[] = { -ENOBUFS, -ETIME, -EAGAIN, -ERANGE, -EOVERFLOW, -ENOSPC };

static struct qc_context *ctx;

static unsigned int faults; /* that a request came by */
static uint8_t *model;
static size_t model_bytes;

/* Clusters that a snapshot shares, others that are compressed, and the rest unallocated. */
static void make_model(void)
{
	sh("qemu-img create -q -f qcow2 -o cluster_size=4k,extended_l2=off image 1M"
	   " && qemu-io -t unsafe -c 'write -P 1 0 64k' image >/dev/null"
	   " && qemu-img snapshot -c one image"
	   " && qemu-io -t unsafe -c 'write -c -P 2 64k 64k' image >/dev/null");
	model = slurp("image", &model_bytes);
}

static qc_err write_part(struct qc_image *img)
{
	return fill(img, 1024, 512, 9);
}

static qc_err write_part_of_compressed(struct qc_image *img)
{
	return fill(img, 64 * K + 1024, 512, 9);
}

static qc_err write_new(struct qc_image *img)
{
	return fill(img, 512 * K, 8 * K, 9);
}

static qc_err zero(struct qc_image *img)
{
	return qc_write_zeroes(img, 0, 128 * K);
}

static qc_err preallocate(struct qc_image *img)
{
	return qc_allocate(img, 0, M);
}

static qc_err shrink(struct qc_image *img)
{
	return qc_resize(img, 32 * K);
}

static qc_err grow(struct qc_image *img)
{
	return qc_resize(img, 64 * M);
}

static qc_err snapshot(struct qc_image *img)
{
	return qc_snapshot_take(img, "two", 3);
}

static const struct {
	const char *name;
	qc_err (*run)(struct qc_image *img);
} requests[] = {
	{ "write to a shared cluster", write_part },
	{ "write to a compressed cluster", write_part_of_compressed },
	{ "write to an unallocated cluster", write_new },
	{ "write zeroes", zero },
	{ "preallocate", preallocate },
	{ "shrink", shrink },
	{ "grow", grow },
	{ "take a snapshot", snapshot },
};

/* The request, and a flush: one of them reports the error, or -EIO where data is damaged or
 * the writer has aborted. */
static void run_with_fault(size_t request, enum rec_kind kind, uint64_t nth, qc_err err)
{
	static const char *const path[] = { "image" };
	struct qc_image *img;
	qc_err r, flushed;

	spill("image", model, model_bytes);
	img = image_write(ctx, "image");
	rec_start(path, 1, (struct rec_fault){ kind, nth, UINT64_MAX, err, false });
	r = requests[request].run(img);
	flushed = qc_flush(img);
	CHECK(r <= 0 && flushed <= 0);
	if (rec.failures && r != err && r != -EIO && flushed != err && flushed != -EIO) {
		printf("# %s, call %d number %u fails with %d: %d, flush %d\n",
		       requests[request].name, kind, (unsigned int)nth, err, r, flushed);
		CHECK(kind == REC_READ); /* (a read that was not needed) */
	}
	faults += rec.failures > 0;
	rec_stop();
	qc_close(img);
}

static void each_error_of(enum rec_kind kind)
{
	faults = 0;
	for (size_t e = 0; e < COUNT(errors); e++)
		for (size_t i = 0; i < COUNT(requests); i++)
			for (uint64_t nth = 1; nth <= 3; nth++)
				run_with_fault(i, kind, nth, errors[e]);
	CHECK(faults >= COUNT(errors) * COUNT(requests));
}

static void errors_of_reads_end_a_request(void)
{
	each_error_of(REC_READ);
}

static void errors_of_writes_end_a_request(void)
{
	each_error_of(REC_WRITE);
}

static void errors_of_syncs_end_a_request(void)
{
	each_error_of(REC_SYNC);
}

/* Returns true if the image can be opened for writing although read number nth fails. */
static bool opens_for_writing(uint64_t nth, qc_err err, bool *failed)
{
	static const char *const path[] = { "image" };
	struct qc_image *img = NULL, *reader;
	struct qc_reason why;
	qc_err r;

	spill("image", model, model_bytes);
	reader = image_open(ctx, "image"); /* has read all that opening reads */
	rec_start(path, 1, (struct rec_fault){ REC_READ, nth, 1, err, false });
	r = image_try(ctx, "image", QC_OPEN_WRITE, &img, &why);
	*failed = rec.failures;
	rec_stop();
	if (!r)
		qc_close(img);
	qc_close(reader);
	return !r;
}

/* The check of the refcounts gives up after a second; a read that fails with -ETIME is not
 * taken for that. */
static void the_check_takes_no_error_for_the_end_of_its_time(void)
{
	bool failed = true;
	uint64_t nth;

	for (nth = 1; failed; nth++)
		CHECK(opens_for_writing(nth, -ETIME, &failed) ==
		      opens_for_writing(nth, -ENOSPC, &failed));
	CHECK(nth > 5); /* up to the reads of L2 tables */
}

int main(void)
{
	begin();
	rec_init();
	alarm(300); /* a request that never ends */
	make_model();
	ctx = context_new(NULL);
	RUN(errors_of_reads_end_a_request);
	RUN(errors_of_writes_end_a_request);
	RUN(errors_of_syncs_end_a_request);
	RUN(the_check_takes_no_error_for_the_end_of_its_time);
	context_end(ctx);
	free(model);
	return DONE();
}
