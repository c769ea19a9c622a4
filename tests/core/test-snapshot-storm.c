/* SPDX-License-Identifier: MIT */
/*
 * Snapshots are taken, renamed and deleted under writers.  Each write of a block has a
 * number, one more than the last.  A write that returned before the snapshot began must be in it.
 * A write that began after the snapshot returned must not.  No write may be half in it.
 */
#include <stdatomic.h>

#include "write.h"

enum { WRITERS = 2, BLOCKS = 48, BYTES = 12288 + 512, ROUNDS = 30, KEEP = 5 };

static struct qc_image *img;
static uint64_t seed;
static atomic_bool stop;
static atomic_uint errors;
static struct {
	atomic_uint begun, done;
} block[WRITERS * BLOCKS];

static struct shot {
	char name[24];
	unsigned int least[WRITERS * BLOCKS], most[WRITERS * BLOCKS];
} shot[KEEP];
static size_t nshots;

static void wrong(const char *what)
{
	if (atomic_fetch_add(&errors, 1) < 10)
		printf("# %s\n", what);
}

/* Every eight bytes of a block hold its number. */
static void *write_some(void *arg)
{
	size_t mine = (size_t)arg;
	uint64_t s = seed + mine + 1, buf[BYTES / 8];

	while (!stop) {
		size_t i = mine * BLOCKS + random_below(&s, BLOCKS);
		unsigned int n = atomic_fetch_add(&block[i].begun, 1) + 1;

		for (size_t k = 0; k < BYTES / 8; k++)
			buf[k] = n;
		if (qc_write(img, i * BYTES, buf, BYTES))
			wrong("a write failed");
		atomic_store(&block[i].done, n);
		if (random_below(&s, 50) == 0 && qc_flush(img))
			wrong("a flush failed");
	}
	return NULL;
}

static struct qc_image *open_shot(const char *name)
{
	struct qc_image *v = NULL;
	struct qc_snapshots list;
	struct qc_reason why;

	if (qc_list_snapshots(img, &list))
		return NULL;
	for (size_t i = 0; i < list.n; i++)
		if (!strcmp(list.at[i].name, name) &&
		    qc_snapshot_open(img, &list.at[i], QC_PART_DISK, &v, &why))
			v = NULL;
	qc_snapshots_free(&list);
	return v;
}

static bool holds(struct qc_image *v, const struct shot *s)
{
	uint64_t buf[BYTES / 8];

	for (size_t i = 0; i < WRITERS * BLOCKS; i++) {
		if (qc_read(v, i * BYTES, buf, BYTES))
			return false;
		for (size_t k = 1; k < BYTES / 8; k++)
			if (buf[k] != buf[0])
				return false;
		if (buf[0] < s->least[i] || buf[0] > s->most[i]) {
			printf("# block %zu of %s: %" PRIu64 ", not in %u..%u\n", i, s->name, buf[0],
			       s->least[i], s->most[i]);
			return false;
		}
	}
	return true;
}

static void *read_old_ones(void *arg)
{
	const struct shot *s = arg;
	struct qc_image *v = open_shot(s->name);

	while (v && !stop)
		if (!holds(v, s))
			wrong("an old snapshot has changed");
	if (v)
		qc_close(v);
	else
		wrong("the first snapshot cannot be opened");
	return NULL;
}

static void take(unsigned int round)
{
	struct shot *s = &shot[nshots++];

	snprintf(s->name, sizeof(s->name), "shot-%u", round);
	for (size_t i = 0; i < WRITERS * BLOCKS; i++)
		s->least[i] = block[i].done;
	if (qc_snapshot_take(img, s->name, strlen(s->name)))
		wrong("a snapshot could not be taken");
	for (size_t i = 0; i < WRITERS * BLOCKS; i++)
		s->most[i] = block[i].begun;
}

static void change(struct shot *s, bool rename)
{
	static unsigned int renamed;
	char to[24];
	struct qc_snapshots list;
	qc_err r = qc_list_snapshots(img, &list);

	snprintf(to, sizeof(to), "renamed-%u", renamed++);
	for (size_t i = 0; !r && i < list.n; i++) {
		if (strcmp(list.at[i].name, s->name))
			continue;
		r = rename ? qc_snapshot_rename(img, &list.at[i], to, strlen(to)) :
			     qc_snapshot_delete(img, &list.at[i]);
		break;
	}
	qc_snapshots_free(&list);
	if (r)
		wrong(rename ? "not renamed" : "not deleted");
	if (rename)
		memcpy(s->name, to, sizeof(to));
	else
		*s = shot[--nshots];
}

static void check_all(void)
{
	for (size_t i = 0; i < nshots; i++) {
		struct qc_image *v = open_shot(shot[i].name);

		if (!v || !holds(v, &shot[i]))
			wrong(shot[i].name);
		if (v)
			qc_close(v);
	}
}

static void storm(struct qc_context *ctx, const char *options)
{
	pthread_t writer[WRITERS], reader;
	static struct shot first;
	uint64_t s = seed;

	sh("rm -f image && qemu-img create -q -f qcow2 -o %s image 4M", options);
	memset(block, 0, sizeof(block));
	nshots = 0;
	stop = false;
	img = image_write(ctx, "image");
	for (size_t i = 0; i < WRITERS; i++)
		writer[i] = start(write_some, (void *)i);
	take(0);
	first = shot[--nshots]; /* which stays */
	reader = start(read_old_ones, &first);
	for (unsigned int round = 1; round < ROUNDS; round++) {
		if (nshots == KEEP || (nshots && random_below(&s, 3) == 0))
			change(&shot[random_below(&s, nshots)], false);
		else
			take(round);
		if (nshots && random_below(&s, 4) == 0)
			change(&shot[random_below(&s, nshots)], true);
		check_all();
	}
	stop = true;
	for (size_t i = 0; i < WRITERS; i++)
		end(writer[i]);
	end(reader);
	check_all();
	qc_close(img);
	CHECK(is_sound("image"));
	CHECK(!errors);
	img = image_open(ctx, "image");
	check_all();
	for (size_t i = 0; i < WRITERS * BLOCKS; i++) {
		uint64_t now;

		CHECK(!qc_read(img, i * BYTES, &now, sizeof(now)) && now == block[i].done);
	}
	qc_close(img);
	CHECK(!errors);
}

static struct qc_context *ctx;

static void under_writers(void)
{
	storm(ctx, "cluster_size=64k");
}

static void with_small_clusters(void)
{
	storm(ctx, "cluster_size=4k,refcount_bits=64");
}

static void with_subclusters(void)
{
	storm(ctx, "cluster_size=64k,extended_l2=on");
}

static void in_version_2(void)
{
	storm(ctx, "compat=0.10,cluster_size=512");
}

int main(void)
{
	begin();
	seed = random_seed();
	ctx = context_new(NULL);
	RUN(under_writers);
	RUN(with_small_clusters);
	RUN(with_subclusters);
	RUN(in_version_2);
	context_end(ctx);
	return DONE();
}
