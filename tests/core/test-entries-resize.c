/* SPDX-License-Identifier: MIT */
/* What another size makes of the header, the L1 table and the entries; an L2 table of clusters
 * of 4 KiB is 2 MiB of the disk. */
#include "write.h"

#define COPIED (UINT64_C(1) << 63)
#define HOST UINT64_C(0x00fffffffffffe00)

enum { SIZE_AT = 24, L1_ENTRIES_AT = 36, L1_AT = 40 };

static struct qc_context *ctx;

static uint32_t l1_entries(void)
{
	return (uint32_t)(peek64("image", L1_ENTRIES_AT) >> 32);
}

static uint64_t l1_entry(uint64_t i)
{
	return peek64("image", l1_at("image") + 8 * i);
}

/* The entry for a byte of the disk. */
static uint64_t entry(uint64_t at)
{
	uint64_t table = l1_entry(at / (2 * M)) & HOST;

	return table ? peek64("image", table + at % (2 * M) / (4 * K) * 8) : 0;
}

static qc_err resize(uint64_t size)
{
	struct qc_image *img = image_write(ctx, "image");
	qc_err r = qc_resize(img, size);

	qc_close(img);
	return r;
}

static void make(const char *options, const char *commands)
{
	sh("rm -f image && qemu-img create -q -f qcow2 -o cluster_size=4k,%s &&"
	   " qemu-io -f qcow2 %s image >/dev/null", options, commands);
}

static bool is_file(const char *command)
{
	return is_sound("image") && !try_sh("%s", command);
}

/* What lies behind the end is named no more; the L1 table keeps its length. */
static void a_shrink_drops_entries(void)
{
	uint64_t first, kept, l1;

	for (int v = 0; v < 2; v++) {
		make(v ? "compat=1.1 image 5M" : "compat=0.10 image 5M", "-c 'write -P 1 0 5M'");
		first = entry(0);
		kept = entry(M);
		l1 = l1_at("image");
		CHECK(l1_entries() == 3 && first && kept && l1_entry(1) && l1_entry(2));
		CHECK(!resize(M + 512));
		CHECK(peek64("image", SIZE_AT) == M + 512 && l1_entries() == 3);
		CHECK(l1_at("image") == l1 && entry(0) == first);
		CHECK(entry(M) == kept); /* a part of it is still there */
		for (uint64_t at = M + 4 * K; at < 2 * M; at += 4 * K)
			CHECK(entry(at) == 0);
		CHECK(l1_entry(0) & COPIED && !l1_entry(1) && !l1_entry(2));
		CHECK(is_sound("image"));
		/* Bytes of that part do not come back. */
		CHECK(!resize(2 * M) && entry(M) == kept && entry(M + 4 * K) == 0);
		CHECK(is_file("qemu-io -r -f qcow2 -c 'read -P 1 0 1049088' "
			      "-c 'read -P 0 1049088 1048064' image >out && ! grep -i fail out"));
	}
}

static void a_shrink_to_nothing(void)
{
	make("compat=1.1 image 3M", "-c 'write -P 1 0 3M'");
	CHECK(!resize(0) && peek64("image", SIZE_AT) == 0 && !l1_entry(0) && !l1_entry(1));
	CHECK(is_sound("image"));
}

static void within_the_table_only_the_size_changes(void)
{
	uint64_t l1, word;

	make("compat=1.1 image 3M", "-c 'write -P 1 2M 1M'");
	l1 = l1_at("image");
	word = entry(2 * M);
	CHECK(l1_entries() == 2 && !resize(4 * M) && peek64("image", SIZE_AT) == 4 * M);
	CHECK(l1_entries() == 2 && l1_at("image") == l1 && entry(2 * M) == word);
	CHECK(l1_entry(0) == 0 && entry(3 * M) == 0 && is_sound("image"));
}

/* It is exactly as long as it must be, and elsewhere; all its entries are the same. */
static void a_longer_l1_table(void)
{
	uint64_t l1, words[2];

	for (int v = 0; v < 2; v++) {
		make(v ? "compat=1.1 image 3M" : "compat=0.10 image 3M", "-c 'write -P 1 0 3M'");
		l1 = l1_at("image");
		words[0] = l1_entry(0);
		words[1] = l1_entry(1);
		CHECK(!resize(9 * M + 512) && peek64("image", SIZE_AT) == 9 * M + 512);
		CHECK(l1_entries() == 5 && l1_at("image") != l1);
		CHECK(l1_entry(0) == words[0] && l1_entry(1) == words[1]);
		CHECK(!l1_entry(2) && !l1_entry(3) && !l1_entry(4));
		CHECK(is_file("qemu-io -r -f qcow2 -c 'read -P 1 0 3M' -c 'read -P 0 3M 6M' "
			      "image >out && ! grep -i fail out"));
	}
}

/* The backing file is longer: the new part is zeros. */
static void what_comes_to_light_is_zeros(void)
{
	uint64_t word;

	sh("yes below | head -c 2M >base.raw");
	make("compat=1.1 -b base.raw -F raw image 1022K", "-c 'write -P 1 0 4k'");
	word = entry(0);
	CHECK(word && !resize(3 * M));
	CHECK(entry(0) == word && entry(4 * K) == 0);
	/* The rest of the cluster in which the disk ended is written. */
	CHECK(entry(1020 * K) & HOST && (entry(1020 * K) & ~HOST) == COPIED);
	for (uint64_t at = M; at < 2 * M; at += 4 * K)
		CHECK(entry(at) == 1);
	for (uint64_t at = 2 * M; at < 3 * M; at += 4 * K)
		CHECK(entry(at) == 0);
	CHECK(is_file("qemu-io -r -f qcow2 -c 'read -P 1 0 4k' -c 'read -P 0 1022k 2050k' "
		      "image >out && ! grep -i fail out"));
	sh("qemu-img convert -f qcow2 -O raw image out.raw");
	CHECK(!try_sh("cmp -i 4096 -n 1042432 out.raw base.raw"));
}

static bool is_refused(uint64_t size, qc_err err)
{
	sh("cp image before");
	return resize(size) == err && !try_sh("cmp image before");
}

/* Version 2 cannot say so, nor what size a snapshot had. */
static void what_version_2_cannot_say_is_refused(void)
{
	make("compat=0.10 -b base.raw -F raw image 1M", "-c 'write -P 1 0 4k'");
	CHECK(is_refused(M + 512, -EOPNOTSUPP) && is_refused(3 * M, -EOPNOTSUPP));
	CHECK(!resize(512 * K) && is_sound("image"));
	make("compat=0.10 image 1M", "-c 'write -P 1 0 4k'");
	sh("qemu-img snapshot -c one image");
	CHECK(is_refused(M + 512, -EOPNOTSUPP) && is_refused(512 * K, -EOPNOTSUPP));
}

/* Also where no other size is possible: a snapshot in version 2, half a sector in version 1. */
static void its_own_size_changes_nothing(void)
{
	make("compat=0.10 image 1M", "-c 'write -P 1 0 4k'");
	sh("qemu-img snapshot -c one image && cp image before");
	CHECK(!resize(M) && is_file("cmp image before"));
	sh("rm -f image && qemu-img create -q -f qcow image 1M &&"
	   " qemu-io -f qcow -c 'write -P 1 0 4k' image >/dev/null");
	poke64("image", SIZE_AT, M - 100);
	sh("cp image before");
	CHECK(!resize(M - 100) && !try_sh("cmp image before"));
	CHECK(is_refused(M - 99, -EINVAL) && !resize(M) && peek64("image", SIZE_AT) == M);
	make("compat=1.1 image 1M", "-c 'write -P 1 0 4k'");
	sh("cp image before");
	CHECK(!resize(M) && is_file("cmp image before"));
}

static void sizes_that_no_disk_has(void)
{
	make("compat=1.1 image 1M", "-c 'write -P 1 0 4k'");
	CHECK(is_refused(M + 1, -EINVAL) && is_refused(UINT64_C(1) << 63, -EINVAL));
	CHECK(is_refused((UINT64_C(4) << 20) * 2 * M + 512, -EFBIG)); /* of L1 entries */
}

/* Its table and its entries are its own. */
static void a_snapshot_keeps_its_entries(void)
{
	make("compat=1.1 image 3M", "-c 'write -P 1 0 3M'");
	sh("qemu-img snapshot -c one image && qemu-img convert -f qcow2 -l one -O raw image one.raw");
	CHECK(!resize(M) && l1_entries() == 2 && l1_entry(0) & COPIED && !l1_entry(1));
	CHECK(entry(0) && !(entry(0) & COPIED) && entry(M) == 0);
	CHECK(is_sound("image") && !resize(9 * M) && l1_entries() == 5);
	CHECK(is_file("qemu-img convert -f qcow2 -l one -O raw image now.raw && cmp -n 3145728 one.raw now.raw"));
	CHECK(is_file("qemu-io -r -f qcow2 -c 'read -P 1 0 1M' -c 'read -P 0 1M 8M' image >out"
		      " && ! grep -i fail out"));
}

int main(void)
{
	begin();
	ctx = context_new(NULL);
	RUN(a_shrink_drops_entries);
	RUN(a_shrink_to_nothing);
	RUN(within_the_table_only_the_size_changes);
	RUN(a_longer_l1_table);
	RUN(what_comes_to_light_is_zeros);
	RUN(what_version_2_cannot_say_is_refused);
	RUN(its_own_size_changes_nothing);
	RUN(sizes_that_no_disk_has);
	RUN(a_snapshot_keeps_its_entries);
	context_end(ctx);
	return DONE();
}
