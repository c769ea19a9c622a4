/* SPDX-License-Identifier: MIT */
/*
 * A crash, or a failure, while an image is repaired: no byte of the disk and of its snapshot
 * changes, no other cluster is in danger than before, and the repair can be done again.
 *
 * sanitize: address
 */
#include "fault.h"

/* Host clusters that a write may overwrite by mistake, before the repair. */
static struct danger {
	uint64_t at[4096];
	size_t n;
	bool is_new; /* one is in danger now that was not before */
} danger;

static bool is_known(uint64_t host)
{
	for (size_t i = 0; i < danger.n; i++)
		if (danger.at[i] == host)
			return true;
	return false;
}

/* A COPIED that is missing only costs a copy. */
static bool is_dangerous(const struct qc_finding *f)
{
	return !f->is_leak && !(f->kind == QC_FINDING_COPIED && !(f->entry >> 63));
}

static void note_danger(void *arg, const struct qc_finding *f)
{
	bool collect = arg;

	if (!is_dangerous(f) || is_known(f->host_offset))
		return;
	if (!collect)
		danger.is_new = true;
	else if (danger.n < COUNT(danger.at))
		danger.at[danger.n++] = f->host_offset;
}

static qc_err check_in(struct qc_context *ctx, const char *dir, unsigned int flags, qc_finding_fn *fn,
		       void *arg, struct qc_check_result *out)
{
	struct qc_image_location src = { .dir = dir, .name = "img" };
	struct qc_reason why;
	char path[40];
	qc_err r;

	snprintf(path, sizeof(path), "%s/img", dir);
	src.fd = open(path, O_RDONLY | O_CLOEXEC);
	src.dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (src.fd < 0 || src.dirfd < 0)
		fatal(path);
	r = qc_check(ctx, &src, flags, fn, arg, out, &why);
	close(src.fd);
	close(src.dirfd);
	return r;
}

static void repair(unsigned int flags)
{
	struct qc_check_result out;
	qc_err r = check_in(rig.ctx, "w", flags, NULL, NULL, &out);

	CHECK(may_fail || (!r && !out.corruptions && !out.leaks && !out.repair_error));
}

static void repair_all(void)
{
	repair(QC_CHECK_FIX_ALL);
}

static void repair_leaks(void)
{
	repair(QC_CHECK_FIX_LEAKS);
}

/* ---- looking --------------------------------------------------------------------- */

static bool disk_is_as_before(struct qc_context *ctx, const char *dir)
{
	char path[40];
	struct qc_image *img;
	struct qc_reason why;
	uint8_t *disk;
	bool good;

	snprintf(path, sizeof(path), "%s/img", dir);
	if (image_try(ctx, path, 0, &img, &why)) {
		/* No image with such a table can be opened. */
		if (!strstr(why.text, "refcount table"))
			complain(why.text);
		return strstr(why.text, "refcount table");
	}
	disk = malloc(qc_size(img) + 1);
	good = !qc_read(img, 0, disk, qc_size(img)) &&
	       sectors_are_good(disk, qc_size(img), SIZE_MAX, rig.sectors, "core");
	free(disk);
	qc_close(img);
	return good;
}

/* Repairs the rest, and asks QEMU. */
static bool can_be_repaired(struct qc_context *ctx, const char *dir)
{
	struct qc_check_result out;

	if (check_in(ctx, dir, QC_CHECK_FIX_ALL, NULL, NULL, &out) || out.corruptions || out.leaks) {
		complain("cannot be repaired after a crash");
		return false;
	}
	if (try_sh("cd %s && qemu-img check -q %s >check 2>&1", dir, rig_image(rig.s))) {
		complain("not sound for QEMU after the second repair");
		return false;
	}
	return disk_is_as_before(ctx, dir) && qemu_reads_it(dir, SIZE_MAX);
}

static bool is_no_worse(const char *dir, bool sample)
{
	struct qc_context *ctx = rig_context(rig.s);
	struct qc_check_result out;
	bool good;

	danger.is_new = false;
	good = !check_in(ctx, dir, 0, note_danger, NULL, &out) && !danger.is_new;
	if (!good)
		complain(danger.is_new ? "another cluster is in danger" : "cannot be checked");
	good = good && disk_is_as_before(ctx, dir);
	if (good && sample)
		good = can_be_repaired(ctx, dir);
	qc_context_free(ctx);
	return good;
}

/* ---- images ------------------------------------------------------------------------ */

static uint64_t l2_entry(uint64_t i)
{
	return (peek64("w/img", peek64("w/img", 40)) & UINT64_C(0xfffffffffffe00)) + 8 * i;
}

static uint64_t first_block(void)
{
	return peek64("w/img", peek64("w/img", 48));
}

static void change64(uint64_t at, uint64_t v)
{
	poke64("w/img", at, peek64("w/img", at) ^ v);
}

/* Refcounts have 16 bits. */
static void raise_refcounts(void)
{
	for (uint64_t i = 0; i < 12; i += 3)
		poke64("w/img", first_block() + 8 * (10 + i),
		       peek64("w/img", first_block() + 8 * (10 + i)) + UINT64_C(0x0002000100030001));
}

/* Those of 32 to 79, which the disk and the snapshot reference. */
static void lower_refcounts(void)
{
	for (uint64_t i = 0; i < 12; i += 2)
		poke64("w/img", first_block() + 8 * (8 + i), 0);
}

static void make_leaks(const struct scenario *s)
{
	make_snapshot(s);
	raise_refcounts();
}

static void make_low(const struct scenario *s)
{
	make_snapshot(s);
	lower_refcounts();
}

static void make_mixed(const struct scenario *s)
{
	make_snapshot(s);
	lower_refcounts();
	raise_refcounts();
	for (uint64_t i = 0; i < 9; i += 3)
		change64(l2_entry(i), UINT64_C(1) << 63);
	change64(peek64("w/img", 40), UINT64_C(1) << 63);
}

static void make_shared_entries(const struct scenario *s)
{
	make_snapshot(s);
	for (uint64_t i = 0; i < 5; i++)
		poke64("w/img", l2_entry(40 + i), peek64("w/img", l2_entry(2 * i)) | UINT64_C(1) << 63);
}

static void make_marked_corrupt(const struct scenario *s)
{
	make_mixed(s);
	poke64("w/img", 72, 2);
}

static void make_damaged_block(const struct scenario *s)
{
	make_snapshot(s);
	for (uint64_t i = 0; i < 60; i++)
		poke64("w/img", first_block() + 8 * i, UINT64_C(0x0f0001ff07d20000) * i);
}

static void make_lost_table(const struct scenario *s)
{
	make_snapshot(s);
	poke64("w/img", peek64("w/img", 48), 0);
}

static void make_wrong_table(const struct scenario *s)
{
	make_snapshot(s);
	poke64("w/img", peek64("w/img", 48), UINT64_C(1) << 40);
}

static void make_table_on_data(const struct scenario *s)
{
	make_snapshot(s);
	poke64("w/img", peek64("w/img", 48) + 8, l2_entry(0));
	raise_refcounts();
}

static void make_bitmaps(const struct scenario *s)
{
	make_snapshot(s);
	sh("cd w && qemu-img bitmap --add -g 512 img b0 && qemu-io -c 'write -P 9 700k 5k' %s >/dev/null",
	   rig_image(s));
	lower_refcounts();
	raise_refcounts();
}

#define CHECKED(n, make, steps, options, cache)                                             \
	{ SCENARIO(n, "qcow2", make, steps, options, M), .snapshot = true, .offline = true, \
	  .cache_bytes = cache }

static const struct scenario scenarios[] = {
	CHECKED("leaks", make_leaks, repair_leaks, "cluster_size=4k", 0),
	CHECKED("leaks-v2", make_leaks, repair_leaks, "compat=0.10,cluster_size=4k", 0),
	CHECKED("low", make_low, repair_all, "cluster_size=4k", 0),
	CHECKED("mixed", make_mixed, repair_all, "cluster_size=4k", 0),
	CHECKED("mixed-v2", make_mixed, repair_all, "compat=0.10,cluster_size=4k", 0),
	CHECKED("mixed-512", make_mixed, repair_all, "cluster_size=512", 64 * K),
	CHECKED("shared", make_shared_entries, repair_all, "cluster_size=4k", 0),
	CHECKED("corrupt-bit", make_marked_corrupt, repair_all, "cluster_size=4k", 0),
	CHECKED("block", make_damaged_block, repair_all, "cluster_size=4k", 0),
	CHECKED("lost-table", make_lost_table, repair_all, "cluster_size=4k", 0),
	CHECKED("wrong-table", make_wrong_table, repair_all, "cluster_size=512", 0),
	CHECKED("table-on-data", make_table_on_data, repair_all, "cluster_size=4k", 0),
	CHECKED("bitmaps", make_bitmaps, repair_all, "cluster_size=4k", 0),
};

/* Notes what is in danger in the image that the scenario begins with. */
static void check_scenario(const struct scenario *s)
{
	struct qc_context *ctx = rig_context(s);
	struct qc_check_result out;

	danger.n = 0;
	sh("rm -rf w && mkdir w");
	s->make(s);
	CHECK(!check_in(ctx, "w", 0, note_danger, &danger, &out) && (out.corruptions || out.leaks));
	qc_context_free(ctx);
	crash_and_fault_scenario(s);
}

int main(void)
{
	rig_judge = is_no_worse;
	return run_scenarios(scenarios, COUNT(scenarios), check_scenario);
}
