/* SPDX-License-Identifier: MIT */
/*
 * A crash while snapshots are taken, renamed and deleted: each is there or not, and
 * if it is, with the bytes of its moment.
 *
 * sanitize: address
 */
#include "crash.h"

enum { NEVER = -1 };

static struct shot {
	char name[32];
	size_t from, done;	     /* it was taken: began to be, was for certain */
	size_t gone_from, gone_done; /* ... it was deleted, or lost this name */
	uint8_t *disk;
	uint64_t bytes;
} shots[40];
static size_t nshots;

static struct shot *shot_new(const char *name, uint64_t bytes)
{
	struct shot *s = &shots[nshots++];

	snprintf(s->name, sizeof(s->name), "%s", name);
	s->from = rec_position();
	s->done = s->gone_from = s->gone_done = (size_t)NEVER;
	s->bytes = bytes;
	s->disk = malloc(bytes);
	return s;
}

/* As the model has the disk now. */
static void note_disk(struct shot *s)
{
	for (uint64_t i = 0; i < s->bytes / REC_SECTOR; i++)
		memcpy(s->disk + i * REC_SECTOR, rig.value[rig.change[rig.last[i] - 1].value],
		       REC_SECTOR);
}

static struct shot *shot_of(const char *name)
{
	for (size_t i = nshots; i-- > 0;)
		if (!strcmp(shots[i].name, name) && shots[i].gone_from == (size_t)NEVER)
			return &shots[i];
	fatal(name);
	return NULL;
}

static void s_take(const char *name)
{
	struct shot *s = shot_new(name, qc_size(rig.img));
	qc_err r;

	note_disk(s);
	r = g_noted(qc_snapshot_take(rig.img, name, strlen(name)));
	CHECK(!r);
	s->done = rec_position();
}

static qc_err with_snapshot(const char *name, const char *to)
{
	struct qc_snapshots list;
	qc_err r = qc_list_snapshots(rig.img, &list);

	for (size_t i = 0; !r && i < list.n; i++) {
		if (strcmp(list.at[i].name, name))
			continue;
		r = to ? qc_snapshot_rename(rig.img, &list.at[i], to, strlen(to)) :
			 qc_snapshot_delete(rig.img, &list.at[i]);
		break;
	}
	qc_snapshots_free(&list);
	return g_noted(r);
}

static void s_delete(const char *name)
{
	struct shot *s = shot_of(name);

	s->gone_from = rec_position();
	CHECK(!with_snapshot(name, NULL));
	s->gone_done = rec_position();
}

static void s_rename(const char *name, const char *to)
{
	struct shot *s = shot_of(name), *n = shot_new(to, s->bytes);

	memcpy(n->disk, s->disk, s->bytes);
	s->gone_from = n->from;
	CHECK(!with_snapshot(name, to));
	s->gone_done = n->done = rec_position();
}

/* ---- looking ---------------------------------------------------------------- */

static bool reads_so(struct qc_image *img, const struct qc_snapshot *snap, const struct shot *s)
{
	struct qc_image *v;
	struct qc_reason why;
	uint8_t *disk = malloc(s->bytes + 1);
	bool good = false;

	if (!qc_snapshot_open(img, snap, QC_PART_DISK, &v, &why)) {
		good = qc_size(v) == s->bytes && !qc_read(v, 0, disk, s->bytes) &&
		       !memcmp(disk, s->disk, s->bytes);
		qc_close(v);
	}
	free(disk);
	return good;
}

static bool qemu_reads_so(const char *dir, const struct shot *s)
{
	size_t n;
	uint8_t *disk;
	bool good;

	sh("qemu-img convert -q -U -f qcow2 -l %s -O raw %s/img shot.raw", s->name, dir);
	disk = slurp("shot.raw", &n);
	good = !memcmp(disk, s->disk, min_u64(n, s->bytes));
	free(disk);
	return good;
}

static bool is_good(struct qc_image *img, const struct qc_snapshots *list, const struct shot *s,
		    size_t at, const char *dir, bool sample)
{
	const struct qc_snapshot *found = NULL;
	const char *bad = NULL;

	for (size_t i = 0; i < list->n; i++)
		if (!strcmp(list->at[i].name, s->name))
			found = &list->at[i];
	if (!found && s->done <= at && s->gone_from > at)
		bad = "it is lost";
	else if (found && s->from > at)
		bad = "it is there too early";
	else if (found && s->gone_done <= at)
		bad = "it is there still";
	else if (found && !reads_so(img, found, s))
		bad = "it has other bytes";
	else if (found && sample && !qemu_reads_so(dir, s))
		bad = "it has other bytes for QEMU";
	if (!bad)
		return true;
	printf("# snapshot %s:\n", s->name);
	complain(bad);
	return false;
}

static bool look_at_snapshots(struct qc_image *img, size_t at, const char *dir, bool sample)
{
	struct qc_snapshots list;
	bool good = true;

	if (qc_list_snapshots(img, &list)) {
		complain("the table of snapshots cannot be read");
		return false;
	}
	for (size_t i = 0; good && i < nshots; i++)
		good = is_good(img, &list, &shots[i], at, dir, sample);
	qc_snapshots_free(&list);
	return good;
}

/* ---- scenarios -------------------------------------------------------------- */

static void some(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		CHECK(!g_write(random_below(&rig.seed, qc_size(rig.img) / 512 - 40) * 512, 15 * K));
}

static void take_and_write(void)
{
	some(6);
	s_take("a");
	some(6);
	CHECK(!g_discard(0, 64 * K));
	s_take("b");
	some(4);
	CHECK(!g_flush());
	s_take("c");
	some(3);
}

static void take_and_delete(void)
{
	some(5);
	s_take("a");
	some(5);
	s_take("b");
	CHECK(!g_discard(100 * K, 200 * K));
	s_delete("a");
	some(5);
	s_take("c");
	s_delete("b");
	some(2);
	s_delete("c");
	some(4);
	CHECK(!g_flush());
}

static void take_and_rename(void)
{
	some(3);
	s_take("a");
	s_rename("a", "a-much-longer-name");
	some(3);
	s_take("c");
	s_rename("a-much-longer-name", "b");
	s_delete("c");
	some(3);
}

static void delete_of_qemu(void)
{
	struct shot *s = shot_new("one", qc_size(rig.img));
	struct qc_snapshots list;
	struct qc_image *v;
	struct qc_reason why;

	CHECK(!qc_list_snapshots(rig.img, &list) && list.n == 1);
	CHECK(!qc_snapshot_open(rig.img, &list.at[0], QC_PART_DISK, &v, &why));
	CHECK(!qc_read(v, 0, s->disk, s->bytes));
	qc_close(v);
	qc_snapshots_free(&list);
	s->from = s->done = 0;
	some(4);
	s_take("two");
	some(4);
	s_delete("one");
	some(4);
	s_delete("two");
	some(4);
}

static void resize_between(void)
{
	uint64_t size = qc_size(rig.img);

	some(3);
	s_take("a");
	CHECK(!g_resize(2 * size));
	CHECK(!g_write(2 * size - 20 * K, 20 * K));
	s_take("b");
	CHECK(!g_resize(size / 2));
	s_delete("a");
	some(3);
}

static const struct scenario scenarios[] = {
	{ SCENARIO("take-v2", "qcow2", make_filled, take_and_write, "compat=0.10,cluster_size=4k", M) },
	{ SCENARIO("take-512", "qcow2", make_filled, take_and_write, "cluster_size=512", M) },
	{ SCENARIO("take-extended", "qcow2", make_backed, take_and_write,
		   "cluster_size=16k,extended_l2=on", M) },
	{ SCENARIO("take-packed", "qcow2", make_packed, take_and_delete, "cluster_size=4k", M) },
	{ SCENARIO("delete-4k", "qcow2", make_filled, take_and_delete, "cluster_size=4k", M) },
	{ SCENARIO("delete-512", "qcow2", make_filled, take_and_delete,
		   "cluster_size=512,refcount_bits=64", M), .cache_bytes = 64 * K },
	{ SCENARIO("delete-64k", "qcow2", make_backed, take_and_delete, "cluster_size=64k", 2 * M) },
	{ SCENARIO("rename", "qcow2", make_filled, take_and_rename, "cluster_size=4k", M) },
	{ SCENARIO("of-qemu", "qcow2", make_snapshot, delete_of_qemu, "cluster_size=4k", M) },
	{ SCENARIO("of-qemu-v2", "qcow2", make_snapshot, delete_of_qemu,
		   "compat=0.10,cluster_size=512", M) },
	{ SCENARIO("resize", "qcow2", make_filled, resize_between, "cluster_size=4k", M),
	  .shrinks = true },
};

static void snapshot_scenario(const struct scenario *s)
{
	crash_scenario(s);
	while (nshots > 0)
		free(shots[--nshots].disk);
}

int main(void)
{
	rig_look = look_at_snapshots;
	return run_scenarios(scenarios, COUNT(scenarios), snapshot_scenario);
}
