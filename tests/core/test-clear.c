/* SPDX-License-Identifier: MIT */
/*
 * A disk that is cleared reads as zeros, whatever its format, and gives its space back.
 *
 * sanitize: address
 */
#include <time.h>

#include "write.h"

enum { SIZE = 3 * M + 512 };

static struct qc_context *ctx;

static qc_err give_key(void *arg, const char *path, unsigned int attempt, void *buf, size_t room,
		       size_t *len)
{
	(void)arg, (void)path, (void)room;
	if (attempt)
		return -ENOENT;
	*len = strlen("letmein");
	memcpy(buf, "letmein", *len);
	return 0;
}

static struct qc_context *context_with(bool keep)
{
	struct qc_config config = { .refs = QC_REFS_ANY, .key = give_key, .keep_discarded = keep };

	return context_of(&config);
}

/* ---- layouts ---------------------------------------------------------------- */

struct layout {
	const char *name, *create; /* options of qemu-img create */
	bool backing, snapshots, gives_back;
};

#define LUKS "encrypt.format=luks,encrypt.iter-time=10,encrypt.key-secret=s"

static const struct layout layouts[] = {
	{ "v1", "-f qcow", true, false, false },
	{ "v1-aes", "-f qcow -o encrypt.format=aes,encrypt.key-secret=s", false, false, false },
	{ "v2", "-f qcow2 -o compat=0.10,cluster_size=4k", true, true, true },
	{ "v3", "-f qcow2 -o cluster_size=4k", true, true, true },
	{ "v3-64k", "-f qcow2", true, true, true },
	{ "extended", "-f qcow2 -o extended_l2=on,cluster_size=16k", true, true, true },
	{ "luks", "-f qcow2 -o cluster_size=4k," LUKS, false, true, true },
	{ "data", "-f qcow2 -o cluster_size=4k,data_file=data.raw", true, false, true },
	{ "raw-data", "-f qcow2 -o data_file=data.raw,data_file_raw=on", false, false, true },
	{ "luks-data", "-f qcow2 -o data_file=data.raw," LUKS, false, false, true },
};

static bool is_qcow2(const struct layout *t)
{
	return strstr(t->create, "-f qcow2");
}

/* What qemu-io is to open. */
static const char *options_of(const struct layout *t)
{
	static char text[200];

	snprintf(text, sizeof(text), "driver=%s,%sfile.filename=image", is_qcow2(t) ? "qcow2" : "qcow",
		 strstr(t->create, "secret") ? "encrypt.key-secret=s," : "");
	return text;
}

/* Data of all kinds: in place, compressed, zeros, and the rest of the last cluster. */
static void make(const struct layout *t, const char *base)
{
	bool plain = !strstr(t->create, "secret") && !strstr(t->create, "data");

	sh("rm -f image data.raw && qemu-img create -q --object secret,id=s,data=letmein %s%s image %d"
	   " && qemu-io -t unsafe --object secret,id=s,data=letmein -c 'write -P 1 100k 300k'"
	   " -c 'write -P 2 1M 64k' -c 'write -P 3 2M 1049088' %s --image-opts %s >/dev/null",
	   t->create, base, SIZE,
	   !plain ? "" : is_qcow2(t) ? "-c 'write -c -P 4 512k 64k'" :
	   *base ? "-c 'write -c -P 4 512k 512'" : "-c 'write -c -P 4 512k 4k'", options_of(t));
}

/* ---- tests ------------------------------------------------------------------- */

/* Returns true if QEMU finds zeros from the begin to the end. */
static bool qemu_reads_zeros(const struct layout *t)
{
	return !try_sh("qemu-io -r -U --object secret,id=s,data=letmein -c 'read -P 0 0 %d'"
		       " --image-opts %s >out 2>&1 && ! grep -iE 'fail|error' out", SIZE,
		       options_of(t));
}

/* Returns true if QEMU finds neither damage nor a leak. */
static bool has_no_leak(const struct layout *t)
{
	return !try_sh("qemu-img check -U --object secret,id=s,data=letmein --image-opts %s >out 2>&1"
		       " || { head -20 out; false; }", options_of(t));
}

static uint64_t space_of_files(void)
{
	struct stat st;
	uint64_t n = 0;

	if (!stat("image", &st))
		n += (uint64_t)st.st_blocks * 512;
	if (!stat("data.raw", &st))
		n += (uint64_t)st.st_blocks * 512;
	return n;
}

/* Clears the image, writes to it again, and looks at it each time. */
static bool is_cleared(const struct layout *t, bool keep)
{
	struct qc_context *mine = context_with(keep);
	struct qc_image *img = image_write(mine, "image");
	bool so = reads_byte(img, 2 * M, 64 * K, 3);

	so &= !qc_clear(img) && qc_size(img) == SIZE && reads_byte(img, 0, SIZE, 0);
	so &= !fill(img, 70 * K, 10 * K, 7) && reads_byte(img, 0, 70 * K, 0) &&
	      reads_byte(img, 70 * K, 10 * K, 7) && reads_byte(img, 80 * K, SIZE - 80 * K, 0);
	so &= !qc_clear(img) && !qc_clear(img) && reads_byte(img, 0, SIZE, 0);
	qc_close(img);
	context_end(mine);
	return so && qemu_reads_zeros(t) && (!is_qcow2(t) || has_no_leak(t));
}

static void every_layout(void)
{
	for (size_t i = 0; i < COUNT(layouts); i++) {
		const struct layout *t = &layouts[i];

		/* (QEMU takes long to open LUKS.) */
		for (int n = 0; n < (t->backing ? 6 : strstr(t->create, "luks") ? 1 : 2); n++) {
			static const char *const bases[] = { "", " -b base.raw -F raw",
							     " -b base.qcow2 -F qcow2" };
			bool keep = n & 1, so;
			uint64_t before;

			make(t, bases[n / 2]);
			before = space_of_files();
			so = is_cleared(t, keep);
			if (t->gives_back && !keep && n < 2)
				so &= space_of_files() < before - M;
			if (!so)
				printf("# %s%s%s\n", t->name, bases[n / 2], keep ? ", kept" : "");
			CHECK(so);
		}
	}
}

/* A snapshot keeps its bytes, and all clusters are counted right. */
static void with_a_snapshot(void)
{
	for (size_t i = 0; i < COUNT(layouts); i++) {
		const struct layout *t = &layouts[i];
		bool so;

		if (!t->snapshots || strstr(t->create, "secret"))
			continue;
		make(t, "");
		sh("qemu-img snapshot -c one image && qemu-img convert -l one -O raw image before.raw"
		   " && qemu-io -f qcow2 -c 'write -P 8 1M 100k' image >/dev/null");
		so = is_cleared(t, false) &&
		     !try_sh("qemu-img convert -l one -O raw image after.raw && cmp before.raw after.raw");
		if (!so)
			printf("# %s\n", t->name);
		CHECK(so);
	}
}

/* A table that was used before is used again, and the file does not grow. */
static void again_and_again(void)
{
	struct qc_image *img;
	struct stat first, last;

	for (size_t i = 0; i < COUNT(layouts); i++) {
		make(&layouts[i], "");
		img = image_write(ctx, "image");
		for (int n = 0; n < 8; n++) {
			CHECK(!qc_clear(img) && !fill(img, 0, 3 * M, (uint8_t)(n + 1)) && !qc_flush(img));
			if (n == 2)
				CHECK(!stat("image", &first));
		}
		CHECK(reads_byte(img, 0, 3 * M, 8));
		CHECK(!stat("image", &last) && last.st_size <= first.st_size);
		qc_close(img);
	}
}

/* That processors worked for this process: a busy machine takes no more of them. */
static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Work for each table that there is, not for each byte.  It takes a tenth of a second. */
static void a_huge_sparse_disk(void)
{
	static const char *const options[] = { "", " -b below.qcow2 -F qcow2" };

	sh("qemu-img create -q -f qcow2 below.qcow2 64T && qemu-io -t unsafe -f qcow2"
	   " -c 'write -P 6 32T 64k' below.qcow2 >/dev/null");
	for (int backed = 0; backed < 2; backed++) {
		for (int keep = 0; keep < 2; keep++) {
			struct qc_context *mine = context_with(keep);
			double start = seconds();
			struct qc_image *img;

			sh("rm -f image && qemu-img create -q -f qcow2%s image 64T && qemu-io -t unsafe"
			   " -f qcow2 -c 'write -P 1 0 64k' -c 'write -P 2 60T 64k' image >/dev/null",
			   options[backed]);
			img = image_write(mine, "image");
			CHECK(!qc_clear(img) && seconds() - start < 20);
			CHECK(reads_byte(img, 0, 64 * K, 0));
			CHECK(reads_byte(img, UINT64_C(60) << 40, 64 * K, 0));
			CHECK(reads_byte(img, UINT64_C(32) << 40, 64 * K, 0));
			qc_close(img);
			context_end(mine);
			CHECK(is_sound("image"));
		}
	}
}

static void refusals(void)
{
	struct qc_image *img;

	sh("rm -f image && qemu-img create -q -f qcow2 image 0");
	img = image_open(ctx, "image");
	CHECK(qc_clear(img) == -EROFS);
	qc_close(img);
	img = image_write(ctx, "image");
	CHECK(!qc_clear(img));
	qc_close(img);
}

/* Nothing is lost that another table of the same disk has. */
static void a_damaged_table(void)
{
	struct qc_image *img;

	make(&layouts[3], "");
	poke64("image", l1_at("image"), (UINT64_C(1) << 63) | 0x200);
	img = image_write(ctx, "image");
	CHECK(qc_clear(img) == -EIO && reads_byte(img, 2 * M, 64 * K, 3));
	CHECK(fill(img, 2 * M, 512, 1) == -EIO);
	qc_close(img);
}

int main(void)
{
	begin();
	ctx = context_with(false);
	sh("yes below | head -c %d >base.raw && qemu-img convert -c -O qcow2 base.raw base.qcow2", SIZE);
	RUN(every_layout);
	RUN(with_a_snapshot);
	RUN(again_and_again);
	RUN(a_huge_sparse_disk);
	RUN(refusals);
	RUN(a_damaged_table);
	context_end(ctx);
	return DONE();
}
