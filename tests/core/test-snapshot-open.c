/* SPDX-License-Identifier: MIT */
/* Snapshots and lower layers are images of their own, while the live one goes on. */
#include "write.h"

static struct qc_context *ctx;

static struct qc_image *view_of(struct qc_image *img, const char *name, enum qc_part part)
{
	struct qc_image *v = NULL;
	struct qc_snapshots list;
	struct qc_reason why = { 0 };
	qc_err r = qc_list_snapshots(img, &list);

	for (size_t i = 0; !r && !v && i < list.n; i++)
		if (!strcmp(list.at[i].name, name))
			r = qc_snapshot_open(img, &list.at[i], part, &v, &why);
	qc_snapshots_free(&list);
	if (!v)
		printf("# snapshot %s: %d %s\n", name, r, why.text);
	return v;
}

/* As `qemu-img convert -l` has it. */
static bool view_is(struct qc_image *img, const char *path, const char *name)
{
	struct qc_image *v = view_of(img, name, QC_PART_DISK);
	uint8_t *want;
	size_t n;
	bool same;

	sh("qemu-img convert -U -f qcow2 -O raw -l '%s' %s snap.raw", name, path);
	want = slurp("snap.raw", &n);
	same = v && qc_size(v) == n && reads_as(v, 0, n, want);
	if (v)
		qc_close(v);
	free(want);
	return same;
}

static const struct {
	const char *name, *options;
} variants[] = {
	{ "v2", "compat=0.10" },
	{ "v3", "compat=1.1" },
	{ "v3-512", "compat=1.1,cluster_size=512" },
	{ "v3-extended", "compat=1.1,extended_l2=on" },
	{ "v3-rc4", "compat=1.1,refcount_bits=4" },
};

static void make(const char *name, const char *options)
{
	sh("qemu-img create -q -f qcow2 -o %s %s 3M &&"
	   " qemu-io -t unsafe -f qcow2 -c 'write -P 1 0 2M' %s >/dev/null &&"
	   " qemu-img snapshot -c one %s &&"
	   " qemu-io -t unsafe -f qcow2 -c 'write -P 2 3k 130k' -c 'write -z 1M 100k' %s >/dev/null &&"
	   " qemu-img snapshot -c two %s &&"
	   " qemu-io -t unsafe -f qcow2 -c 'write -P 3 0 512' -c 'write -P 4 2500k 9k' %s >/dev/null",
	   options, name, name, name, name, name, name);
}

static void snapshots_read_as_in_qemu(void)
{
	for (size_t i = 0; i < COUNT(variants); i++) {
		struct qc_image *img;

		make(variants[i].name, variants[i].options);
		img = image_open(ctx, variants[i].name);
		CHECK(view_is(img, variants[i].name, "one"));
		CHECK(view_is(img, variants[i].name, "two"));
		qc_close(img);
	}
}

static void snapshots_stay_while_the_disk_is_written(void)
{
	for (size_t i = 0; i < COUNT(variants); i++) {
		struct qc_image *img = image_write(ctx, variants[i].name), *one, *two;
		uint8_t *before[2];
		size_t n[2];

		sh("qemu-img convert -U -f qcow2 -O raw -l one %s 1.raw &&"
		   " qemu-img convert -U -f qcow2 -O raw -l two %s 2.raw",
		   variants[i].name, variants[i].name);
		before[0] = slurp("1.raw", &n[0]);
		before[1] = slurp("2.raw", &n[1]);
		one = view_of(img, "one", QC_PART_DISK);
		two = view_of(img, "two", QC_PART_DISK);
		for (uint64_t off = 0; off < 3 * M - 100 * K; off += 120 * K + 512) {
			CHECK(!fill(img, off, 40 * K, (uint8_t)(off / K)));
			CHECK(!qc_discard(img, off + 41 * K, 40 * K));
			CHECK(!qc_flush(img));
			CHECK(reads_as(one, 0, n[0], before[0]));
			CHECK(reads_as(two, 0, n[1], before[1]));
		}
		CHECK(fill(one, 0, 512, 9) == -EROFS);
		qc_close(img);
		CHECK(reads_as(one, 0, n[0], before[0]));
		qc_close(one);
		qc_close(two);
		CHECK(is_sound(variants[i].name));
		free(before[0]);
		free(before[1]);
	}
}

static void a_snapshot_has_its_own_size(void)
{
	struct qc_image *img, *v;

	sh("qemu-img create -q -f qcow2 sized 1M && qemu-io -t unsafe -f qcow2 -c 'write -P 1 0 1M' sized >/dev/null"
	   " && qemu-img snapshot -c small sized && qemu-img resize -q -f qcow2 sized 5M"
	   " && qemu-io -t unsafe -f qcow2 -c 'write -P 2 0 5M' sized >/dev/null"
	   " && qemu-img snapshot -c large sized && qemu-img resize -q --shrink -f qcow2 sized 64k");
	img = image_open(ctx, "sized");
	CHECK(qc_size(img) == 64 * K);
	v = view_of(img, "small", QC_PART_DISK);
	CHECK(v && qc_size(v) == 1 * M && reads_byte(v, 0, M, 1));
	CHECK(v && read_error(v, M - 1, 2) == -EINVAL);
	qc_close(v);
	v = view_of(img, "large", QC_PART_DISK);
	CHECK(v && qc_size(v) == 5 * M && reads_byte(v, 0, 5 * M, 2));
	qc_close(v);
	qc_close(img);
}

/* QEMU keeps it behind the disk: written there while the disk was larger. */
static void vmstate_has_its_exact_length(void)
{
	struct qc_snapshots list;
	struct qc_image *img, *v;
	uint64_t row;

	sh("qemu-img create -q -f qcow2 vm 1G && qemu-io -t unsafe -f qcow2 -c 'write -P 7 512M 100001'"
	   " -c 'write -P 1 0 64k' vm >/dev/null");
	poke64("vm", 24, 512 * M);
	sh("qemu-img snapshot -c vm vm");
	row = peek64("vm", 64);
	poke64("vm", row + 40, 100001);
	img = image_open(ctx, "vm");
	CHECK(!qc_list_snapshots(img, &list) && list.n == 1 && list.at[0].vmstate_bytes == 100001);
	CHECK(list.at[0].size == 512 * M && list.at[0].date_s > 1000000000);
	qc_snapshots_free(&list);
	v = view_of(img, "vm", QC_PART_VMSTATE);
	CHECK(v && qc_size(v) == 100001 && reads_byte(v, 0, 100001, 7));
	qc_close(v);
	v = view_of(img, "vm", QC_PART_DISK);
	CHECK(v && qc_size(v) == 512 * M && reads_byte(v, 0, 64 * K, 1) &&
	      reads_byte(v, 512 * M - 64 * K, 64 * K, 0));
	qc_close(v);
	qc_close(img);
}

static void overlays_of_snapshots_read_their_base(void)
{
	struct qc_image *img, *v;

	sh("qemu-img create -q -f raw base.raw 1M && qemu-io -f raw -c 'write -P 5 0 1M' base.raw >/dev/null"
	   " && qemu-img create -q -f qcow2 -b base.raw -F raw over 2M"
	   " && qemu-io -t unsafe -f qcow2 -c 'write -P 6 64k 64k' over >/dev/null"
	   " && qemu-img snapshot -c s over && qemu-io -t unsafe -f qcow2 -c 'write -P 7 0 2M' over >/dev/null");
	img = image_open(ctx, "over");
	v = view_of(img, "s", QC_PART_DISK);
	CHECK(reads_byte(v, 0, 64 * K, 5) && reads_byte(v, 64 * K, 64 * K, 6) &&
	      reads_byte(v, M, M, 0));
	qc_close(v);
	qc_close(img);
}

static void layers_from_one_on(void)
{
	struct qc_image *img, *v = NULL;
	struct qc_reason why;

	sh("qemu-img create -q -f qcow2 -b over -F qcow2 top 3M"
	   " && qemu-io -t unsafe -f qcow2 -c 'write -P 8 0 64k' top >/dev/null");
	img = image_write(ctx, "top");
	CHECK(qc_depth(img) == 3 && strstr(qc_layer_path(img, 1), "/over"));
	CHECK(qc_open_chain_from(img, 3, &v, &why) == -EINVAL);
	CHECK(!qc_open_chain_from(img, 1, &v, &why) && qc_size(v) == 2 * M);
	CHECK(reads_byte(v, 0, 2 * M, 7));
	qc_close(v);
	CHECK(!qc_open_chain_from(img, 2, &v, &why) && qc_size(v) == M && reads_byte(v, 0, M, 5));
	qc_close(v);
	CHECK(qc_open_layer_alone(img, 3, &v, &why) == -EINVAL);
	CHECK(!qc_open_layer_alone(img, 0, &v, &why) && qc_size(v) == 3 * M);
	CHECK(reads_byte(v, 0, 64 * K, 8) && reads_byte(v, 64 * K, 2 * M, 0));
	qc_close(v);
	CHECK(!qc_open_chain_from(img, 0, &v, &why) && qc_size(v) == 3 * M);
	CHECK(!fill(img, 0, 4 * K, 9) && reads_byte(v, 0, 4 * K, 9));
	CHECK(!qc_resize(img, 4 * M) && qc_size(v) == 4 * M);
	CHECK(fill(v, 0, 512, 1) == -EROFS && qc_resize(v, M) == -EROFS);
	qc_close(img);
	CHECK(reads_byte(v, 0, 4 * K, 9) && reads_byte(v, 64 * K, 64 * K, 7));
	qc_close(v);
}

static void one_that_is_not_there(void)
{
	struct qc_image *img = image_open(ctx, "v3"), *v = NULL;
	struct qc_snapshots list;
	struct qc_reason why;
	struct qc_snapshot s;

	CHECK(!qc_list_snapshots(img, &list) && list.n == 2);
	s = list.at[0];
	s.name = "once";
	s.name_len = 4;
	CHECK(qc_snapshot_open(img, &s, QC_PART_DISK, &v, &why) == -ENOENT);
	s = list.at[0];
	s.l1_offset += 65536;
	CHECK(qc_snapshot_open(img, &s, QC_PART_DISK, &v, &why) == -ENOENT);
	qc_snapshots_free(&list);
	qc_close(img);
}

int main(void)
{
	begin();
	ctx = context_new(NULL);
	RUN(snapshots_read_as_in_qemu);
	RUN(snapshots_stay_while_the_disk_is_written);
	RUN(a_snapshot_has_its_own_size);
	RUN(vmstate_has_its_exact_length);
	RUN(overlays_of_snapshots_read_their_base);
	RUN(layers_from_one_on);
	RUN(one_that_is_not_there);
	context_end(ctx);
	return DONE();
}
