/* SPDX-License-Identifier: MIT */
/*
 * A refcount table that is lost, points nowhere or is used twice is made anew by a repair; no byte
 * of the disk, its snapshots and its bitmaps changes.
 *
 * sanitize: address
 */
#include "write.h"

static struct qc_context *ctx;
static struct logbook book = LOGBOOK;

static uint64_t table(void)
{
	return peek64("image", 48);
}

static uint64_t l2_table(void)
{
	return peek64("image", peek64("image", 40)) & UINT64_C(0xfffffffffffe00);
}

/* ---- damage ---------------------------------------------------------------------- */

static void entry_is_lost(void)
{
	poke64("image", table(), 0);
}

static void entry_points_nowhere(void)
{
	poke64("image", table(), UINT64_C(1) << 40);
}

static void entry_is_not_aligned(void)
{
	poke64("image", table(), peek64("image", table()) + 256);
}

static void block_is_an_l2_table(void)
{
	poke64("image", table(), l2_table());
}

static void block_is_the_l1_table(void)
{
	poke64("image", table() + 8, peek64("image", 40));
}

static void block_is_the_table(void)
{
	poke64("image", table() + 8, table());
}

static void block_is_named_twice(void)
{
	poke64("image", table() + 8, peek64("image", table()));
}

static void header_has_no_table(void)
{
	poke("image", 56, "\0\0\0", 4);
}

static void table_is_too_long(void)
{
	poke("image", 56, "\377\377\377\377", 4);
}

static void table_is_beyond_the_end(void)
{
	poke64("image", 48, UINT64_C(1) << 45);
}

static void table_is_at_a_negative_offset(void)
{
	poke64("image", 48, UINT64_C(1) << 63);
}

static void table_is_not_aligned(void)
{
	poke64("image", 48, table() + 256);
}

static void table_is_the_l1_table(void)
{
	poke64("image", 48, peek64("image", 40));
}

static void table_is_an_l2_table(void)
{
	poke64("image", 48, l2_table());
}

/* An entry of a damaged L2 table references a cluster that the file has not reached.  No refcount
 * block must go there. */
static void an_entry_waits_behind_the_end(void)
{
	size_t size;
	uint64_t cluster = 1u << (peek64("image", 16) & 31), end;

	free(slurp("image", &size));
	end = (size + cluster - 1) / cluster * cluster;
	poke64("image", l2_table() + 8 * 60, UINT64_C(1) << 63 | (end + cluster));
	poke64("image", table(), UINT64_C(1) << 40);
}

static const struct damage {
	const char *name;
	void (*make)(void);
	bool stays; /* something else than the table, which no repair mends */
} damages[] = {
#define D(f) { #f, f, false }
	D(entry_is_lost), D(entry_points_nowhere), D(entry_is_not_aligned), D(block_is_an_l2_table),
	D(block_is_the_l1_table), D(block_is_the_table), D(block_is_named_twice),
	D(header_has_no_table), D(table_is_too_long), D(table_is_beyond_the_end),
	D(table_is_at_a_negative_offset), D(table_is_not_aligned), D(table_is_the_l1_table), D(table_is_an_l2_table),
	{ "an_entry_waits_behind_the_end", an_entry_waits_behind_the_end, true },
};

/* ---- the repair ------------------------------------------------------------------- */

static qc_err check_image(unsigned int flags, struct qc_check_result *out)
{
	struct qc_image_location src = { .dir = tempdir, .name = "image" };
	struct qc_reason why = { .text = "" };
	qc_err r;

	src.fd = open("image", O_RDONLY | O_CLOEXEC);
	src.dirfd = open(tempdir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (src.fd < 0 || src.dirfd < 0)
		fatal("image");
	r = qc_check(ctx, &src, flags, NULL, NULL, out, &why);
	close(src.fd);
	close(src.dirfd);
	if (r)
		printf("# %d %s\n", r, why.text);
	return r;
}

static void make_template(const char *options)
{
	sh("rm -f image && qemu-img create -q -f qcow2 -o %s image 4M &&"
	   " qemu-io -t unsafe -f qcow2 -c 'write -P 1 0 300k' image >/dev/null &&"
	   " qemu-img snapshot -c one image &&"
	   " qemu-io -t unsafe -f qcow2 -c 'write -P 2 100k 1M' image >/dev/null", options);
	if (!strstr(options, "0.10"))
		sh("qemu-img bitmap --add image b && qemu-io -c 'write -P 3 2M 9k' image >/dev/null");
	sh("mv image template && qemu-img convert -O raw template disk &&"
	   " qemu-img convert -l one -O raw template old");
}

static void reads_as_before(const struct damage *d)
{
	CHECK(!try_sh("qemu-img convert -O raw image now && cmp now disk"));
	CHECK(peek64("image", 88) == peek64("template", 88)); /* bitmaps are valid */
	if (d->make == entry_points_nowhere)
		CHECK(!try_sh("qemu-img convert -l one -O raw image now && cmp now old"));
}

static void repair(const struct damage *d, const char *options)
{
	struct qc_check_result found, r;
	int before = tap_failed;

	sh("cp template image");
	d->make();
	sh("cp image damaged");
	CHECK(!check_image(0, &found) && found.corruptions);
	sh("cmp image damaged");
	CHECK(!check_image(QC_CHECK_FIX_ALL, &r) && !r.repair_error && !r.leaks);
	if (d->stays) {
		CHECK(r.corruptions <= 1);
		CHECK(!check_image(0, &found) && found.corruptions == r.corruptions && !found.leaks);
	} else {
		CHECK(!r.corruptions && r.corruptions_fixed == found.corruptions);
		CHECK(is_sound("image"));
		reads_as_before(d);
	}
	if (tap_failed != before)
		printf("# %s, %s\n", d->name, options);
}

static void each_table_is_made_anew(void)
{
	static const char *const options[] = {
		"compat=1.1,cluster_size=64k", "cluster_size=512,refcount_bits=64",
		"compat=0.10,cluster_size=4k", "cluster_size=16k,extended_l2=on,refcount_bits=8",
	};

	for (size_t i = 0; i < (getenv("LONG") ? COUNT(options) : 2); i++) {
		make_template(options[i]);
		for (size_t k = 0; k < COUNT(damages); k++)
			if (!damages[k].stays || i != 3) /* its entries are longer */
				repair(&damages[k], options[i]);
	}
}

/* A repair of leaks alone believes the refcounts, so it changes nothing here. */
static void leaks_are_not_repaired(void)
{
	struct qc_check_result r;

	make_template("cluster_size=4k");
	for (size_t k = 0; k < COUNT(damages); k += 3) {
		sh("cp template image");
		damages[k].make();
		sh("cp image damaged");
		CHECK(!check_image(QC_CHECK_FIX_LEAKS, &r) && r.corruptions);
		CHECK(!r.repair_error || !try_sh("cmp image damaged"));
	}
}

int main(void)
{
	struct qc_config config = { .log = logbook_fn, .log_arg = &book, .log_max = QC_LOG_WARN };

	begin();
	ctx = context_of(&config);
	RUN(each_table_is_made_anew);
	RUN(leaks_are_not_repaired);
	context_end(ctx);
	return DONE();
}
