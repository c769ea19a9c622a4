/* SPDX-License-Identifier: MIT */
/* Where data is, and where holes are, to the byte. */
#include "make.h"

static struct qc_context *ctx;

struct run {
	uint64_t len;
	bool data;
};

static void runs_are(const char *path, const struct run *want, size_t n)
{
	struct qc_image *img = image_open(ctx, path);
	uint64_t at = 0;

	for (size_t i = 0; i < n; i++, at += want[i - 1].len) {
		struct qc_extent e = { 0, false };

		CHECK(!qc_block_status(img, at, &e));
		if (e.len != want[i].len || e.data != want[i].data) {
			printf("# %s at %" PRIu64 ": %" PRIu64 " bytes of %s\n", path, at,
			       e.len, e.data ? "data" : "hole");
			CHECK(false && "as it should be");
		}
	}
	CHECK(at == qc_size(img));
	qc_close(img);
}

#define RUNS_ARE(path, ...)                                                           \
	runs_are(path, (const struct run[]){ __VA_ARGS__ },                           \
		 COUNT(((const struct run[]){ __VA_ARGS__ })))

static void clusters(void)
{
	sh("qemu-img create -q -f qcow2 plain 1M && qemu-io -t unsafe"
	   " -c 'write 64k 64k' -c 'write 128k 512' -c 'write -z 256k 64k' -c 'write 512k 64k'"
	   " -c 'write -z 576k 64k' plain >/dev/null");
	RUNS_ARE("plain", { 64 * K, false }, { 128 * K, true }, { 320 * K, false },
		 { 64 * K, true }, { 448 * K, false });
}

static void subclusters(void)
{
	sh("qemu-img create -q -f qcow2 -o extended_l2=on,cluster_size=64k ext 256k"
	   " && qemu-io -t unsafe"
	   " -c 'write 4k 2k' -c 'write 8k 4k' -c 'write -z 10k 2k' -c 'write 126k 4k' ext"
	   " >/dev/null");
	RUNS_ARE("ext", { 4 * K, false }, { 2 * K, true }, { 2 * K, false }, { 2 * K, true },
		 { 116 * K, false }, { 4 * K, true }, { 126 * K, false });
}

static void compressed_clusters_are_data(void)
{
	sh("qemu-img create -q -f qcow2 packed 512k && qemu-io -t unsafe -c 'write -c 64k 64k'"
	   " -c 'write 128k 64k' packed >/dev/null");
	RUNS_ARE("packed", { 64 * K, false }, { 128 * K, true }, { 320 * K, false });
}

static void all_layers_count(void)
{
	sh("qemu-img create -q -f qcow2 low 1M"
	   " && qemu-io -t unsafe -c 'write 0 256k' low >/dev/null");
	sh("qemu-img create -q -f qcow2 -b low -F qcow2 high 1M && qemu-io -t unsafe"
	   " -c 'write -z 64k 64k' -c 'write 512k 64k' high >/dev/null");
	RUNS_ARE("high", { 64 * K, true }, { 64 * K, false }, { 128 * K, true },
		 { 256 * K, false }, { 64 * K, true }, { 448 * K, false });
}

static void holes_of_a_raw_base(void)
{
	sh("truncate -s 1M sparse.raw && dd if=/dev/urandom of=sparse.raw bs=64k seek=4 count=2"
	   " conv=notrunc status=none");
	sh("qemu-img create -q -f qcow2 -b sparse.raw -F raw on-sparse 1M && qemu-io -t unsafe"
	   " -c 'write 640k 64k' on-sparse >/dev/null");
	RUNS_ARE("on-sparse", { 256 * K, false }, { 128 * K, true }, { 256 * K, false },
		 { 64 * K, true }, { 320 * K, false });
}

static void over_many_tables(void)
{
	sh("qemu-img create -q -f qcow2 -o cluster_size=512 tiny 4M && qemu-io -t unsafe"
	   " -c 'write 1M 1M' -c 'write 3145216 512' tiny >/dev/null");
	RUNS_ARE("tiny", { M, false }, { M, true }, { M - 512, false }, { 512, true },
		 { M, false });
}

static void version_1(void)
{
	sh("qemu-img create -q -f qcow old 1M"
	   " && qemu-io -t unsafe -f qcow -c 'write 8k 8k' old >/dev/null");
	RUNS_ARE("old", { 8 * K, false }, { 8 * K, true }, { M - 16 * K, false });
}

int main(void)
{
	begin();
	ctx = context_new(NULL);
	RUN(clusters);
	RUN(subclusters);
	RUN(compressed_clusters_are_data);
	RUN(all_layers_count);
	RUN(holes_of_a_raw_base);
	RUN(over_many_tables);
	RUN(version_1);
	context_end(ctx);
	return DONE();
}
