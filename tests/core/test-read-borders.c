/* SPDX-License-Identifier: MIT */
/* Reads that touch the ends of a disk, or leave it. */
#include "make.h"

static struct qc_context *ctx;

static void past_the_end(void)
{
	static const struct {
		uint64_t off;
		size_t len;
		qc_err want;
	} t[] = {
		{ 0, 0, 0 },	       { 0, M, 0 },	      { 0, M + 1, -EINVAL },
		{ M - 1, 1, 0 },       { M - 1, 2, -EINVAL }, { M, 0, 0 },
		{ M, 1, -EINVAL },     { M + 1, 0, -EINVAL }, { UINT64_MAX, 1, -EINVAL },
		{ UINT64_MAX, 0, -EINVAL }, { UINT64_MAX - 511, 512, -EINVAL },
		{ INT64_MAX, 1, -EINVAL },
	};
	struct qc_image *img;

	sh("qemu-img create -q -f qcow2 small 1M");
	img = image_open(ctx, "small");
	CHECK(qc_size(img) == M && qc_depth(img) == 1 && qc_cluster_size(img) == 64 * K);
	for (size_t i = 0; i < COUNT(t); i++)
		CHECK(read_error(img, t[i].off, t[i].len) == t[i].want);
	CHECK(qc_read(img, 0, NULL, SIZE_MAX) == -EINVAL);
	CHECK(qc_read(img, 1, NULL, SIZE_MAX) == -EINVAL);
	qc_close(img);
}

static void extents_past_the_end(void)
{
	struct qc_image *img = image_open(ctx, "small");
	struct qc_extent e;

	CHECK(qc_block_status(img, M, &e) == -EINVAL);
	CHECK(qc_block_status(img, UINT64_MAX, &e) == -EINVAL);
	CHECK(!qc_block_status(img, M - 1, &e) && e.len == 1 && !e.data);
	CHECK(!qc_block_status(img, 0, &e) && e.len == M && !e.data);
	qc_close(img);
}

static void a_disk_of_no_bytes(void)
{
	struct qc_image *img;
	struct qc_extent e;
	char c;

	sh("qemu-img create -q -f qcow2 empty 0");
	img = image_open(ctx, "empty");
	CHECK(qc_size(img) == 0);
	CHECK(qc_read(img, 0, &c, 0) == 0 && qc_read(img, 0, &c, 1) == -EINVAL);
	CHECK(qc_block_status(img, 0, &e) == -EINVAL);
	qc_close(img);
}

/* A hole of an exbibyte is found in one go, and not entry by entry. */
static void the_largest_disk(void)
{
	uint64_t size = UINT64_C(1) << 60;
	struct qc_image *img;
	struct qc_extent e;

	sh("qemu-img create -q -f qcow2 -o cluster_size=2M large 1E");
	sh("qemu-io -t unsafe -f qcow2 -c 'write -P 7 1152921504606846464 512' large"
	   " >/dev/null");
	img = image_open(ctx, "large");
	CHECK(qc_size(img) == size);
	CHECK(reads_byte(img, size - 512, 512, 7));
	CHECK(reads_byte(img, size - 1024, 512, 0));
	CHECK(read_error(img, size - 512, 513) == -EINVAL);
	CHECK(!qc_block_status(img, 0, &e) && !e.data && e.len == size - 2 * M);
	CHECK(!qc_block_status(img, size - 1, &e) && e.data && e.len == 1);
	qc_close(img);
}

/* A base that ends in the middle of an overlay's cluster, and of a sector. */
static void the_base_is_shorter(void)
{
	uint8_t *want = calloc(1, M);
	struct qc_image *img;
	struct qc_extent e;

	memset(want, 9, 100001);
	spill("short.raw", want, 100001);
	sh("qemu-img create -q -f qcow2 -b short.raw -F raw on-short 1M");
	img = image_open(ctx, "on-short");
	CHECK(reads_as(img, 0, M, want));
	CHECK(reads_as(img, 100000, 2, want));
	CHECK(reads_as(img, 100001, 1, want));
	CHECK(!qc_block_status(img, 100001, &e) && !e.data && e.len == M - 100001);
	CHECK(!qc_block_status(img, 0, &e) && e.data && e.len == 100001);
	qc_close(img);
	free(want);
}

/* What lies below a layer that has ended is not seen again. */
static void a_short_layer_in_the_middle(void)
{
	struct qc_image *img;

	sh("qemu-img create -q -f qcow2 low 1M"
	   " && qemu-io -t unsafe -c 'write -P 1 0 1M' low >/dev/null");
	sh("qemu-img create -q -f qcow2 -b low -F qcow2 middle 256k");
	sh("qemu-img create -q -f qcow2 -b middle -F qcow2 high 1M");
	img = image_open(ctx, "high");
	CHECK(qc_depth(img) == 3);
	CHECK(reads_byte(img, 0, 256 * K, 1));
	CHECK(reads_byte(img, 256 * K, 768 * K, 0));
	qc_close(img);
}

int main(void)
{
	begin();
	ctx = context_new(NULL);
	RUN(past_the_end);
	RUN(extents_past_the_end);
	RUN(a_disk_of_no_bytes);
	RUN(the_largest_disk);
	RUN(the_base_is_shorter);
	RUN(a_short_layer_in_the_middle);
	context_end(ctx);
	return DONE();
}
