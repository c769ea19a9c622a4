/* SPDX-License-Identifier: MIT */
/* A look at an image for a listing takes no lock, and reads no data. */
#include "make.h"

static struct qc_context *ctx;

static bool any_lock_on(const char *path)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(path, O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0 && !fcntl(fd, F_OFD_GETLK, &l));
	close(fd);
	return l.l_type != F_UNLCK;
}

static struct qc_image *peek_at(const char *path)
{
	struct qc_image *img = NULL;
	struct qc_reason why;

	if (image_try(ctx, path, QC_OPEN_HEADERS_ONLY, &img, &why)) {
		printf("# %s: %s\n", path, why.text);
		exit(1);
	}
	return img;
}

static void facts_of_the_chain(void)
{
	struct qc_image *img;

	sh("qemu-img create -q -f qcow2 base 2M"
	   " && qemu-io -t unsafe -c 'write -P 1 0 2M' base >/dev/null");
	sh("qemu-img create -q -f qcow2 -o cluster_size=4k -b base -F qcow2 top 3M");
	img = peek_at("top");
	CHECK(qc_size(img) == 3 * M && qc_depth(img) == 2 && qc_cluster_size(img) == 4096);
	CHECK(!any_lock_on("top") && !any_lock_on("base"));
	qc_close(img);
	img = image_open(ctx, "top"); /* which is not so for others */
	CHECK(any_lock_on("top") && any_lock_on("base"));
	qc_close(img);
	CHECK(!any_lock_on("top") && !any_lock_on("base"));
}

static void nothing_is_read(void)
{
	struct qc_image *img = peek_at("top");
	struct qc_extent e;
	char c;

	CHECK(qc_read(img, 0, &c, 1) == -EINVAL);
	CHECK(qc_read(img, 0, &c, 0) == -EINVAL);
	CHECK(qc_block_status(img, 0, &e) == -EINVAL);
	CHECK(counters(ctx).table_loads == 0 && counters(ctx).table_bytes == 0);
	CHECK(counters(ctx).layers_open == 0 && counters(ctx).layers_opened == 0);
	qc_close(img);
}

static void peeking_does_not_touch_what_is_open(void)
{
	struct qc_image *img = image_open(ctx, "top"), *look = peek_at("top");

	qc_close(look);
	CHECK(any_lock_on("top") && any_lock_on("base"));
	CHECK(reads_byte(img, 0, 2 * M, 1));
	look = peek_at("top");
	qc_close(img);
	CHECK(qc_size(look) == 3 * M);
	qc_close(look);
}

static void a_locked_image(void)
{
	struct flock l = {
		.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 101, .l_len = 1
	};
	int fd = open("top", O_RDWR | O_CLOEXEC);

	CHECK(!fcntl(fd, F_OFD_SETLK, &l));
	qc_close(peek_at("top"));
	CHECK(image_refused(ctx, "top", -EBUSY, QC_CAUSE_LOCKED, "locked"));
	close(fd);
}

static void refusals(void)
{
	struct qc_image *img = NULL;
	struct qc_reason why;

	sh("qemu-img create -q -f qcow2 -u -b nothing -F qcow2 on-nothing 1M"
	   " && echo text >text");
	CHECK(image_try(ctx, "on-nothing", QC_OPEN_HEADERS_ONLY, &img, &why) == -ENOENT);
	CHECK(strstr(why.text, "'nothing'"));
	CHECK(image_try(ctx, "text", QC_OPEN_HEADERS_ONLY, &img, &why) == -EMEDIUMTYPE);
}

static void stamps_are_those_of_an_open_image(void)
{
	struct qc_image *img = image_open(ctx, "top"), *look = peek_at("top");
	struct qc_fingerprint a, b;

	qc_get_fingerprint(img, &a);
	qc_get_fingerprint(look, &b);
	CHECK(a.content == b.content && a.exact == b.exact);
	qc_close(look);
	qc_close(img);
}

static void is_it_an_image(void)
{
	int fd = open("top", O_RDONLY | O_CLOEXEC);

	CHECK(qc_is_image(fd));
	close(fd);
	fd = open("text", O_RDONLY | O_CLOEXEC);
	CHECK(!qc_is_image(fd));
	close(fd);
	CHECK(!qc_is_image(-1));
	fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(!qc_is_image(fd));
	close(fd);
}

int main(void)
{
	begin();
	ctx = context_new(NULL);
	RUN(facts_of_the_chain);
	qc_context_free(ctx);
	ctx = context_new(NULL);
	RUN(nothing_is_read);
	RUN(peeking_does_not_touch_what_is_open);
	RUN(a_locked_image);
	RUN(refusals);
	RUN(stamps_are_those_of_an_open_image);
	RUN(is_it_an_image);
	context_end(ctx);
	return DONE();
}
