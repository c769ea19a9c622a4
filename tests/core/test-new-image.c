/* SPDX-License-Identifier: MIT */
/* Overlays that are made here, and images that are opened through them. */
#include <libgen.h> /* before string.h, whose basename() stays as it is */

#include "write.h"

static void create(const char *path, uint64_t size, const char *backing, const char *format)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && !qc_create_overlay(fd, size, backing, format));
	close(fd);
}

/* Through an overlay that needs no name. */
static qc_err try_over(struct qc_context *ctx, const char *overlay, const char *path,
		       unsigned int flags, struct qc_image **out, struct qc_reason *why)
{
	char dir[500], name[500], here[500];
	struct qc_image_location over = { .dir = here, .name = overlay }, src;
	qc_err r;

	snprintf(dir, sizeof(dir), "%s", path);
	snprintf(name, sizeof(name), "%s", path);
	src.dir = dirname(dir);
	src.name = basename(name);
	if (!getcwd(here, sizeof(here)))
		fatal("getcwd");
	over.fd = open(overlay, O_RDONLY | O_CLOEXEC);
	over.dirfd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	src.fd = open(path, O_RDONLY | O_CLOEXEC);
	src.dirfd = open(src.dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = qc_open_over(ctx, &over, &src, flags, out, why);
	if (r)
		printf("# %s: %s\n", path, why->text);
	close(over.fd);
	close(over.dirfd);
	close(src.fd);
	close(src.dirfd);
	return r;
}

static struct qc_context *context(enum qc_refs refs)
{
	struct qc_config config = { .refs = refs };
	struct qc_context *ctx;

	if (qc_context_new(&config, &ctx))
		exit(1);
	return ctx;
}

static void qemu_takes_what_we_make(void)
{
	static const char *const sizes[] = { "0", "512", "1000", "1M", "512M", "600M", "1T", "64T",
					     "300T" };

	for (size_t i = 0; i < COUNT(sizes); i++) {
		char path[400];
		struct qc_context *ctx = context(QC_REFS_NONE);
		struct qc_image *img = NULL;
		struct qc_reason why = { 0 };
		uint64_t size;

		sh("rm -f base over; qemu-img create -q -f qcow2 base %s", sizes[i]);
		snprintf(path, sizeof(path), "%s/base", tempdir);
		CHECK(!image_try(ctx, "base", 0, &img, &why));
		size = qc_size(img);
		qc_close(img);
		create("over", size, path, "qcow2");
		CHECK(is_sound("over"));
		sh("qemu-img info over >info && grep -q \"backing file: $PWD/base\\$\" info"
		   " && grep -q 'backing file format: qcow2' info"
		   " && grep -q '(%llu bytes)' info", (unsigned long long)size);
		CHECK(!try_over(ctx, "over", "base", QC_OPEN_WRITE, &img, &why));
		CHECK(qc_size(img) == size);
		if (size)
			CHECK(!fill(img, size - 512, 512, 7));
		qc_close(img);
		CHECK(is_sound("over"));
		if (size)
			sh("qemu-io -c 'read -P 7 %llu 512' over >/dev/null",
			   (unsigned long long)size - 512);
		qc_context_free(ctx);
	}
}

/* The overlay is in another folder; the rule for names in the image itself still
 * holds. */
static void only_our_own_reference_is_trusted(void)
{
	struct qc_context *ctx = context(QC_REFS_SAMEDIR), *none = context(QC_REFS_NONE);
	struct qc_image *img = NULL;
	struct qc_reason why = { 0 };

	sh("mkdir -p there && qemu-img create -q -f qcow2 there/base 1M"
	   " && qemu-io -c 'write -P 1 0 64k' there/base >/dev/null"
	   " && qemu-img create -q -f qcow2 -b base -F qcow2 there/top"
	   " && qemu-img create -q -f qcow2 outside 1M"
	   " && qemu-img create -q -f qcow2 -b ../outside -F qcow2 there/bad && rm -f over");
	create("over", M, "/nowhere/at/all", "qcow2");
	CHECK(!try_over(ctx, "over", "there/top", QC_OPEN_WRITE, &img, &why));
	CHECK(qc_depth(img) == 3);
	CHECK(!fill(img, 4096, 512, 9));
	qc_close(img);
	sh("qemu-img rebase -u -b there/top -F qcow2 over"
	   " && qemu-io -c 'read -P 1 0 4k' -c 'read -P 9 4k 512' -c 'read -P 1 4608 60928' over >out"
	   " && ! grep -q -i fail out");
	CHECK(try_over(ctx, "over", "there/bad", 0, &img, &why) == -EACCES);
	CHECK(strstr(why.text, "outside of the image's folder"));
	CHECK(try_over(none, "over", "there/top", 0, &img, &why) == -EACCES);
	CHECK(!try_over(none, "over", "there/base", 0, &img, &why));
	qc_close(img);
	qc_context_free(ctx);
	qc_context_free(none);
}

/* An image is read through an overlay, and written itself, never both. */
static void the_image_itself_is_only_read(void)
{
	struct qc_context *ctx = context(QC_REFS_SAMEDIR);
	struct qc_image *img = NULL, *other = NULL;
	struct qc_reason why = { 0 };
	size_t size, now;
	uint8_t *before, *after;

	sh("rm -f over base && qemu-img create -q -f qcow2 base 1M");
	before = slurp("base", &size);
	create("over", M, "base", "qcow2");
	CHECK(!try_over(ctx, "over", "base", QC_OPEN_WRITE, &img, &why));
	CHECK(image_try(ctx, "base", QC_OPEN_WRITE, &other, &why) == -EBUSY);
	CHECK(!image_try(ctx, "base", 0, &other, &why));
	qc_close(other);
	CHECK(try_sh("qemu-io -c 'write 0 512' over >/dev/null 2>&1"));
	CHECK(try_sh("qemu-io -c 'write 0 512' base >/dev/null 2>&1"));
	CHECK(!try_sh("qemu-io -r -c 'read 0 512' base >/dev/null 2>&1"));
	CHECK(!qc_resize(img, 2 * M) && !fill(img, M, M, 5));
	qc_close(img);
	after = slurp("base", &now);
	CHECK(now == size && !memcmp(before, after, size));
	CHECK(is_sound("over"));
	sh("qemu-io -c 'read -P 0 0 1M' -c 'read -P 5 1M 1M' over >out && ! grep -q -i fail out");
	free(before);
	free(after);
	qc_context_free(ctx);
}

static void what_cannot_be_an_overlay(void)
{
	struct qc_context *ctx = context(QC_REFS_SAMEDIR);
	struct qc_backing_info says;
	struct qc_image *img = NULL;
	struct qc_reason why = { 0 };
	int fd;

	sh("rm -f over base && qemu-img create -q -f qcow2 base 1M && echo text >text"
	   " && qemu-img create -q -f qcow2 -b base -F qcow2 over");
	CHECK(try_over(ctx, "base", "base", QC_OPEN_WRITE, &img, &why) == -ELOOP);
	CHECK(try_over(ctx, "text", "base", 0, &img, &why) == -EMEDIUMTYPE);
	CHECK(strstr(why.text, "overlay ") && strstr(why.text, "/text: "));
	CHECK(try_over(ctx, "over", "text", 0, &img, &why) == -EMEDIUMTYPE);
	CHECK(!strstr(why.text, "overlay "));
	fd = open("over", O_RDONLY | O_CLOEXEC);
	CHECK(!qc_read_backing_info(fd, &says, &why));
	CHECK(!strcmp(says.backing, "base") && !strcmp(says.format, "qcow2"));
	close(fd);
	fd = open("text", O_RDONLY | O_CLOEXEC);
	CHECK(qc_read_backing_info(fd, &says, &why) == -EMEDIUMTYPE);
	CHECK(qc_create_overlay(fd, M, "base", "qcow2") < 0); /* open for reading */
	close(fd);
	qc_context_free(ctx);
}

int main(void)
{
	begin();
	RUN(qemu_takes_what_we_make);
	RUN(only_our_own_reference_is_trusted);
	RUN(the_image_itself_is_only_read);
	RUN(what_cannot_be_an_overlay);
	return DONE();
}
