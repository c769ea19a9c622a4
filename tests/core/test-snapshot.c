/* SPDX-License-Identifier: MIT */
/* Taking, deleting and renaming snapshots of an image that is in use. */
#include "write.h"

static struct qc_context *ctx;

static const char *const variants[] = {
	"compat=0.10", "compat=1.1", "compat=1.1,cluster_size=512", "compat=1.1,extended_l2=on",
	"compat=1.1,refcount_bits=64", "compat=1.1,refcount_bits=4,cluster_size=4k",
	"compat=0.10,cluster_size=2M", "lazy_refcounts=on",
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

/* The snapshot of that name; to be freed with the list. */
static const struct qc_snapshot *find(struct qc_image *img, const char *name,
				      struct qc_snapshots *list)
{
	if (qc_list_snapshots(img, list))
		return NULL;
	for (size_t i = 0; i < list->n; i++)
		if (!strcmp(list->at[i].name, name))
			return &list->at[i];
	return NULL;
}

static qc_err drop(struct qc_image *img, const char *name)
{
	struct qc_snapshots list;
	const struct qc_snapshot *s = find(img, name, &list);
	qc_err r = s ? qc_snapshot_delete(img, s) : -ENOENT;

	qc_snapshots_free(&list);
	return r;
}

static qc_err name_anew(struct qc_image *img, const char *name, const char *to)
{
	struct qc_snapshots list;
	const struct qc_snapshot *s = find(img, name, &list);
	qc_err r = s ? qc_snapshot_rename(img, s, to, strlen(to)) : -ENOENT;

	qc_snapshots_free(&list);
	return r;
}

static bool snapshot_reads(struct qc_image *img, const char *name, uint64_t off, size_t len,
			   uint8_t byte)
{
	struct qc_snapshots list;
	const struct qc_snapshot *s = find(img, name, &list);
	struct qc_image *v;
	struct qc_reason why;
	bool ok = s && !qc_snapshot_open(img, s, QC_PART_DISK, &v, &why);

	if (ok) {
		ok = reads_byte(v, off, len, byte);
		qc_close(v);
	}
	qc_snapshots_free(&list);
	return ok;
}

static bool listed(const char *words)
{
	return !try_sh("qemu-img snapshot -U -l image | tail -n +3 | awk '{ print $2 }' | xargs echo >list &&"
		       " test \"$(cat list)\" = '%s' || { sed 's/^/# /' list; false; }", words);
}

/* ---- content of snapshots -------------------------------------------------- */

static void what_was_written_before_is_in_it(void)
{
	for (size_t i = 0; i < COUNT(variants); i++) {
		int failed = tap_failed;
		struct qc_image *img = fresh(variants[i], "8M");

		CHECK(!fill(img, 0, 3 * M, 1) && !take(img, "one"));
		CHECK(!fill(img, 512, M, 2) && !qc_discard(img, 2 * M, M) && !take(img, "two"));
		CHECK(!fill(img, 0, 8 * M, 3));
		CHECK(snapshot_reads(img, "one", 0, 3 * M, 1));
		CHECK(snapshot_reads(img, "one", 3 * M, 5 * M, 0));
		CHECK(snapshot_reads(img, "two", 512, M, 2));
		CHECK(snapshot_reads(img, "two", 2 * M, M, 0));
		CHECK(reads_byte(img, 0, 8 * M, 3));
		qc_close(img);
		CHECK(is_sound("image") && listed("one two"));
		sh("cp image copy && qemu-img snapshot -a one copy && qemu-img convert -O raw copy c.raw"
		   " && qemu-img convert -l one -O raw image o.raw && cmp c.raw o.raw"
		   " && qemu-img check -q copy && qemu-img snapshot -d two copy && qemu-img check -q copy");
		if (tap_failed > failed)
			printf("# with %s\n", variants[i]);
	}
}

static void deleting_gives_back_what_only_it_had(void)
{
	for (size_t i = 0; i < COUNT(variants); i++) {
		int failed = tap_failed;
		struct qc_image *img = fresh(variants[i], "8M");

		CHECK(!fill(img, 0, 3 * M, 1) && !take(img, "one") && !fill(img, M, M, 2));
		CHECK(!take(img, "two") && !fill(img, 2 * M, M, 3) && !take(img, "three"));
		CHECK(!drop(img, "two"));
		CHECK(is_sound("image"));
		CHECK(snapshot_reads(img, "one", 0, 3 * M, 1));
		CHECK(snapshot_reads(img, "three", M, M, 2));
		CHECK(!drop(img, "one") && is_sound("image"));
		CHECK(!fill(img, 0, M, 4) && snapshot_reads(img, "three", 0, M, 1));
		CHECK(!drop(img, "three") && is_sound("image"));
		CHECK(reads_byte(img, 0, M, 4) && reads_byte(img, M, M, 2) &&
		      reads_byte(img, 2 * M, M, 3));
		CHECK(!fill(img, 0, 8 * M, 5) && reads_byte(img, 0, 8 * M, 5));
		qc_close(img);
		CHECK(is_sound("image") && listed(""));
		if (tap_failed > failed)
			printf("# with %s\n", variants[i]);
	}
}

/* Those share L2 tables with the live disk, which ours do not. */
static void snapshots_of_qemu_are_deleted(void)
{
	for (size_t i = 0; i < COUNT(variants); i++) {
		int failed = tap_failed;
		struct qc_image *img;

		sh("rm -f image && qemu-img create -q -f qcow2 -o %s image 8M &&"
		   " qemu-io -t unsafe -c 'write -P 1 0 5M' -c 'write -z 1M 1M' image >/dev/null &&"
		   " qemu-img snapshot -c a image && qemu-img snapshot -c b image &&"
		   " qemu-io -t unsafe -c 'write -P 2 3M 70k' image >/dev/null && qemu-img snapshot -c c image",
		   variants[i]);
		img = image_write(ctx, "image");
		CHECK(!drop(img, "b") && is_sound("image"));
		CHECK(!take(img, "d") && !fill(img, 0, M, 3) && !drop(img, "a") && is_sound("image"));
		CHECK(snapshot_reads(img, "c", 3 * M, 70 * K, 2) && snapshot_reads(img, "d", 0, M, 1));
		CHECK(!drop(img, "c") && !drop(img, "d") && is_sound("image"));
		CHECK(reads_byte(img, 0, M, 3) && reads_byte(img, 3 * M, 70 * K, 2));
		qc_close(img);
		CHECK(is_sound("image"));
		if (tap_failed > failed)
			printf("# with %s\n", variants[i]);
	}
}

static void compressed_clusters_are_shared_too(void)
{
	struct qc_image *img;

	sh("rm -f image && qemu-img create -q -f raw r.raw 4M && qemu-io -f raw -c 'write -P 7 0 4M' r.raw >/dev/null"
	   " && qemu-img convert -c -f raw -O qcow2 r.raw image");
	img = image_write(ctx, "image");
	CHECK(!take(img, "one") && is_sound("image") && !fill(img, 0, 2 * M, 1) && !take(img, "two"));
	CHECK(snapshot_reads(img, "one", 0, 4 * M, 7) && is_sound("image"));
	CHECK(!drop(img, "one") && is_sound("image") && snapshot_reads(img, "two", 2 * M, 2 * M, 7));
	CHECK(!drop(img, "two") && reads_byte(img, 2 * M, 2 * M, 7));
	qc_close(img);
	CHECK(is_sound("image"));
}

static void vm_state_stays_with_the_snapshot(void)
{
	struct qc_image *img;

	sh("rm -f image && qemu-img create -q -f qcow2 image 1G && qemu-io -t unsafe -f qcow2"
	   " -c 'write -P 7 512M 1M' -c 'write -P 1 0 64k' image >/dev/null");
	poke64("image", 24, 512 * M);
	img = image_write(ctx, "image");
	CHECK(!take(img, "one") && is_sound("image"));
	CHECK(!qc_resize(img, M * K) && reads_byte(img, 512 * M, M, 0));
	CHECK(!drop(img, "one"));
	qc_close(img);
	CHECK(is_sound("image"));
}

static void each_has_the_size_of_its_time(void)
{
	struct qc_image *img = fresh("compat=1.1", "1M");

	CHECK(!fill(img, 0, M, 1) && !take(img, "small") && !qc_resize(img, 5000 * M));
	CHECK(!fill(img, 4999 * M, M, 2) && !take(img, "large") && !qc_resize(img, 64 * K));
	CHECK(!take(img, "tiny"));
	CHECK(snapshot_reads(img, "small", 0, M, 1) && snapshot_reads(img, "large", 4999 * M, M, 2));
	CHECK(snapshot_reads(img, "tiny", 0, 64 * K, 1) && is_sound("image"));
	CHECK(!drop(img, "large") && !drop(img, "small") && is_sound("image"));
	qc_close(img);
	CHECK(is_sound("image"));
}

/* ---- names ------------------------------------------------------------------ */

static void renaming(void)
{
	struct qc_image *img = fresh("compat=1.1", "1M");
	char longest[300];

	memset(longest, 'x', sizeof(longest));
	CHECK(!fill(img, 0, M, 1) && !take(img, "a") && !take(img, "b"));
	CHECK(!name_anew(img, "a", "a-longer-name") && listed("a-longer-name b"));
	CHECK(!name_anew(img, "b", "c") && listed("a-longer-name c"));
	CHECK(name_anew(img, "c", "a-longer-name") == -EEXIST && name_anew(img, "x", "y") == -ENOENT);
	CHECK(name_anew(img, "c", "") == -EINVAL && take(img, "") == -EINVAL);
	CHECK(take(img, "c") == -EEXIST && qc_snapshot_take(img, "d\0e", 3) == -EINVAL);
	CHECK(qc_snapshot_take(img, longest, 256) == -ENAMETOOLONG);
	CHECK(!qc_snapshot_take(img, longest, 255));
	CHECK(snapshot_reads(img, "c", 0, M, 1) && is_sound("image"));
	qc_close(img);
	CHECK(is_sound("image"));
}

/* What QEMU or another program added to a row stays. */
static void unknown_extra_data_is_kept(void)
{
	struct qc_image *img;
	struct qc_snapshots list;
	uint64_t row;

	sh("rm -f image && qemu-img create -q -f qcow2 image 1M && qemu-img snapshot -c one image");
	row = peek64("image", 64);
	poke64("image", row + 56, 0x1122334455667788); /* icount */
	img = image_write(ctx, "image");
	CHECK(!take(img, "two") && !name_anew(img, "one", "uno"));
	CHECK(!qc_list_snapshots(img, &list) && list.n == 2 && list.at[0].icount == 0x1122334455667788);
	CHECK(list.at[1].icount == UINT64_MAX && !strcmp(list.at[1].id, "2"));
	qc_snapshots_free(&list);
	qc_close(img);
}

/* ---- refused changes -------------------------------------------------------- */

static void one_that_is_open_is_not_deleted(void)
{
	struct qc_image *img = fresh("compat=1.1", "1M"), *v;
	struct qc_snapshots list;
	struct qc_reason why;

	CHECK(!fill(img, 0, M, 1) && !take(img, "one") && find(img, "one", &list));
	CHECK(!qc_snapshot_open(img, &list.at[0], QC_PART_DISK, &v, &why));
	CHECK(drop(img, "one") == -EBUSY && name_anew(img, "one", "uno") == -EBUSY);
	CHECK(reads_byte(v, 0, M, 1));
	qc_close(v);
	CHECK(!name_anew(img, "one", "uno"));
	CHECK(qc_snapshot_delete(img, &list.at[0]) == -ENOENT && !drop(img, "uno"));
	CHECK(qc_snapshot_open(img, &list.at[0], QC_PART_DISK, &v, &why) == -ENOENT);
	qc_snapshots_free(&list);
	qc_close(img);
	CHECK(is_sound("image"));
}

static void counts_that_cannot_be_raised(void)
{
	struct qc_image *img = fresh("compat=1.1,refcount_bits=1", "1M");

	CHECK(!take(img, "empty")); /* nothing is shared yet */
	CHECK(!fill(img, 0, M, 1) && take(img, "one") == -EMLINK && is_sound("image"));
	CHECK(!fill(img, 0, M, 2) && listed("empty"));
	qc_close(img);
	CHECK(is_sound("image"));
	img = fresh("compat=1.1,refcount_bits=2", "1M");
	CHECK(!fill(img, 0, M, 1) && !take(img, "one") && !take(img, "two"));
	CHECK(take(img, "three") == -EMLINK && is_sound("image"));
	CHECK(snapshot_reads(img, "two", 0, M, 1) && !fill(img, 0, M, 2) && listed("one two"));
	qc_close(img);
	CHECK(is_sound("image"));
}

static void formats_without_snapshots(void)
{
	struct qc_config any = { .refs = QC_REFS_ANY };
	struct qc_context *all = context_of(&any);
	struct qc_image *img;

	sh("rm -f image data && qemu-img create -q -f qcow image 1M");
	img = image_write(ctx, "image");
	CHECK(take(img, "one") == -EOPNOTSUPP);
	qc_close(img);
	sh("rm image && qemu-img create -q -f qcow2 -o data_file=data image 1M");
	img = image_write(all, "image");
	CHECK(take(img, "one") == -EOPNOTSUPP);
	qc_close(img);
	context_end(all);
	img = fresh("compat=1.1", "1M");
	qc_close(img);
	img = image_open(ctx, "image");
	CHECK(take(img, "one") == -EROFS);
	qc_close(img);
}

static void damaged_tables_change_nothing(void)
{
	struct qc_image *img = fresh("compat=1.1", "1M");
	struct qc_reason why;
	uint64_t l2;

	CHECK(!fill(img, 0, M, 1) && !take(img, "one") && !fill(img, 0, M, 2));
	qc_close(img);
	sh("cp image good");
	l2 = peek64("image", peek64("image", 40)) & UINT64_C(0xfffffffffffe00);
	poke64("image", l2, 0x8000000000000123);
	sh("cp image before");
	img = image_write(ctx, "image");
	CHECK(take(img, "two") == -EIO);
	qc_close(img);
	sh("cmp -n $(stat -c %%s before) before image");
	poke64("good", peek64("good", 64), 0x1234000); /* the L1 table of the snapshot */
	sh("cp good image");
	CHECK(image_try(ctx, "image", QC_OPEN_WRITE, &img, &why) == -EROFS);
	CHECK(strstr(why.text, "the snapshot table is damaged"));
	img = image_open(ctx, "image");
	CHECK(reads_byte(img, 0, M, 2));
	qc_close(img);
}

int main(void)
{
	begin();
	ctx = context_new(NULL);
	RUN(what_was_written_before_is_in_it);
	RUN(deleting_gives_back_what_only_it_had);
	RUN(snapshots_of_qemu_are_deleted);
	RUN(compressed_clusters_are_shared_too);
	RUN(vm_state_stays_with_the_snapshot);
	RUN(each_has_the_size_of_its_time);
	RUN(renaming);
	RUN(unknown_extra_data_is_kept);
	RUN(one_that_is_open_is_not_deleted);
	RUN(counts_that_cannot_be_raised);
	RUN(formats_without_snapshots);
	RUN(damaged_tables_change_nothing);
	context_end(ctx);
	return DONE();
}
