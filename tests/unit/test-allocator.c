/* SPDX-License-Identifier: MIT */
/* Which clusters are taken, given back, and when they may be taken again. */
#include "metadata/pending_free.h"

#include <errno.h>

#include "base/outcome.h"
#include "counted.h"
#include "random.h"

static struct qc_budget budget = { .limit = 64 << 20 };
static struct ramfile file;
static struct qc_alloc alloc;

/* Clusters 0 to 2 are in use, and the file ends there. */
static void begin(unsigned int order)
{
	alloc = (struct qc_alloc){
		.has_refcounts = true,
		.cluster_bits = CLUSTER_BITS,
		.never_written = 3,
	};
	qc_mutex_init(&alloc.lock, QC_RANK_ALLOC);
	counted_new(&alloc.refcounts, &file, order, &budget);
}

static void end(void)
{
	free(alloc.pending.extent);
	qc_mutex_destroy(&alloc.lock);
	counted_end(&alloc.refcounts, &file);
}

static uint64_t counted(uint64_t cluster)
{
	uint64_t n;

	qc_lock(&alloc.lock);
	n = count_of(&alloc.refcounts, cluster);
	qc_unlock(&alloc.lock);
	return n;
}

static void add(uint64_t cluster, int by)
{
	qc_lock(&alloc.lock);
	CHECK(!qc_refcounts_add(&alloc.refcounts, cluster, by));
	qc_unlock(&alloc.lock);
}

/* Allocates, and returns true if the result is @n clusters from @first on. */
static bool allocates(enum qc_alloc_purpose use, uint64_t want, uint64_t first, uint64_t n,
		      bool fresh)
{
	struct hoff at = { 0 };
	uint64_t got = 0;
	bool never_written = !fresh;
	qc_err r = qc_alloc_clusters(&alloc, use, want, &at, &got, &never_written);
	bool so = !r && at.v == first * CS && got == n && never_written == fresh;

	for (uint64_t i = 0; so && alloc.has_refcounts && i < n; i++)
		so = counted(first + i) == 1;
	if (!so)
		printf("# %d: %d clusters from %d on, never_written %d\n", r, (int)got,
		       (int)(at.v / CS), never_written);
	return so;
}

/* ---- freed clusters -------------------------------------------------------------- */

static struct {
	uint64_t off, len, count;
} told[8];
static size_t tolds;

/* They are still counted when one is told. */
static void tell(void *arg, uint64_t off, uint64_t len)
{
	CHECK(arg == &tolds && tolds < 8);
	told[tolds].off = off;
	told[tolds].len = len;
	told[tolds++].count = counted(off / CS);
}

static bool was_told(size_t i, uint64_t first, uint64_t n)
{
	return i < tolds && told[i].off == first * CS && told[i].len == n * CS &&
	       told[i].count == 1;
}

static qc_err release(void)
{
	struct qc_free_list taken;

	tolds = 0;
	qc_alloc_take_pending(&alloc, &taken);
	CHECK(!alloc.pending.n);
	return qc_alloc_free_pending(&alloc, &taken, tell, &tolds);
}

/* ---- taking ------------------------------------------------------------------- */

static void the_first_free_ones_are_taken(void)
{
	for (unsigned int order = 0; order <= REFCOUNT_ORDER_MAX; order++) {
		begin(order);
		CHECK(allocates(QC_ALLOC_DATA, 1, 3, 1, true));
		add(8, 1);
		CHECK(allocates(QC_ALLOC_DATA, 10, 4, 4, true)); /* up to the clusters in use */
		CHECK(allocates(QC_ALLOC_TABLE, 10, 9, 10, true));
		CHECK(counted(8) == 1 && counted(19) == 0);
		CHECK(alloc.cursor == 19);
		end();
	}
}

static void what_is_undone_is_taken_next(void)
{
	begin(4);
	CHECK(allocates(QC_ALLOC_DATA, 5, 3, 5, true) && allocates(QC_ALLOC_DATA, 2, 8, 2, true));
	qc_alloc_cancel(&alloc, (struct hoff){ 4 * CS }, 3);
	CHECK(counted(3) == 1 && !counted(4) && !counted(6) && counted(7) == 1);
	/* They may have been written. */
	CHECK(allocates(QC_ALLOC_DATA, 9, 4, 3, false));
	CHECK(allocates(QC_ALLOC_DATA, 9, 10, 9, true));
	end();
}

static void what_the_file_has_may_have_been_written(void)
{
	begin(4);
	alloc.never_written = 6;
	CHECK(allocates(QC_ALLOC_DATA, 2, 3, 2, false));
	CHECK(allocates(QC_ALLOC_DATA, 2, 5, 2, false)); /* one of them */
	CHECK(allocates(QC_ALLOC_DATA, 2, 7, 2, true));
	end();
}

/* A run ends where the block does; the next area's block takes its first. */
static void a_new_area_gets_a_block(void)
{
	for (unsigned int order = 0; order <= REFCOUNT_ORDER_MAX; order++) {
		uint64_t area = per_block(order);

		begin(order);
		alloc.cursor = area - 3;
		CHECK(allocates(QC_ALLOC_DATA, 8, area - 3, 3, true));
		CHECK(allocates(QC_ALLOC_DATA, 8, area + 1, 8, true));
		CHECK(counted(area) == 1 && alloc.refcounts.table[1] == area * CS);
		end();
	}
}

static void the_table_of_counts_grows(void)
{
	uint64_t last = ENTRIES * per_block(6);

	begin(6);
	alloc.cursor = last;
	CHECK(allocates(QC_ALLOC_DATA, 4, last + 3, 4, true)); /* a block, two of the table */
	CHECK(counted(last) == 1 && counted(last + 2) == 1);
	CHECK(!counted(1)); /* where it was */
	alloc.cursor = 0;
	CHECK(allocates(QC_ALLOC_TABLE, 4, 1, 1, false));
	end();
}

/* No cluster is taken, or counted, where something fails. */
static void who_fails_takes_nothing(void)
{
	struct hoff at;
	uint64_t got;
	bool never_written;

	begin(6);
	alloc.cursor = per_block(6);
	file.fail[RAM_WRITE] = 1;
	CHECK(qc_alloc_clusters(&alloc, QC_ALLOC_DATA, 4, &at, &got, &never_written) == -ENOSPC);
	CHECK(!counted(per_block(6)) && alloc.cursor == per_block(6));
	/* The block may be there in part. */
	CHECK(allocates(QC_ALLOC_DATA, 1, per_block(6) + 1, 1, true));
	alloc.cursor = (uint64_t)INT64_MAX / CS + 1;
	CHECK(qc_alloc_clusters(&alloc, QC_ALLOC_DATA, 1, &at, &got, &never_written) == -EFBIG);
	end();
	begin(4);
	qc_lock(&alloc.lock);
	CHECK(!qc_refcounts_set(&alloc.refcounts, 0, 0));
	qc_unlock(&alloc.lock);
	/* The header cannot be free. */
	CHECK(qc_alloc_clusters(&alloc, QC_ALLOC_DATA, 1, &at, &got, &never_written) == -EIO);
	CHECK(!counted(0));
	end();
}

/* No cluster is allocated twice, and no refcount goes wrong. */
static void random_story(void)
{
	static uint8_t owner[4096];
	uint64_t seed = random_seed(), mine[64][2] = { 0 };

	begin(4);
	memset(owner, 0, sizeof(owner));
	for (int turn = 0; turn < 4000; turn++) {
		uint64_t i = random_below(&seed, 64), got = 0;
		struct hoff at = { mine[i][0] * CS };
		bool never_written;

		for (uint64_t k = 0; k < mine[i][1]; k++)
			owner[mine[i][0] + k] = 0;
		if (mine[i][1] && turn % 3)
			qc_alloc_cancel(&alloc, at, mine[i][1]);
		else if (mine[i][1])
			qc_alloc_defer_free(&alloc, at.v, mine[i][1] * CS);
		if (turn % 3 == 0)
			CHECK(!release());
		CHECK(!qc_alloc_clusters(&alloc, QC_ALLOC_DATA, 1 + random_below(&seed, 9), &at, &got,
				    &never_written));
		mine[i][0] = at.v / CS;
		mine[i][1] = got;
		CHECK(got && at.v / CS + got < sizeof(owner));
		for (uint64_t k = 0; k < got; k++)
			CHECK(!owner[at.v / CS + k]++ && counted(at.v / CS + k) == 1);
	}
	end();
}

/* ---- pending frees ---------------------------------------------------------------- */

static void pending_clusters_are_free_after_the_checkpoint(void)
{
	struct qc_free_list taken;

	begin(4);
	CHECK(allocates(QC_ALLOC_DATA, 6, 3, 6, true));
	qc_alloc_defer_free(&alloc, 4 * CS, CS);
	qc_alloc_defer_free(&alloc, 5 * CS, CS); /* one piece with that */
	qc_alloc_defer_free(&alloc, 7 * CS, CS);
	CHECK(alloc.pending.n == 2 && alloc.pending.extent[0].len == 2 * CS);
	CHECK(allocates(QC_ALLOC_DATA, 1, 9, 1, true)); /* none of those */
	qc_alloc_take_pending(&alloc, &taken);
	CHECK(taken.n == 2 && alloc.pending.n == 0);
	qc_alloc_defer_free(&alloc, 3 * CS, CS);
	qc_alloc_requeue_pending(&alloc, &taken); /* it came to nothing */
	CHECK(taken.n == 0 && !taken.extent && alloc.pending.n == 2 && counted(4) == 1);
	CHECK(!release() && tolds == 2 && was_told(0, 3, 3) && was_told(1, 7, 1));
	CHECK(!counted(3) && !counted(4) && !counted(5) && counted(6) == 1 && !counted(7));
	CHECK(allocates(QC_ALLOC_DATA, 9, 3, 3, false) && allocates(QC_ALLOC_DATA, 9, 7, 1, false));
	end();
}

/* A cluster that a snapshot references stays. */
static void pending_clusters_are_merged_and_only_some_are_freed(void)
{
	static const uint64_t order[] = { 9, 4, 7, 5, 3 };
	struct qc_free_list taken;

	begin(4);
	CHECK(allocates(QC_ALLOC_DATA, 8, 3, 8, true));
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		qc_alloc_defer_free(&alloc, order[i] * CS, CS);
	CHECK(qc_alloc_has_pending(&alloc));
	qc_alloc_take_pending(&alloc, &taken);
	CHECK(taken.n == 5 && !qc_alloc_has_pending(&alloc));
	qc_alloc_requeue_beyond(&alloc, &taken, 2);
	CHECK(taken.n == 2 && taken.extent[0].off == 3 * CS && taken.extent[0].len == 3 * CS);
	CHECK(taken.extent[1].off == 7 * CS && taken.extent[1].len == CS);
	tolds = 0;
	CHECK(!qc_alloc_free_pending(&alloc, &taken, tell, &tolds));
	CHECK(tolds == 2 && was_told(0, 3, 3) && was_told(1, 7, 1));
	CHECK(!counted(3) && !counted(5) && !counted(7) && counted(9) == 1);
	CHECK(!release() && tolds == 1 && was_told(0, 9, 1));
	end();
}

/* Two compressed clusters share a host cluster, and each has a reference to it. */
static void shared_clusters_are_not_merged(void)
{
	struct qc_free_list l = { 0 };

	CHECK(!qc_free_list_add(&l, CLUSTER_BITS, 5 * CS + 100, CS - 100));
	CHECK(!qc_free_list_add(&l, CLUSTER_BITS, 4 * CS, CS + 100));
	CHECK(!qc_free_list_add(&l, CLUSTER_BITS, 6 * CS, 10));
	qc_free_list_merge(&l, CLUSTER_BITS);
	CHECK(l.n == 2 && l.extent[0].off == 4 * CS && l.extent[0].len == CS + 100);
	CHECK(l.extent[1].off == 5 * CS + 100 && l.extent[1].len == CS - 90);
	qc_free_list_clear(&l);
}

static void only_the_last_name_frees(void)
{
	begin(4);
	CHECK(allocates(QC_ALLOC_DATA, 5, 3, 5, true));
	add(4, 1);
	qc_alloc_defer_free(&alloc, 3 * CS, 5 * CS);
	CHECK(!release() && tolds == 2 && was_told(0, 3, 1) && was_told(1, 5, 3));
	CHECK(!counted(3) && counted(4) == 1 && !counted(7));
	qc_alloc_defer_free(&alloc, 4 * CS, CS);
	CHECK(!release() && tolds == 1 && was_told(0, 4, 1) && !counted(4));
	end();
}

/* They share clusters, and each counts in every one that it touches. */
static void clusters_of_compressed_data_lose_one_reference_each(void)
{
	begin(4);
	CHECK(allocates(QC_ALLOC_DATA, 3, 3, 3, true));
	add(4, 1);
	add(4, 1);
	add(5, 1);
	qc_alloc_defer_free(&alloc, 3 * CS + 100, CS);  /* 3, 4 */
	qc_alloc_defer_free(&alloc, 4 * CS + 100, 200); /* follows it; 4 */
	qc_alloc_defer_free(&alloc, 4 * CS + 300, CS);  /* 4, 5 */
	CHECK(alloc.pending.n == 3);
	CHECK(!release() && tolds == 2 && was_told(0, 3, 1) && was_told(1, 4, 1));
	CHECK(!counted(3) && !counted(4) && counted(5) == 1);
	end();
}

static void damaged_counts_end_it(void)
{
	begin(4);
	CHECK(allocates(QC_ALLOC_DATA, 4, 3, 4, true));
	qc_alloc_defer_free(&alloc, 3 * CS, CS);
	qc_alloc_defer_free(&alloc, 20 * CS, CS); /* counted as free */
	qc_alloc_defer_free(&alloc, 5 * CS, CS);
	CHECK(release() == QC_REFCOUNT_UNDERFLOW && tolds == 1 && was_told(0, 3, 1));
	CHECK(!counted(3) && counted(5) == 1 && alloc.pending.n == 2);
	CHECK(alloc.pending.extent[0].off == 20 * CS && alloc.pending.extent[1].off == 5 * CS);
	end();
}

/* A block cannot be read: another time it can. */
static void a_release_that_fails_comes_again(void)
{
	uint64_t c = per_block(6);

	begin(6);
	alloc.cursor = c - 2;
	CHECK(allocates(QC_ALLOC_DATA, 2, c - 2, 2, true) && allocates(QC_ALLOC_DATA, 2, c + 1, 2, true));
	counted_write(&alloc.refcounts);
	qc_cache_invalidate(alloc.refcounts.blocks, 0, file.room);
	qc_alloc_defer_free(&alloc, (c - 2) * CS, 2 * CS);
	qc_alloc_defer_free(&alloc, (c + 1) * CS, 2 * CS);
	file.fail[RAM_READ] = 2; /* the second of the two blocks */
	CHECK(release() == -EIO && tolds == 1 && was_told(0, c - 2, 2));
	CHECK(!counted(c - 2) && !counted(c - 1) && counted(c + 1) == 1);
	CHECK(alloc.pending.n == 1 && alloc.pending.extent[0].off == (c + 1) * CS &&
	      alloc.pending.extent[0].len == 2 * CS);
	CHECK(!release() && tolds == 1 && was_told(0, c + 1, 2));
	CHECK(!counted(c + 1) && !counted(c + 2) && counted(c) == 1);
	end();
}

/* ---- low clusters, version 1 ------------------------------------------------------- */

/* Data leaves the last ones below the end of the disk to L2 tables. */
static void tables_lie_low(void)
{
	begin(4);
	alloc.table_zone_end = 8;
	alloc.table_zone_reserved = 2;
	CHECK(allocates(QC_ALLOC_DATA, 1, 3, 1, true));
	CHECK(allocates(QC_ALLOC_TABLE, 1, 4, 1, true) && alloc.table_zone_reserved == 1);
	CHECK(allocates(QC_ALLOC_DATA, 1, 5, 1, true));
	CHECK(allocates(QC_ALLOC_DATA, 1, 6, 1, true));
	CHECK(allocates(QC_ALLOC_DATA, 3, 8, 3, true)); /* 7 is for a table */
	CHECK(!counted(7) && alloc.data_cursor == 11);
	CHECK(allocates(QC_ALLOC_DATA, 1, 11, 1, true));
	CHECK(allocates(QC_ALLOC_TABLE, 1, 7, 1, false) && alloc.table_zone_reserved == 0);
	CHECK(allocates(QC_ALLOC_TABLE, 1, 12, 1, true)); /* more than was foreseen */
	/* What becomes free is found on either side. */
	qc_alloc_defer_free(&alloc, 9 * CS, CS);
	qc_alloc_defer_free(&alloc, 5 * CS, CS);
	CHECK(!release() && tolds == 2 && alloc.cursor == 5 && alloc.data_cursor == 8);
	CHECK(allocates(QC_ALLOC_DATA, 1, 5, 1, false) && allocates(QC_ALLOC_DATA, 1, 9, 1, false));
	CHECK(allocates(QC_ALLOC_DATA, 1, 13, 1, true));
	end();
}

static void version_1_only_grows(void)
{
	struct hoff at;
	uint64_t got;
	bool never_written;

	begin(4);
	alloc.has_refcounts = false;
	alloc.cursor = alloc.never_written = 10;
	/* Its clusters are written in whole: none is called never_written. */
	CHECK(allocates(QC_ALLOC_DATA, 3, 10, 3, false) && allocates(QC_ALLOC_TABLE, 1, 13, 1, false));
	qc_alloc_cancel(&alloc, (struct hoff){ 13 * CS }, 1);
	qc_alloc_defer_free(&alloc, 10 * CS, CS);
	CHECK(alloc.pending.n == 0 && !counted(10));
	CHECK(allocates(QC_ALLOC_DATA, 100, 14, 100, false));
	alloc.cursor = (uint64_t)INT64_MAX / CS;
	CHECK(qc_alloc_clusters(&alloc, QC_ALLOC_DATA, 1, &at, &got, &never_written) == -EFBIG);
	end();
}

/* ---- compressed data --------------------------------------------------------------- */

static uint64_t packs(uint64_t len)
{
	struct hoff at = { 0 };

	CHECK(!qc_alloc_bytes(&alloc, len, &at));
	return at.v;
}

static void compressed_data_is_packed(void)
{
	begin(4);
	CHECK(packs(100) == 3 * CS && packs(CS - 200) == 3 * CS + 100);
	CHECK(counted(3) == 2 && counted(4) == 0);
	CHECK(packs(300) == 4 * CS - 100 && counted(3) == 3 && counted(4) == 1);
	CHECK(packs(CS - 200) == 4 * CS + 200 && counted(4) == 2); /* ends with the cluster */
	CHECK(packs(10) == 5 * CS && counted(4) == 2 && counted(5) == 1);
	CHECK(allocates(QC_ALLOC_DATA, 1, 6, 1, true)); /* the next one is in use: not spanned */
	CHECK(packs(CS - 5) == 7 * CS && counted(5) == 1 && counted(7) == 1);
	end();
}

static void full_clusters_are_not_packed(void)
{
	begin(1); /* refcounts up to 3 */
	CHECK(packs(10) == 3 * CS && packs(10) == 3 * CS + 10 && packs(10) == 3 * CS + 20);
	CHECK(packs(10) == 4 * CS && counted(3) == 3 && counted(4) == 1);
	end();
	begin(0);
	CHECK(packs(10) == 3 * CS && packs(CS - 1) == 4 * CS && packs(10) == 5 * CS);
	end();
}

static void freed_clusters_are_not_packed(void)
{
	struct hoff first = { 3 * CS };

	begin(4);
	CHECK(packs(100) == first.v);
	qc_alloc_cancel_bytes(&alloc, first, 100);
	CHECK(counted(3) == 0 && packs(50) == first.v && counted(3) == 1);
	qc_lock(&alloc.lock);
	qc_alloc_note_free(&alloc, first.v, CS);
	CHECK(!qc_refcounts_add(&alloc.refcounts, 3, -1));
	qc_unlock(&alloc.lock);
	CHECK(packs(50) == first.v && counted(3) == 1);
	end();
}

int main(void)
{
	RUN(the_first_free_ones_are_taken);
	RUN(what_is_undone_is_taken_next);
	RUN(what_the_file_has_may_have_been_written);
	RUN(a_new_area_gets_a_block);
	RUN(the_table_of_counts_grows);
	RUN(who_fails_takes_nothing);
	RUN(random_story);
	RUN(pending_clusters_are_free_after_the_checkpoint);
	RUN(pending_clusters_are_merged_and_only_some_are_freed);
	RUN(shared_clusters_are_not_merged);
	RUN(only_the_last_name_frees);
	RUN(clusters_of_compressed_data_lose_one_reference_each);
	RUN(compressed_data_is_packed);
	RUN(full_clusters_are_not_packed);
	RUN(freed_clusters_are_not_packed);
	RUN(damaged_counts_end_it);
	RUN(a_release_that_fails_comes_again);
	RUN(tables_lie_low);
	RUN(version_1_only_grows);
	CHECK(budget.used == 0);
	return DONE();
}
