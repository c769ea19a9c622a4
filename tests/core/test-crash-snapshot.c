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

enum action { DELETE, RENAME, REVERT };

static qc_err change_snapshot(const struct qc_snapshot *s, enum action what, const char *to)
{
	switch (what) {
	case DELETE: return qc_snapshot_delete(rig.img, s);
	case RENAME: return qc_snapshot_rename(rig.img, s, to, strlen(to));
	case REVERT: return qc_snapshot_revert(rig.img, s);
	}
	return -EINVAL;
}

static qc_err with_snapshot(const char *name, enum action what, const char *to)
{
	struct qc_snapshots list;
	qc_err r = qc_list_snapshots(rig.img, &list);

	for (size_t i = 0; !r && i < list.n; i++) {
		if (strcmp(list.at[i].name, name))
			continue;
		r = change_snapshot(&list.at[i], what, to);
		break;
	}
	qc_snapshots_free(&list);
	return g_noted(r);
}

static void s_delete(const char *name)
{
	struct shot *s = shot_of(name);

	s->gone_from = rec_position();
	CHECK(!with_snapshot(name, DELETE, NULL));
	s->gone_done = rec_position();
}

static void s_rename(const char *name, const char *to)
{
	struct shot *s = shot_of(name), *n = shot_new(to, s->bytes);

	memcpy(n->disk, s->disk, s->bytes);
	s->gone_from = n->from;
	CHECK(!with_snapshot(name, RENAME, to));
	s->gone_done = n->done = rec_position();
}

/* ---- going back ---------------------------------------------------------------- */

static struct reverted {
	size_t from, done; /* it began, was for certain */
	const struct shot *to;
	uint8_t *before;
	uint64_t bytes;
} reverted[8];
static size_t nreverted;

/* The sectors have the bytes of the snapshot from now on, and those behind it zeros. */
static void model_revert(const struct shot *s, uint64_t old)
{
	static const uint8_t zeros[REC_SECTOR];

	pthread_mutex_lock(&rig.lock);
	for (uint64_t off = 0; off < max_u64(old, s->bytes); off += REC_SECTOR)
		change_new((uint32_t)(off / REC_SECTOR), off < s->bytes ? s->disk + off : zeros);
	pthread_mutex_unlock(&rig.lock);
}

/* A revert is in the file when it returns, as after a flush. */
static void s_revert(const char *name)
{
	struct reverted *v = &reverted[nreverted++];
	uint64_t old = qc_size(rig.img);

	CHECK(!g_flush());
	*v = (struct reverted){ .from = rec_position(), .done = (size_t)NEVER, .to = shot_of(name),
				.before = malloc(old), .bytes = old };
	CHECK(!qc_read(rig.img, 0, v->before, old));
	rig.size[rig.sizes].from = v->from;
	rig.size[rig.sizes].done = SIZE_MAX;
	rig.size[rig.sizes++].size = v->to->bytes;
	model_revert(v->to, old);
	CHECK(!with_snapshot(name, REVERT, NULL));
	v->done = rig.size[rig.sizes - 1].done = rec_position();
	pthread_mutex_lock(&rig.lock);
	rig.flush = realloc(rig.flush, (rig.flushes + 1) * sizeof(*rig.flush));
	rig.flush[rig.flushes++] = (struct flushed){ rec_position(), rig.changes };
	pthread_mutex_unlock(&rig.lock);
}

/* A crash in the middle of it leaves all of the old disk, or all of the new one. */
static bool is_old_or_new(struct qc_image *img, const struct reverted *v)
{
	uint64_t n = qc_size(img);
	uint8_t *disk = malloc(n + 1);
	bool good = !qc_read(img, 0, disk, n);

	good = good && ((n == v->bytes && !memcmp(disk, v->before, n)) ||
			(n == v->to->bytes && !memcmp(disk, v->to->disk, n)));
	free(disk);
	if (!good)
		complain("the disk is half reverted");
	return good;
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
	for (size_t i = 0; good && i < nreverted; i++)
		if (reverted[i].from <= at && at < reverted[i].done)
			good = is_old_or_new(img, &reverted[i]);
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

/* Takes the snapshot "a", doubles the disk, and takes "b". Returns the size before. */
static uint64_t grow_between_snapshots(void)
{
	uint64_t size = qc_size(rig.img);

	some(3);
	s_take("a");
	CHECK(!g_resize(2 * size));
	CHECK(!g_write(2 * size - 20 * K, 20 * K));
	s_take("b");
	return size;
}

static void resize_between(void)
{
	CHECK(!g_resize(grow_between_snapshots() / 2));
	s_delete("a");
	some(3);
}

static void revert_and_write(void)
{
	some(5);
	s_take("a");
	some(5);
	s_revert("a");
	some(4);
	s_take("b");
	CHECK(!g_discard(100 * K, 200 * K));
	s_revert("a");
	some(2);
	s_revert("b");
	s_delete("a");
	some(2);
	s_delete("b");
	some(3);
}

static void revert_to_another_size(void)
{
	grow_between_snapshots();
	some(2);
	s_revert("a");
	some(2);
	s_revert("b");
	some(2);
}

static const struct scenario scenarios[] = {
	{ SCENARIO("revert-v2", "qcow2", make_filled, revert_and_write,
		   "compat=0.10,cluster_size=4k", M) },
	{ SCENARIO("revert-512", "qcow2", make_backed, revert_and_write, "cluster_size=512", M) },
	{ SCENARIO("revert-extended", "qcow2", make_backed, revert_and_write,
		   "cluster_size=16k,extended_l2=on", M) },
	{ SCENARIO("revert-packed", "qcow2", make_packed, revert_and_write, "cluster_size=4k", M) },
	{ SCENARIO("revert-size", "qcow2", make_filled, revert_to_another_size, "cluster_size=4k", M),
	  .shrinks = true },
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
	while (nreverted > 0)
		free(reverted[--nreverted].before);
	while (nshots > 0)
		free(shots[--nshots].disk);
}

int main(void)
{
	rig_look = look_at_snapshots;
	return run_scenarios(scenarios, COUNT(scenarios), snapshot_scenario);
}
