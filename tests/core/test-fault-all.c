/* SPDX-License-Identifier: MIT */
/*
 * Each call that the core makes to its files fails in turn.  The writer
 * gets an error, and the image is sound, also after a crash.
 *
 * $FAULT_RUNS: the number of faults of each kind in each scenario.
 *
 * sanitize: address
 */
#include "commit.h"
#include "rebase.h"

static bool room_comes; /* the disk is full for a while only */

static void room_again(void)
{
	pthread_mutex_lock(&rec.lock);
	rec.fault.err = 0;
	pthread_mutex_unlock(&rec.lock);
}

/* A full disk gets room after some requests have failed. */
static void step(qc_err r)
{
	static unsigned int failed;

	failed = rec.failures ? failed + !!r : 0;
	if (r && room_comes && failed >= 3)
		room_again();
}

/* The last flush; once more, if it was for want of room that one failed. */
static void finish(void)
{
	step(g_flush());
	if (!room_comes || !rec.failures)
		return;
	room_again();
	g_flush();
}

static void requests(void)
{
	uint64_t size = qc_size(rig.img), seed = 1;

	for (uint64_t i = 0; i < 24; i++) {
		uint64_t off = random_below(&seed, size / 512 - 100) * 512;

		step(g_write(off, (1 + random_below(&seed, 60)) * 512));
		step(g_discard(off / 3 / 4096 * 4096, 24 * K));
		if (i % 3 == 0)
			step(g_zero(off / 2, 9 * K));
		if (i % 4 == 3)
			step(g_flush());
		if (i == 12)
			step(g_settle());
	}
	finish();
}

static void filling(void)
{
	uint64_t size = qc_size(rig.img);

	for (uint64_t off = 0; off < size; off += size / 16) {
		step(g_write(off, size / 16));
		if (off / (size / 16) % 5 == 4)
			step(g_flush());
	}
	finish();
}

static void resizing(void)
{
	uint64_t size = qc_size(rig.img);

	step(g_write(0, 20 * K));
	step(g_resize(size + 100 * K));
	step(g_write(qc_size(rig.img) - 20 * K, 20 * K));
	step(g_resize(2 * size));
	step(g_write(qc_size(rig.img) - 20 * K, 20 * K));
	step(g_flush());
	step(g_resize(size / 2));
	step(g_write(0, 40 * K));
	step(g_flush());
	step(g_resize(size));
	step(g_write(size / 2, 4 * K));
	finish();
}

static void compressing(void)
{
	uint64_t size = qc_size(rig.img), seed = 2;

	for (uint64_t i = 0; i < 16; i++) {
		uint64_t off = random_below(&seed, size / 4096 - 20) * 4096;

		step(g_write_compressed(off, (1 + random_below(&seed, 20)) * 4096));
		if (i % 3 == 1)
			step(g_discard(off, 8 * K));
		if (i % 4 == 3)
			step(g_flush());
	}
	finish();
}

static void rebasing(void)
{
	step(g_write(0, 20 * K));
	step(g_flush());
	step(g_rebase("base2.raw"));
	finish();
}

static void committing(void)
{
	step(g_write(0, 20 * K));
	step(g_flush());
	step(g_commit(true));
	finish();
}

static qc_err take(const char *name)
{
	return g_noted(qc_snapshot_take(rig.img, name, strlen(name)));
}

static qc_err delete_first(void)
{
	struct qc_snapshots list;
	qc_err r = qc_list_snapshots(rig.img, &list);

	if (!r && list.n)
		r = qc_snapshot_delete(rig.img, &list.at[0]);
	if (!r && list.n > 1)
		r = qc_snapshot_rename(rig.img, &list.at[1], "other", 5);
	qc_snapshots_free(&list);
	return g_noted(r);
}

static void snapshots(void)
{
	uint64_t size = qc_size(rig.img);

	step(g_write(0, 40 * K));
	step(take("a"));
	step(g_write(10 * K, 40 * K));
	step(take("b"));
	step(g_write(size / 2, 30 * K));
	step(delete_first());
	step(g_write(20 * K, 40 * K));
	step(delete_first());
	step(g_discard(0, 100 * K));
	finish();
}

static void make_with_bitmaps(const struct scenario *s)
{
	make_filled(s);
	sh("cd w && qemu-img bitmap --add -g 512 img fine && qemu-img bitmap --add -g 64k img coarse");
}

/* Bitmaps are marked as in use, changed and stored; each of that may fail, and the disk goes on. */
static void changing_bitmaps(void)
{
	uint64_t size = qc_size(rig.img), seed = 2;

	for (char name = 'a'; name < 'g'; name++) {
		step(g_write(random_below(&seed, size / 512 - 100) * 512, 5000));
		step(g_noted(qc_bitmap_add(rig.img, &name, 1, 4096, true)));
		step(g_discard(random_below(&seed, size / 4096 - 10) * 4096, 24 * K));
		if (name % 2)
			step(g_noted(qc_bitmap_remove(rig.img, &name, 1)));
	}
	finish();
}

static const struct scenario scenarios[] = {
	{ SCENARIO("bitmaps", "qcow2", make_with_bitmaps, changing_bitmaps, "cluster_size=4k", M) },
	{ SCENARIO("first", "qcow2", make_empty, requests, "cluster_size=4k", M) },
	{ SCENARIO("table", "qcow2", make_empty, filling, "cluster_size=512,refcount_bits=64", M) },
	{ SCENARIO("snapshot", "qcow2", make_snapshot, requests, "cluster_size=4k", M),
	  .snapshot = true },
	{ SCENARIO("backed", "qcow2", make_backed, requests, "compat=0.10,cluster_size=512", M) },
	{ SCENARIO("packed", "qcow2", make_packed, requests, "cluster_size=4k", M) },
	{ SCENARIO("compressed", "qcow2", make_packed, compressing, "cluster_size=4k", M) },
	{ SCENARIO("compressed-v1", "qcow", make_empty, compressing, NULL, M) },
	{ SCENARIO("commit", "qcow2", make_over_4k, committing, "cluster_size=4k", M),
	  .data_file = true },
	{ SCENARIO("rebase", "qcow2", make_two_bases, rebasing, "cluster_size=4k", M) },
	{ SCENARIO("extended", "qcow2", make_backed, requests,
		   "cluster_size=16k,extended_l2=on", M) },
	{ SCENARIO("data-file", "qcow2", make_filled, requests, "cluster_size=4k,data_file=d.data",
		   M), .data_file = true },
	{ SCENARIO("resize", "qcow2", make_filled, resizing, "cluster_size=512", M) },
	{ SCENARIO("resize-snapshot", "qcow2", make_snapshot, resizing, "cluster_size=4k", M),
	  .snapshot = true },
	{ SCENARIO("snapshots", "qcow2", make_filled, snapshots, "cluster_size=4k", M) },
	{ SCENARIO("snapshots-512", "qcow2", make_filled, snapshots,
		   "cluster_size=512,refcount_bits=64", M) },
	{ SCENARIO("snapshots-packed", "qcow2", make_packed, snapshots,
		   "compat=0.10,cluster_size=4k", M) },
	{ SCENARIO("v1", "qcow", make_filled, requests, NULL, M) },
	{ SCENARIO("aes", "qcow2", make_filled, requests, "encrypt.format=aes,cluster_size=4k", M),
	  .encrypted = true },
	{ SCENARIO("luks", "qcow2", make_filled, requests, "encrypt.format=luks,"
		   "encrypt.iter-time=1,encrypt.cipher-alg=aes-128,cluster_size=4k", M),
	  .encrypted = true, .rare = true },
	{ SCENARIO("resize-v1", "qcow", make_filled, resizing, NULL, M) },
};

static const struct {
	const char *name;
	struct rec_fault fault;
	bool room;
} kinds[] = {
	{ "read", { REC_READ, 0, 1, -EIO, false }, false },
	{ "write", { REC_WRITE, 0, 1, -EIO, false }, false },
	{ "half a write", { REC_WRITE, 0, 1, -EIO, true }, false },
	{ "write, no room", { REC_WRITE, 0, UINT64_MAX, -ENOSPC, false }, false },
	{ "write, no room for a while", { REC_WRITE, 0, UINT64_MAX, -ENOSPC, true }, true },
	{ "sync", { REC_SYNC, 0, 1, -EIO, false }, false },
	{ "all syncs", { REC_SYNC, 0, UINT64_MAX, -EIO, false }, false },
	{ "punch", { REC_PUNCH, 0, 1, -EIO, false }, false },
	{ "resize", { REC_RESIZE, 0, 1, -EIO, false }, false },
};

static bool is_marked_corrupt(void)
{
	return peek64("w/img", 4) >> 32 == 3 && (peek64("w/img", 72) & 2);
}

static void one_fault(size_t kind, uint64_t nth)
{
	struct rec_fault fault = kinds[kind].fault;
	unsigned int before = rig.bad;
	qc_err r;

	fault.nth = nth;
	room_comes = kinds[kind].room;
	rig_again();
	r = rig_run(fault);
	if (!rec.failures)
		return;
	/* Bitmaps are stored by the close, which has no result: they stay in use. */
	if (fault.kind != REC_PUNCH && fault.kind != REC_READ && !r && !rig.errors &&
	    rig.s->make != make_with_bitmaps && fault.nth < rec.calls[fault.kind])
		complain("an error was swallowed");
	if (is_marked_corrupt())
		complain("it is marked as corrupt");
	if (room_comes && !r && !rec.fault.err) { /* else it came with the close, and room never */
		if (!rig.flushes || rig.flush[rig.flushes - 1].changes != rig.changes)
			complain("it does not go on when there is room again");
		if (strcmp(rig.s->format, "qcow") &&
		    try_sh("cd w && qemu-img check -q %s >../out 2>&1", rig_image(rig.s))) {
			complain("it is not clean after there was room again");
			if (rig.bad <= 5)
				try_sh("head -3 out | sed 's/^/# /'");
		}
	}
	rig_crash(0, 3);
	if (rig.bad != before && before < 5)
		printf("# fault: %s %" PRIu64 " of %" PRIu64 ", open %d, %u errors\n",
		       kinds[kind].name, nth, rec.calls[fault.kind], r, rig.errors);
}

static void fault_scenario(const struct scenario *s)
{
	unsigned int runs = env_number("FAULT_RUNS", s->encrypted ? 2 : is_long() ? 5 : is_sanitized() ? 2 : 3);
	int before = tap_failed;
	uint64_t calls[REC_KINDS];

	rig_begin(s);
	CHECK(!rig_run((struct rec_fault){ 0 }));
	CHECK(!rig.errors);
	check_clean();
	memcpy(calls, rec.calls, sizeof(calls));
	for (size_t k = 0; k < COUNT(kinds); k++) {
		uint64_t n = calls[kinds[k].fault.kind], was = rig.bad;

		for (uint64_t i = 0; n && i < min_u64(runs, n); i++)
			one_fault(k, n <= runs ? i + 1 : 1 + random_below(&rig.seed, n));
		if (rig.bad != was)
			printf("# %s: %s: %" PRIu64 " bad\n", s->name, kinds[k].name, rig.bad - was);
	}
	printf("%s - %s: %u images, %u bad\n", tap_failed == before ? "ok" : "not ok", s->name,
	       rig.images, rig.bad);
	fflush(stdout);
	rig_end();
}

int main(void)
{
	return run_scenarios(scenarios, COUNT(scenarios), fault_scenario);
}
