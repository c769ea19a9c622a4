/* SPDX-License-Identifier: MIT */
/* A disk goes back to a snapshot: bytes and size are those that QEMU gives it, all snapshots
 * stay, and no cluster leaks. */
#include <stdatomic.h>

#include "base/failpoint.h"
#include "write.h"

static struct qc_context *ctx;

static const char *const variants[] = {
	"compat=0.10", "compat=1.1", "compat=1.1,cluster_size=512", "compat=1.1,extended_l2=on",
	"compat=1.1,refcount_bits=64", "compat=1.1,refcount_bits=4,cluster_size=4k",
	"compat=0.10,cluster_size=2M", "lazy_refcounts=on", "compression_type=zstd,cluster_size=4k",
};

static struct qc_image *fresh(const char *options, const char *size)
{
	sh("rm -f image && qemu-img create -q -f qcow2 -o %s image %s", options, size);
	return image_write(ctx, "image");
}

static qc_err take(struct qc_image *img, const char *name)
{
	return qc_snapshot_take(img, name, strlen(name));
}

static qc_err with(struct qc_image *img, const char *name,
		   qc_err (*fn)(struct qc_image *img, const struct qc_snapshot *s))
{
	struct qc_snapshots list;
	qc_err r = qc_list_snapshots(img, &list) ? -EIO : -ENOENT;

	for (size_t i = 0; i < list.n; i++) {
		if (strcmp(list.at[i].name, name))
			continue;
		r = fn(img, &list.at[i]);
		break;
	}
	qc_snapshots_free(&list);
	return r;
}

static qc_err revert(struct qc_image *img, const char *name)
{
	return with(img, name, qc_snapshot_revert);
}

/* (QEMU reads as many bytes of a snapshot as the disk has at the moment.) */
static bool snapshots_read_as_before(const char *names)
{
	return !try_sh("for s in %s; do qemu-img convert -U -f qcow2 -l $s -O raw image now.raw &&"
		       " n=$(stat -c %%s now.raw) && m=$(stat -c %%s $s.raw) &&"
		       " cmp -n $((n < m ? n : m)) now.raw $s.raw || exit 1; done", names);
}

static void note_snapshots(const char *names)
{
	sh("for s in %s; do qemu-img convert -U -f qcow2 -l $s -O raw image $s.raw || exit 1; done",
	   names);
}

/* Goes back in the image, and with QEMU in a copy of it, and compares. */
static bool does_as_qemu(struct qc_image **img, const char *name, const char *others)
{
	bool so;

	qc_close(*img);
	sh("cp image copy && qemu-img snapshot -a %s copy && qemu-img convert -f qcow2 -O raw copy"
	   " copy.raw && qemu-img snapshot -l image >list.before", name);
	note_snapshots(others);
	*img = image_write(ctx, "image");
	so = !revert(*img, name) && is_sound("image");
	so &= !try_sh("qemu-img snapshot -U -l image >list.now && cmp list.before list.now");
	so &= !try_sh("qemu-img convert -U -f qcow2 -O raw image now.raw && cmp now.raw copy.raw");
	return so && snapshots_read_as_before(others);
}

/* ---- content ----------------------------------------------------------------- */

static void bytes_are_those_of_the_snapshot(void)
{
	for (size_t i = 0; i < COUNT(variants); i++) {
		struct qc_image *img = fresh(variants[i], "8M");
		bool so;

		so = !fill(img, 0, 3 * M, 1) && !qc_write_zeroes(img, M, 10 * K) && !take(img, "one");
		so &= !fill(img, 512, M, 2) && !qc_discard(img, 2 * M, M) && !take(img, "two");
		so &= !fill(img, 0, 8 * M, 3) && !qc_allocate(img, 0, 8 * M);
		so &= does_as_qemu(&img, "one", "one two");
		so &= reads_byte(img, 0, M, 1) && reads_byte(img, 3 * M, 5 * M, 0);
		so &= !fill(img, 100 * K, 6 * M, 4) && reads_byte(img, 0, 100 * K, 1) &&
		      reads_byte(img, 100 * K, 6 * M, 4) && !qc_writeback(img) && is_sound("image");
		so &= does_as_qemu(&img, "two", "one two") && does_as_qemu(&img, "two", "one two");
		so &= !with(img, "one", qc_snapshot_delete) && is_sound("image");
		so &= !with(img, "two", qc_snapshot_delete) && is_sound("image");
		so &= reads_byte(img, 512, M, 2) && reads_byte(img, 2 * M, M, 0);
		qc_close(img);
		if (!so || !is_sound("image"))
			printf("# with %s\n", variants[i]);
		CHECK(so);
	}
}

/* QEMU's snapshots share L2 tables with the disk, and have compressed clusters. */
static void snapshots_of_qemu(void)
{
	for (size_t i = 0; i < COUNT(variants); i++) {
		struct qc_image *img;
		bool so;

		if (strstr(variants[i], "refcount_bits=4")) /* too few for compressed clusters */
			continue;
		sh("rm -f image && qemu-img create -q -f qcow2 -o %s image 8M &&"
		   " qemu-io -t unsafe -c 'write -P 1 0 5M' -c 'write -z 1M 1M'"
		   " -c 'write -c -P 5 6M 2M' image >/dev/null && qemu-img snapshot -c a image &&"
		   " qemu-io -t unsafe -c 'write -P 2 3M 70k' image >/dev/null &&"
		   " qemu-img snapshot -c b image && qemu-io -c 'discard 0 8M' image >/dev/null",
		   variants[i]);
		img = image_write(ctx, "image");
		so = does_as_qemu(&img, "a", "a b") && reads_byte(img, 6 * M, 2 * M, 5);
		so &= !fill(img, 7 * M, 512, 9) && does_as_qemu(&img, "b", "a b");
		so &= !with(img, "a", qc_snapshot_delete) && does_as_qemu(&img, "b", "b");
		qc_close(img);
		sh("qemu-img snapshot -a b image && qemu-img snapshot -d b image");
		if (!so || !is_sound("image"))
			printf("# with %s\n", variants[i]);
		CHECK(so && is_sound("image"));
	}
}

static void over_a_backing_file(void)
{
	struct qc_image *img;

	sh("yes below | head -c 1M >base.raw && rm -f image &&"
	   " qemu-img create -q -f qcow2 -b base.raw -F raw image 3M");
	img = image_write(ctx, "image");
	CHECK(!fill(img, 0, 64 * K, 1) && !take(img, "one"));
	CHECK(!qc_write_zeroes(img, 0, 2 * M) && !qc_resize(img, 512 * K));
	CHECK(does_as_qemu(&img, "one", "one") && qc_size(img) == 3 * M);
	CHECK(reads_byte(img, 0, 64 * K, 1) && reads_byte(img, M, 2 * M, 0));
	qc_close(img);
	CHECK(!try_sh("qemu-io -r -f raw -c 'read -v 100k 16' base.raw | head -1 >a &&"
		      " qemu-io -r -f qcow2 -c 'read -v 100k 16' image | head -1 >b && cmp a b"));
}

static void the_size_is_that_of_the_snapshot(void)
{
	struct qc_image *img = fresh("compat=1.1,cluster_size=4k", "1M");

	CHECK(!fill(img, 0, M, 1) && !take(img, "small") && !qc_resize(img, 50 * M));
	CHECK(!fill(img, 49 * M, M, 2) && !take(img, "large") && !qc_resize(img, 64 * K));
	CHECK(!take(img, "tiny") && !qc_resize(img, 0) && !take(img, "none"));
	CHECK(does_as_qemu(&img, "large", "small large tiny") && qc_size(img) == 50 * M);
	CHECK(reads_byte(img, 49 * M, M, 2) && reads_byte(img, M, M, 0));
	CHECK(does_as_qemu(&img, "tiny", "small large tiny") && qc_size(img) == 64 * K);
	CHECK(!qc_resize(img, 2 * M) && reads_byte(img, 64 * K, 2 * M - 64 * K, 0));
	CHECK(!revert(img, "none") && qc_size(img) == 0 && is_sound("image"));
	CHECK(!revert(img, "small") && qc_size(img) == M && reads_byte(img, 0, M, 1));
	qc_close(img);
	CHECK(is_sound("image") && peek64("image", 24) == M);
	img = image_write(ctx, "image");
	CHECK(qc_size(img) == M && reads_byte(img, 0, M, 1));
	qc_close(img);
}

static void vm_state_stays_with_its_snapshot(void)
{
	struct qc_snapshots list;
	struct qc_image *img, *v;
	struct qc_reason why;

	/* What is behind the disk is VM state; QEMU itself writes it there. */
	sh("rm -f image && qemu-img create -q -f qcow2 image 1G && qemu-io -t unsafe -f qcow2"
	   " -c 'write -P 7 512M 1M' -c 'write -P 1 0 64k' image >/dev/null");
	poke64("image", 24, 512 * M);
	sh("qemu-img snapshot -c one image");
	poke64("image", peek64("image", 64) + 40, M); /* extra data: bytes of VM state */
	img = image_write(ctx, "image");
	CHECK(!qc_list_snapshots(img, &list) && list.n == 1);
	CHECK(!fill(img, 0, 64 * K, 2) && !revert(img, "one") && is_sound("image"));
	CHECK(reads_byte(img, 0, 64 * K, 1));
	CHECK(!qc_snapshot_open(img, &list.at[0], QC_PART_VMSTATE, &v, &why));
	CHECK(qc_size(v) == list.at[0].vmstate_bytes);
	qc_close(v);
	qc_snapshots_free(&list);
	CHECK(!qc_resize(img, M * K) && reads_byte(img, 512 * M, M, 0) && is_sound("image"));
	CHECK(!with(img, "one", qc_snapshot_delete));
	qc_close(img);
	CHECK(is_sound("image"));
}

/* A snapshot that is open, the one to go back to or another, reads as before. */
static void open_snapshots_do_not_matter(void)
{
	struct qc_image *img = fresh("compat=1.1", "1M"), *one, *two;
	struct qc_snapshots list;
	struct qc_reason why;

	CHECK(!fill(img, 0, M, 1) && !take(img, "one") && !fill(img, 0, M, 2) && !take(img, "two"));
	CHECK(!qc_list_snapshots(img, &list) && list.n == 2);
	CHECK(!qc_snapshot_open(img, &list.at[0], QC_PART_DISK, &one, &why));
	CHECK(!qc_snapshot_open(img, &list.at[1], QC_PART_DISK, &two, &why));
	CHECK(!fill(img, 0, M, 3) && !revert(img, "one") && reads_byte(img, 0, M, 1));
	CHECK(!fill(img, 0, M, 4) && reads_byte(one, 0, M, 1) && reads_byte(two, 0, M, 2));
	CHECK(!revert(img, "two") && reads_byte(img, 0, M, 2) && reads_byte(one, 0, M, 1));
	CHECK(with(img, "one", qc_snapshot_delete) == -EBUSY);
	qc_close(one);
	qc_close(two);
	CHECK(!with(img, "one", qc_snapshot_delete));
	qc_snapshots_free(&list);
	qc_close(img);
	CHECK(is_sound("image"));
}

/* ---- refused, or failed -------------------------------------------------------- */

static void refusals(void)
{
	struct qc_image *img = fresh("compat=1.1", "1M");
	struct qc_snapshots list;

	CHECK(!fill(img, 0, M, 1) && !take(img, "one") && !qc_list_snapshots(img, &list));
	CHECK(!with(img, "one", qc_snapshot_delete));
	CHECK(qc_snapshot_revert(img, &list.at[0]) == -ENOENT);
	qc_close(img);
	img = image_open(ctx, "image");
	CHECK(qc_snapshot_revert(img, &list.at[0]) == -EROFS);
	qc_close(img);
	sh("rm image && qemu-img create -q -f qcow image 1M");
	img = image_write(ctx, "image");
	CHECK(qc_snapshot_revert(img, &list.at[0]) == -EOPNOTSUPP);
	qc_close(img);
	qc_snapshots_free(&list);
}

static void refcounts_that_cannot_be_raised(void)
{
	struct qc_image *img = fresh("compat=1.1,refcount_bits=2", "1M");

	CHECK(!fill(img, 0, M, 1) && !take(img, "one") && !take(img, "two"));
	CHECK(revert(img, "one") == -EMLINK && is_sound("image") && reads_byte(img, 0, M, 1));
	CHECK(!fill(img, 0, M, 2) && !revert(img, "one") && reads_byte(img, 0, M, 1));
	qc_close(img);
	CHECK(is_sound("image"));
}

static void damaged_tables_change_nothing(void)
{
	struct qc_image *img = fresh("compat=1.1", "1M");
	uint64_t l1;

	CHECK(!fill(img, 0, M, 1) && !take(img, "one") && !fill(img, 0, M, 2));
	qc_close(img);
	l1 = peek64("image", peek64("image", 64)); /* of the snapshot */
	poke64("image", peek64("image", l1) & UINT64_C(0xfffffffffffe00), 0x8000000000000123);
	sh("cp image before");
	img = image_write(ctx, "image");
	CHECK(revert(img, "one") == -EIO && reads_byte(img, 0, M, 2));
	qc_close(img);
	sh("cmp -n $(stat -c %%s before) before image");
}

#ifdef QC_FAILPOINTS
static void a_failure_changes_nothing(void)
{
	struct qc_image *img = fresh("compat=1.1,cluster_size=4k", "1M");

	CHECK(!fill(img, 0, M, 1) && !take(img, "one") && !qc_resize(img, 3 * M) && !fill(img, 0, M, 2));
	qc_failpoint_once("atomic-update.before-switch");
	CHECK(revert(img, "one") == -EIO && qc_size(img) == 3 * M && reads_byte(img, 0, M, 2));
	CHECK(is_sound("image") && !fill(img, 2 * M, M, 3) && !revert(img, "one"));
	CHECK(qc_size(img) == M && reads_byte(img, 0, M, 1));
	qc_close(img);
	CHECK(is_sound("image"));
}
#endif

/* ---- with writers --------------------------------------------------------------- */

enum { BLOCKS = 32, BLOCK = 12288 + 512, ROUNDS = 40 };

static struct {
	struct qc_image *img;
	atomic_bool stop;
	atomic_uint errors;
} storm;

/* Every eight bytes of a block hold one number. */
static void *write_blocks(void *arg)
{
	uint64_t seed = (uintptr_t)arg, buf[BLOCK / 8], n = 0;

	while (!storm.stop) {
		uint64_t i = random_below(&seed, BLOCKS / 2) * 2 + (uintptr_t)arg % 2;

		n++;
		for (size_t k = 0; k < COUNT(buf); k++)
			buf[k] = n;
		storm.errors += qc_write(storm.img, i * BLOCK, buf, sizeof(buf)) != 0;
	}
	return NULL;
}

static void *read_blocks(void *arg)
{
	uint64_t seed = (uintptr_t)arg, buf[BLOCK / 8];

	while (!storm.stop) {
		uint64_t i = random_below(&seed, BLOCKS);

		storm.errors += qc_read(storm.img, i * BLOCK, buf, sizeof(buf)) != 0;
	}
	return NULL;
}

static void no_write_is_half_lost(void)
{
	uint64_t buf[BLOCK / 8];
	pthread_t t[3];
	bool so = true;

	storm.img = fresh("compat=1.1,cluster_size=4k", "4M");
	CHECK(!fill(storm.img, 0, BLOCKS * BLOCK, 0) && !take(storm.img, "one"));
	t[0] = start(write_blocks, (void *)(uintptr_t)1);
	t[1] = start(write_blocks, (void *)(uintptr_t)2);
	t[2] = start(read_blocks, (void *)(uintptr_t)3);
	for (int i = 0; i < ROUNDS; i++)
		CHECK(!revert(storm.img, "one"));
	storm.stop = true;
	for (size_t i = 0; i < COUNT(t); i++)
		pthread_join(t[i], NULL);
	for (uint64_t i = 0; i < BLOCKS; i++) {
		so &= !qc_read(storm.img, i * BLOCK, buf, sizeof(buf));
		for (size_t k = 1; k < COUNT(buf); k++)
			so &= buf[k] == buf[0];
	}
	CHECK(so && !storm.errors);
	qc_close(storm.img);
	CHECK(is_sound("image"));
	sh("qemu-img convert -l one -O raw image one.raw && cmp -n 4194304 one.raw /dev/zero");
}

int main(void)
{
	begin();
	ctx = context_new(NULL);
	RUN(bytes_are_those_of_the_snapshot);
	RUN(snapshots_of_qemu);
	RUN(over_a_backing_file);
	RUN(the_size_is_that_of_the_snapshot);
	RUN(vm_state_stays_with_its_snapshot);
	RUN(open_snapshots_do_not_matter);
	RUN(refusals);
	RUN(refcounts_that_cannot_be_raised);
	RUN(damaged_tables_change_nothing);
#ifdef QC_FAILPOINTS
	RUN(a_failure_changes_nothing);
#endif
	RUN(no_write_is_half_lost);
	context_end(ctx);
	return DONE();
}
