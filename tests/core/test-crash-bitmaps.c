/* SPDX-License-Identifier: MIT */
/*
 * A crash while bitmaps are kept, changed and stored: afterwards each is in use, or true for all
 * that the image holds.
 *
 * sanitize: address
 */
#include "crash.h"

/* A bitmap that may be missing: steps remove it or rename it. */
static const char *may_go;

static void make_with_bitmaps(const struct scenario *s)
{
	make_filled(s);
	sh("cd w && qemu-img bitmap --add -g 512 img fine && qemu-img bitmap --add -g 64k img coarse"
	   " && qemu-img bitmap --add --disable img off && qemu-io -f qcow2 -c 'write -s fill 0 512' img"
	   " >/dev/null && qemu-img bitmap --disable img off");
}

/* ---- steps ---------------------------------------------------------------------- */

static void write_much(void)
{
	g_write(100, 5000);
	g_write(300 * K, 70000);
	g_flush();
	g_zero(8 * K, 20000);
	g_discard(64 * K, 128 * K);
	g_flush();
	g_write(1000 * K, 4096);
	g_write(0, 512);
}

static void write_and_change_size(void)
{
	g_write(100, 5000);
	g_resize(M + 300 * K);
	g_write(M + 100 * K, 9000);
	g_flush();
	g_resize(700 * K);
	g_write(600 * K, 5000);
}

static void change_bitmaps(void)
{
	may_go = "coarse";
	g_write(100, 5000);
	CHECK(!qc_bitmap_add(rig.img, "new", 3, 4096, true));
	g_write(200 * K, 5000);
	CHECK(!qc_bitmap_rename(rig.img, "coarse", 6, "rough", 5));
	g_write(300 * K, 5000);
	g_flush();
	CHECK(!qc_bitmap_remove(rig.img, "rough", 5));
	g_write(400 * K, 5000);
	CHECK(!qc_bitmap_clear(rig.img, "new", 3) && !qc_bitmap_enable(rig.img, "new", 3, false));
	g_write(500 * K, 5000);
}

/* Only bitmaps change: none is in use then, at any moment. */
static void change_bitmaps_alone(void)
{
	may_go = "coarse";
	CHECK(!qc_bitmap_add(rig.img, "new", 3, 4096, true));
	CHECK(!qc_bitmap_remove(rig.img, "coarse", 6));
	CHECK(!qc_bitmap_enable(rig.img, "off", 3, true));
	CHECK(!qc_bitmap_clear(rig.img, "new", 3));
}

/* To delete a snapshot sets bits, too. */
static void delete_snapshots(void)
{
	struct qc_snapshots list;

	for (int i = 0; i < 3; i++) {
		CHECK(!g_noted(qc_snapshot_take(rig.img, "s", 1)));
		CHECK(!g_write(random_below(&rig.seed, 200) * 4 * K, 6 * K));
		CHECK(!qc_list_snapshots(rig.img, &list) && list.n == 1);
		CHECK(!g_noted(qc_snapshot_delete(rig.img, &list.at[0])));
		qc_snapshots_free(&list);
	}
	CHECK(!g_flush());
}

/* ---- afterwards ------------------------------------------------------------------ */

/* Returns true if the sector has other bytes than before the first request. */
static bool is_changed(uint32_t sector, const uint8_t *now)
{
	return memcmp(now, rig.value[rig.change[sector].value], REC_SECTOR) != 0;
}

/* Checks that each sector that has changed is dirty in the view. */
static bool is_true(struct qc_image *img, struct qc_image *view)
{
	uint8_t sector[REC_SECTOR];
	struct qc_extent x;

	for (uint64_t at = 0; at < qc_size(img); at += x.len) {
		if (qc_block_status(view, at, &x))
			return false;
		for (uint64_t s = at; !x.data && s < at + x.len; s += REC_SECTOR)
			if (qc_read(img, s, sector, REC_SECTOR) ||
			    is_changed((uint32_t)(s / REC_SECTOR), sector))
				return false;
	}
	return true;
}

static bool look_at_bitmap(struct qc_image *img, const char *name)
{
	struct qc_image *view;
	struct qc_reason why;
	struct qc_extent first;
	qc_err r = qc_bitmap_open(img, name, strlen(name), &view, &why);
	bool good;

	if (r == -EIO) /* in use */
		return rig.s->steps != change_bitmaps_alone;
	if (r)
		return r == -ENOENT && may_go && !strcmp(name, may_go);
	good = is_true(img, view) && !qc_block_status(view, 0, &first) && first.data;
	qc_close(view);
	return good;
}

static bool look_at_bitmaps(struct qc_image *img, size_t at, const char *dir, bool sample)
{
	bool good = true;

	(void)at, (void)dir, (void)sample;
	if (!look_at_bitmap(img, "fine"))
		complain("bitmap fine is not true"), good = false;
	if (!look_at_bitmap(img, "coarse"))
		complain("bitmap coarse is not true"), good = false;
	return good;
}

static const struct scenario scenarios[] = {
	{ SCENARIO("write-4k", "qcow2", make_with_bitmaps, write_much, "cluster_size=4k", M) },
	{ SCENARIO("write-512", "qcow2", make_with_bitmaps, write_much, "cluster_size=512", M),
	  .cache_bytes = 64 * K },
	{ SCENARIO("resize-4k", "qcow2", make_with_bitmaps, write_and_change_size,
		   "cluster_size=4k", M), .shrinks = true },
	{ SCENARIO("bitmaps-4k", "qcow2", make_with_bitmaps, change_bitmaps, "cluster_size=4k", M) },
	{ SCENARIO("snapshots-4k", "qcow2", make_with_bitmaps, delete_snapshots, "cluster_size=4k", M) },
	{ SCENARIO("alone-64k", "qcow2", make_with_bitmaps, change_bitmaps_alone, "cluster_size=64k",
		   M) },
};

static void bitmap_scenario(const struct scenario *s)
{
	may_go = NULL;
	crash_scenario(s);
}

int main(void)
{
	rig_look = look_at_bitmaps;
	return run_scenarios(scenarios, COUNT(scenarios), bitmap_scenario);
}
