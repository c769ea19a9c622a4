/* SPDX-License-Identifier: MIT */
#include "make.h"

#define SECRET "--object secret,id=s,data=letmein "

static struct logbook book = LOGBOOK;
static struct qc_context *ctx;

static bool make(const char *name, const char *options)
{
	return !try_sh("qemu-img create -q " SECRET "%s,encrypt.key-secret=s %s 1M 2>/dev/null"
		       " && qemu-io -t unsafe " SECRET "-c 'write -P 7 0 128k' --image-opts"
		       " driver=%s,encrypt.key-secret=s,file.filename=%s >/dev/null",
		       options, name, strstr(options, "-f qcow2") ? "qcow2" : "qcow", name);
}

/* Only its header: qemu-img would take seconds to derive a key. */
static void make_luks(void)
{
	static const uint8_t ext[32] = { 0x05, 0x37, 0xbe, 0x77, 0, 0, 0, 16 };

	sh("qemu-img create -q -f qcow2 luks 1M"
	   " && qemu-io -t unsafe -c 'write 0 128k' luks >/dev/null");
	poke("luks", 32, "\0\0\0\2", 4);
	poke("luks", 112, ext, sizeof(ext));
}

static void encrypted_images(void)
{
	CHECK(make("aes", "-f qcow2 -o encrypt.format=aes"));
	make_luks();
	CHECK(make("old", "-f qcow -o encrypt.format=aes"));
	CHECK(image_refused(ctx, "aes", -EACCES, QC_CAUSE_KEY, "encrypted (AES)"));
	CHECK(image_refused(ctx, "luks", -EACCES, QC_CAUSE_KEY, "encrypted (LUKS)"));
	CHECK(image_refused(ctx, "old", -EACCES, QC_CAUSE_KEY, "encrypted (AES)"));
	CHECK(counters(ctx).layers_open == 0);
}

static void plain_overlay_on(const char *base, const char *format)
{
	sh("rm -f top && qemu-img create -q -f qcow2 top 1M"
	   " && qemu-io -t unsafe -c 'write -P 3 0 64k' top >/dev/null"
	   " && qemu-img rebase -u -f qcow2 -b %s -F %s top", base, format);
}

/* What lies only in the base cannot be read; the rest can. */
static void an_encrypted_base(void)
{
	static const char *const bases[][2] = {
		{ "aes", "qcow2" }, { "luks", "qcow2" }, { "old", "qcow" },
	};

	for (size_t i = 0; i < COUNT(bases); i++) {
		struct qc_image *img;
		struct qc_extent e;

		plain_overlay_on(bases[i][0], bases[i][1]);
		logbook_clear(&book);
		img = image_open(ctx, "top");
		CHECK(logged(&book, "is encrypted") && logged(&book, bases[i][0]));
		CHECK(book.lines == 1);
		CHECK(reads_byte(img, 0, 64 * K, 3));
		CHECK(read_error(img, 64 * K, 512) == -EACCES);
		CHECK(read_error(img, 64 * K - 1, 2) == -EACCES);
		CHECK(logged(&book, "guest offset 0x10000 is encrypted"));
		CHECK(reads_byte(img, 128 * K, M - 128 * K, 0));
		CHECK(!qc_extent(img, 0, &e) && e.data && e.len == 128 * K);
		qc_close(img);
	}
}

static void an_encrypted_overlay(void)
{
	sh("qemu-img create -q -f qcow2 base 1M"
	   " && qemu-img create -q -f qcow2 -b base -F qcow2 on-base");
	poke("on-base", 32, "\0\0\0\1", 4);
	CHECK(image_refused(ctx, "on-base", -EACCES, QC_CAUSE_KEY, "encrypted"));
	CHECK(counters(ctx).layers_open == 0);
}

int main(void)
{
	begin();
	ctx = context_new(&book);
	RUN(encrypted_images);
	RUN(an_encrypted_base);
	RUN(an_encrypted_overlay);
	context_end(ctx);
	return DONE();
}
