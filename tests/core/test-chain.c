/* SPDX-License-Identifier: MIT */
/* Images that name other files, and refused names. */
#include "make.h"

static struct qc_context *ctx;

/* ---- long chains ------------------------------------------------------------ */

enum { CLUSTER = 4096, LINKS = 256 };

/*
 * One overlay made by qemu-img serves as the mould of all: number i names
 * i - 1, and holds only the cluster i, filled with i.
 */
static void make_long_chain(void)
{
	uint64_t entry, host;
	size_t size;
	uint8_t *mould, *name = NULL;
	char path[40];

	sh("qemu-img create -q -f qcow2 -o cluster_size=4k link-0000 1280k"
	   " && qemu-io -t unsafe -f qcow2 -c 'write -P 255 0 1280k' link-0000 >/dev/null");
	sh("qemu-img create -q -f qcow2 -o cluster_size=4k mould 1280k"
	   " && qemu-io -t unsafe -f qcow2 -c 'write 0 4k' mould >/dev/null"
	   " && qemu-img rebase -u -f qcow2 -b link-9999 -F qcow2 mould");
	entry = l2_at("mould", 0);
	host = peek64("mould", entry);
	mould = slurp("mould", &size);
	name = memmem(mould, CLUSTER, "link-9999", 9);
	if (!name)
		fatal("mould");
	for (unsigned int i = 1; i <= LINKS; i++) {
		char digits[5];

		snprintf(digits, sizeof(digits), "%04u", i - 1);
		memcpy(name + 5, digits, 4);
		memset(mould + (host & UINT64_C(0xfffffffffffe00)), (int)(i & 0xff), CLUSTER);
		snprintf(path, sizeof(path), "link-%04u", i);
		spill(path, mould, size);
		poke64(path, entry, 0);
		poke64(path, entry + 8 * i, host);
	}
	free(mould);
}

static void a_chain_of_200(void)
{
	struct qc_image *img = image_open(ctx, "link-0200");
	struct qc_extent e;

	CHECK(qc_depth(img) == 201);
	for (unsigned int i = 1; i <= 200; i++)
		CHECK(reads_byte(img, i * CLUSTER, CLUSTER, (uint8_t)i));
	CHECK(reads_byte(img, 0, CLUSTER, 255));
	CHECK(reads_byte(img, 201 * CLUSTER, 1280 * K - 201 * CLUSTER, 255));
	CHECK(!qc_block_status(img, 0, &e) && e.data && e.len == 1280 * K);
	CHECK(counters(ctx).layers_open == 201);
	qc_close(img);
	CHECK(counters(ctx).layers_open == 0);
}

static void the_longest_chain(void)
{
	struct qc_image *img = image_open(ctx, "link-0255");

	CHECK(qc_depth(img) == 256);
	CHECK(reads_byte(img, 0, CLUSTER, 255));
	qc_close(img);
	CHECK(image_refused(ctx, "link-0256", -ELOOP, QC_CAUSE_IMAGE, "longer than 256"));
	CHECK(counters(ctx).layers_open == 0);
}

/* ---- loops ------------------------------------------------------------------ */

static void loops(void)
{
	sh("qemu-img create -q -f qcow2 -u -b loop-b -F qcow2 loop-a 1M");
	sh("qemu-img create -q -f qcow2 -u -b loop-a -F qcow2 loop-b 1M");
	sh("qemu-img create -q -f qcow2 self 1M"
	   " && qemu-img rebase -u -f qcow2 -b self -F qcow2 self"
	   " && ln -s self self-link");
	sh("qemu-img create -q -f qcow2 self-raw 1M"
	   " && qemu-img rebase -u -f qcow2 -b self-raw -F raw self-raw");
	CHECK(image_refused(ctx, "loop-a", -ELOOP, QC_CAUSE_IMAGE, "loop"));
	CHECK(image_refused(ctx, "self", -ELOOP, QC_CAUSE_IMAGE, "loop"));
	CHECK(image_refused(ctx, "self-link", -ELOOP, QC_CAUSE_IMAGE, "loop"));
	CHECK(image_refused(ctx, "self-raw", -ELOOP, QC_CAUSE_IMAGE, "loop"));
}

/* ---- allowed backing files ----------------------------------------------------- */

static void overlay(const char *base, const char *format, const char *name)
{
	sh("qemu-img create -q -f qcow2 -u -b %s -F %s %s 1M", base, format, name);
}

/* Makes the extension that declares an unknown format. */
static void undeclare(const char *path)
{
	static const uint8_t magic[] = { 0xe2, 0x79, 0x2a, 0xca };
	size_t size;
	uint8_t *bytes = slurp(path, &size), *at = memmem(bytes, size, magic, 4);

	if (!at)
		fatal(path);
	poke(path, (uint64_t)(at - bytes), "\1\2\3\4", 4);
	free(bytes);
}

static void declared_formats(void)
{
	sh("qemu-img create -q -f qcow2 q2 1M && qemu-img create -q -f qcow q1 1M"
	   " && truncate -s 1M raw");
	overlay("q2", "qcow2", "on-q2");
	overlay("q1", "qcow", "on-q1");
	overlay("q2", "raw", "q2-as-raw"); /* its bytes, as they are */
	overlay("q1", "qcow2", "q1-as-q2");
	overlay("q2", "qcow", "q2-as-q1");
	overlay("raw", "qcow2", "raw-as-q2");
	overlay("raw", "vmdk", "raw-as-vmdk");
	qc_close(image_open(ctx, "on-q2"));
	qc_close(image_open(ctx, "on-q1"));
	qc_close(image_open(ctx, "q2-as-raw"));
	CHECK(image_refused(ctx, "q1-as-q2", -EINVAL, QC_CAUSE_IMAGE, "declared as qcow2"));
	CHECK(image_refused(ctx, "q2-as-q1", -EINVAL, QC_CAUSE_IMAGE, "declared as qcow,"));
	CHECK(image_refused(ctx, "raw-as-q2", -EMEDIUMTYPE, QC_CAUSE_IMAGE, "not a QCOW"));
	CHECK(image_refused(ctx, "raw-as-vmdk", -ENOTSUP, QC_CAUSE_IMAGE, "'vmdk'"));
}

static void one_file_as_image_and_as_raw_bytes(void)
{
	struct qc_image *a = image_open(ctx, "on-q2"), *b = image_open(ctx, "q2-as-raw");

	CHECK(reads_byte(a, 0, 4, 0));
	CHECK(reads_byte(b, 0, 1, 'Q'));
	CHECK(counters(ctx).layers_open == 4);
	qc_close(a);
	CHECK(reads_byte(b, 0, 1, 'Q'));
	qc_close(b);
}

static void undeclared_formats_are_looked_at(void)
{
	overlay("q2", "qcow2", "on-any-q2");
	undeclare("on-any-q2");
	overlay("raw", "raw", "on-any-raw");
	undeclare("on-any-raw");
	qc_close(image_open(ctx, "on-any-q2"));
	qc_close(image_open(ctx, "on-any-raw"));
	/* But an image whose format was only probed may name no file. */
	overlay("on-q2", "qcow2", "on-any-overlay");
	undeclare("on-any-overlay");
	CHECK(image_refused(ctx, "on-any-overlay", -EACCES, QC_CAUSE_IMAGE, "not declared"));
}

static void backing_any_trusts_guesses(void)
{
	struct qc_config config = { .refs = QC_REFS_ANY };
	struct qc_context *any = context_of(&config);

	qc_close(image_open(any, "on-any-overlay"));
	context_end(any);
}

/* ---- data files ------------------------------------------------------------- */

static void make_data_file_image(void)
{
	sh("qemu-img create -q -f qcow2 -o data_file=disk.data with-data 1M"
	   " && qemu-io -t unsafe -c 'write -P 5 0 1M' with-data >/dev/null");
	overlay("with-data", "qcow2", "on-data");
	overlay("with-data", "qcow2", "on-any-data");
	undeclare("on-any-data");
}

static void guessed_images_name_no_data_file(void)
{
	struct qc_image *img;

	make_data_file_image();
	img = image_open(ctx, "on-data");
	CHECK(reads_byte(img, 0, M, 5));
	qc_close(img);
	CHECK(image_refused(ctx, "on-any-data", -EACCES, QC_CAUSE_IMAGE, "data file"));
}

static void what_is_open_already_does_not_change_that(void)
{
	struct qc_image *img = image_open(ctx, "on-data");

	CHECK(image_refused(ctx, "on-any-data", -EACCES, QC_CAUSE_IMAGE, "data file"));
	qc_close(img);
}

/* A hard link is the same image, but its names start from another folder. */
static void one_image_in_two_folders(void)
{
	struct qc_image *a, *b;

	sh("mkdir A B && cd A && qemu-img create -q -f qcow2 -o data_file=disk img 64k"
	   " && qemu-io -t unsafe -c 'write -P 65 0 64k' img >/dev/null && ln img ../B/img"
	   " && tr A B <disk >../B/disk");
	a = image_open(ctx, "A/img");
	b = image_open(ctx, "B/img");
	CHECK(reads_byte(a, 0, 64 * K, 'A'));
	CHECK(reads_byte(b, 0, 64 * K, 'B'));
	qc_close(a);
	qc_close(b);
}

static void missing_files(void)
{
	overlay("nothing", "qcow2", "on-nothing");
	CHECK(image_refused(ctx, "on-nothing", -ENOENT, QC_CAUSE_IMAGE, "'nothing'"));
	overlay("on-nothing", "qcow2", "on-on-nothing");
	CHECK(image_refused(ctx, "on-on-nothing", -ENOENT, QC_CAUSE_IMAGE, "'nothing'"));
	overlay("../q2", "qcow2", "A/on-outside");
	CHECK(image_refused(ctx, "A/on-outside", -EACCES, QC_CAUSE_IMAGE, "backing=any"));
}

/* The reason says which file of the chain is at fault. */
static void the_right_one_is_blamed(void)
{
	struct qc_image *img = NULL;
	struct qc_reason why;

	CHECK(image_try(ctx, "on-nothing", 0, &img, &why) < 0);
	if (strstr(why.text, "backing file ") == why.text) {
		printf("# %s\n", why.text);
		CHECK(false && "the image itself is no backing file");
	}
	CHECK(image_try(ctx, "on-on-nothing", 0, &img, &why) < 0);
	CHECK(!strncmp(why.text, "backing file ", 13) && strstr(why.text, "/on-nothing: "));
	overlay("raw-as-q2", "qcow2", "deep-raw");
	CHECK(image_try(ctx, "deep-raw", 0, &img, &why) < 0);
	CHECK(!strncmp(why.text, "backing file ", 13) && strstr(why.text, "/raw: "));
}

/* ---- sharing ---------------------------------------------------------------- */

static void overlays_share_their_base(void)
{
	struct qc_context *own = context_new(NULL);
	struct qc_image *a, *b, *c;

	sh("qemu-img create -q -f qcow2 base 1M"
	   " && qemu-io -t unsafe -c 'write -P 3 0 1M' base >/dev/null");
	overlay("base", "qcow2", "over-a");
	overlay("base", "qcow2", "over-b");
	a = image_open(own, "over-a");
	CHECK(counters(own).layers_open == 2 && counters(own).layers_opened == 2);
	b = image_open(own, "over-b");
	CHECK(counters(own).layers_open == 3 && counters(own).layers_opened == 3);
	c = image_open(own, "base");
	CHECK(counters(own).layers_open == 3 && qc_depth(c) == 1);
	CHECK(reads_byte(a, 0, M, 3) && reads_byte(b, 0, M, 3) && reads_byte(c, 0, M, 3));
	/* An L1 slice of each, and one L2 slice of the base. */
	CHECK(counters(own).table_loads == 4);
	qc_close(a);
	CHECK(counters(own).layers_open == 2);
	CHECK(reads_byte(b, 0, M, 3));
	qc_close(c);
	qc_close(b);
	CHECK(counters(own).layers_open == 0 && counters(own).layers_opened == 3);
	qc_close(image_open(own, "over-a"));
	CHECK(counters(own).layers_opened == 5);
	context_end(own);
}

static void the_same_image_twice(void)
{
	struct qc_image *a = image_open(ctx, "over-a"), *b = image_open(ctx, "over-a");

	CHECK(a != b && counters(ctx).layers_open == 2);
	qc_close(a);
	CHECK(reads_byte(b, 0, M, 3));
	qc_close(b);
}

int main(void)
{
	begin();
	ctx = context_new(NULL);
	make_long_chain();
	RUN(a_chain_of_200);
	RUN(the_longest_chain);
	RUN(loops);
	RUN(declared_formats);
	RUN(one_file_as_image_and_as_raw_bytes);
	RUN(undeclared_formats_are_looked_at);
	RUN(backing_any_trusts_guesses);
	RUN(guessed_images_name_no_data_file);
	RUN(what_is_open_already_does_not_change_that);
	RUN(one_image_in_two_folders);
	RUN(missing_files);
	RUN(the_right_one_is_blamed);
	RUN(overlays_share_their_base);
	RUN(the_same_image_twice);
	context_end(ctx);
	return DONE();
}
