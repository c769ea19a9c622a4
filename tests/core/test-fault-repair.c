/* SPDX-License-Identifier: MIT */
/* A repair that ends after any of its writes has lost nothing, and can be done again. */
#include "io/file.h"
#include "write.h"

static struct logbook book = LOGBOOK;
static unsigned int writes_left;
static const struct qc_file_ops *real_ops;

static qc_err write_while_allowed(struct qc_file *f, uint64_t off, const void *buf, size_t len)
{
	if (!writes_left)
		return -EIO;
	writes_left--;
	return real_ops->write(f, off, buf, len);
}

static const struct qc_file_ops *interpose(const struct qc_file_ops *real)
{
	static struct qc_file_ops ops;

	real_ops = real;
	ops = *real;
	ops.write = write_while_allowed;
	return &ops;
}

static void count_low(void *arg, const struct qc_finding *f)
{
	*(unsigned int *)arg += f->kind == QC_FINDING_REFCOUNT_LOW;
}

static qc_err run_check(unsigned int flags, struct qc_check_result *out, unsigned int *low)
{
	struct qc_config config = { .log = logbook_fn, .log_arg = &book, .log_max = QC_LOG_WARN };
	struct qc_context *ctx = context_of(&config);
	struct qc_image_location src = { .dir = tempdir, .name = "image" };
	struct qc_reason why;
	qc_err r;

	*low = 0;
	src.fd = open("image", O_RDONLY | O_CLOEXEC);
	src.dirfd = open(tempdir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = qc_check(ctx, &src, flags, count_low, low, out, &why);
	close(src.fd);
	close(src.dirfd);
	context_end(ctx);
	return r;
}

static uint64_t l2_table(void)
{
	return peek64("image", peek64("image", 40)) & UINT64_C(0xfffffffffffe00);
}

/* Refcounts that are too low and too high, COPIED that is wrong both ways, and two entries on one
 * cluster. */
static void make_damaged(const char *options)
{
	uint64_t block, table;

	sh("rm -f image && qemu-img create -q -f qcow2 -o %s image 4M &&"
	   " qemu-io -t unsafe -f qcow2 -c 'write -P 1 0 1M' image >/dev/null &&"
	   " qemu-img snapshot -c one image &&"
	   " qemu-io -t unsafe -f qcow2 -c 'write -P 2 256k 1M' -c 'write -P 3 2M 1M' image >/dev/null",
	   options);
	table = l2_table();
	poke64("image", table + 8 * 400, peek64("image", table + 8 * 80));
	poke64("image", table + 8 * 81, peek64("image", table + 8 * 81) ^ UINT64_C(1) << 63);
	block = peek64("image", peek64("image", 48));
	poke64("image", block + 200, 0);
	poke64("image", block + 300, UINT64_C(0x0005000500050005));
}

static void ends_after_each_write(const char *options)
{
	unsigned int low_before, low, done = 0, n;
	struct qc_check_result before, r;

	make_damaged(options);
	sh("cp image before && qemu-img convert -q -f qcow2 -O raw image reference");
	CHECK(!run_check(0, &before, &low_before) && low_before && before.leaks);
	for (n = 0; !done && n < 1000; n++) {
		qc_err stopped;

		sh("cp before image");
		writes_left = n;
		qc_file_interpose = interpose;
		stopped = run_check(QC_CHECK_FIX_ALL, &r, &low);
		qc_file_interpose = NULL;
		done = !stopped;
		CHECK(stopped ? stopped == -EIO : !r.corruptions && !r.leaks);
		CHECK(!run_check(0, &r, &low) && low <= low_before);
		sh("qemu-img convert -q -U -f qcow2 -O raw image now && cmp now reference");
		CHECK(!run_check(QC_CHECK_FIX_ALL, &r, &low) && !r.corruptions && !r.leaks);
		CHECK(is_sound("image") && !try_sh("qemu-img convert -q -f qcow2 -O raw image now &&"
						   " cmp now reference"));
	}
	CHECK(done && n > 8);
}

static void of_small_clusters(void)
{
	ends_after_each_write("cluster_size=4k");
}

static void of_version_2(void)
{
	ends_after_each_write("compat=0.10,cluster_size=4k");
}

int main(void)
{
	begin();
	RUN(of_small_clusters);
	RUN(of_version_2);
	return DONE();
}
