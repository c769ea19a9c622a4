/* SPDX-License-Identifier: MIT */
/* Counts in blocks, and the table of blocks, on a file that is memory. */
#include <errno.h>

#include "base/outcome.h"
#include "counted.h"
#include "random.h"

static struct qc_budget budget = { .limit = 64 << 20 };
static struct ramfile file;
static struct qc_refcounts counts;

static void each_width_counts_up_and_down(void)
{
	for (unsigned int order = 0; order <= REFCOUNT_ORDER_MAX; order++) {
		uint64_t most = qc_refcount_max(order), last = per_block(order) - 1;

		counted_new(&counts, &file, order, &budget);
		CHECK(counts.order == order && count_of(&counts, 2) == 1);
		CHECK(count_of(&counts, 3) == 0 && qc_refcounts_add(&counts, 3, -1) == QC_REFCOUNT_UNDERFLOW);
		CHECK(!qc_refcounts_add(&counts, last, 1) && count_of(&counts, last) == 1);
		CHECK(!qc_refcounts_set(&counts, 4, most) && count_of(&counts, 4) == most);
		CHECK(qc_refcounts_add(&counts, 4, 1) == -EOVERFLOW);
		CHECK(count_of(&counts, 4) == most && count_of(&counts, 3) == 0);
		CHECK(!qc_refcounts_add(&counts, 4, -1) && count_of(&counts, 4) == most - 1);
		CHECK(!qc_refcounts_add(&counts, 4, 1) && count_of(&counts, 4) == most);
		CHECK(count_of(&counts, 5) == 0);
		if (order < REFCOUNT_ORDER_MAX) {
			CHECK(qc_refcounts_set(&counts, 5, most + 1) == -EOVERFLOW);
			CHECK(count_of(&counts, 5) == 0);
		}
		CHECK(counted_in_file(&file, order, 4) == 0); /* not yet */
		CHECK(!qc_refcounts_write_blocks(&counts));
		CHECK(counted_in_file(&file, order, 4) == most);
		CHECK(counted_in_file(&file, order, last) == 1);
		CHECK(counted_in_file(&file, order, 5) == 0);
		CHECK(counted_in_file(&file, order, 2) == 1);
		counted_end(&counts, &file);
	}
}

/* Random counts in random areas, read back after the file is opened again. */
static void what_is_written_is_read_back(void)
{
	uint64_t seed = random_seed();

	for (unsigned int order = 0; order <= REFCOUNT_ORDER_MAX; order++) {
		uint64_t areas[5] = { 0, 1, 2, 7, ENTRIES - 1 }, want[5][16] = { 0 }, taken;

		counted_new(&counts, &file, order, &budget);
		want[0][0] = want[0][1] = want[0][2] = 1;
		for (uint64_t i = 1; i < 5; i++) {
			uint64_t first = areas[i] * per_block(order);

			CHECK(!qc_refcounts_ensure_block(&counts, first, &taken) && taken == 1);
			want[i][0] = 1;
		}
		for (int turn = 0; turn < 300; turn++) {
			uint64_t i = random_below(&seed, 5), k = 3 + random_below(&seed, 13);
			uint64_t v = random_u64(&seed) & qc_refcount_max(order);

			CHECK(!qc_refcounts_set(&counts, areas[i] * per_block(order) + k, v));
			want[i][k] = v;
		}
		counted_write(&counts);
		qc_refcounts_close(&counts);
		counted_open(&counts, &file, order, &budget);
		for (uint64_t i = 0; i < 5; i++)
			for (uint64_t k = 0; k < 16; k++) {
				uint64_t c = areas[i] * per_block(order) + k;

				CHECK(count_of(&counts, c) == want[i][k]);
				CHECK(counted_in_file(&file, order, c) == want[i][k]);
			}
		counted_end(&counts, &file);
	}
}

static void an_area_without_a_block_counts_nothing(void)
{
	uint64_t c = 3 * per_block(4) + 5;

	counted_new(&counts, &file, 4, &budget);
	CHECK(!qc_refcounts_has_block(&counts, c) && count_of(&counts, c) == 0);
	CHECK(qc_refcounts_add(&counts, c, 1) == -EIO && count_of(&counts, c) == 0);
	CHECK(count_of(&counts, UINT64_MAX >> CLUSTER_BITS) == 0);
	counted_end(&counts, &file);
}

/* It counts itself, and its entry comes to the file later than it does. */
static void a_new_block_is_in_its_own_area(void)
{
	for (unsigned int order = 0; order <= REFCOUNT_ORDER_MAX; order++) {
		uint64_t c = 2 * per_block(order) + 7, taken = 0;
		struct qc_reftable_update e;

		counted_new(&counts, &file, order, &budget);
		CHECK(!qc_refcounts_ensure_block(&counts, c, &taken) && taken == 1);
		CHECK(qc_refcounts_has_block(&counts, c - 7) && !qc_refcounts_has_block(&counts, c - 8));
		CHECK(count_of(&counts, c) == 1 && count_of(&counts, c + 1) == 0);
		CHECK(file_count(file.bytes + c * CS, order, 7) == 1);
		CHECK(ram_last(&file, 1, RAM_WRITE, c * CS, CS));
		CHECK(be64_at(file.bytes + TABLE + 16) == 0);
		CHECK(!qc_refcounts_ensure_block(&counts, c + 1, &taken) && taken == 0);

		/* A block that could not be written stays dirty. */
		CHECK(!qc_refcounts_take_table_entries(&counts, &e) && e.entry && e.n == 1);
		CHECK(!qc_refcounts_write_table_entries(&counts, &e, false));
		CHECK(be64_at(file.bytes + TABLE + 16) == 0 && counts.table_dirty);
		CHECK(!qc_refcounts_take_table_entries(&counts, &e) && e.first == 2 && e.n == 1);
		file.fail[RAM_WRITE] = 1;
		CHECK(qc_refcounts_write_table_entries(&counts, &e, true) == -ENOSPC);
		CHECK(be64_at(file.bytes + TABLE + 16) == 0 && counts.table_dirty);
		counted_write(&counts);
		CHECK(be64_at(file.bytes + TABLE + 16) == c * CS && !counts.table_dirty);
		CHECK(!qc_refcounts_take_table_entries(&counts, &e) && !e.entry);
		counted_end(&counts, &file);
	}
}

static void a_block_that_cannot_be_written_is_none(void)
{
	uint64_t c = per_block(4), taken;

	counted_new(&counts, &file, 4, &budget);
	file.fail[RAM_WRITE] = 1;
	CHECK(qc_refcounts_ensure_block(&counts, c, &taken) == -ENOSPC);
	CHECK(!qc_refcounts_has_block(&counts, c) && !counts.table_dirty);
	CHECK(!qc_refcounts_ensure_block(&counts, c, &taken) && taken == 1);
	counted_end(&counts, &file);
}

/* Behind the last cluster that it can count: blocks, then the new table. */
static void the_table_grows(void)
{
	for (unsigned int order = 0; order <= REFCOUNT_ORDER_MAX; order++) {
		uint64_t c = ENTRIES * per_block(order), taken = 0, table, clusters, blocks = 1;

		counted_new(&counts, &file, order, &budget);
		CHECK(!qc_refcounts_ensure_block(&counts, c - 1, &taken) && taken == 1);
		taken = 0;
		CHECK(!qc_refcounts_ensure_block(&counts, c, &taken));
		table = be64_at(file.bytes + HEAD_REFTABLE_OFFSET);
		clusters = be32_at(file.bytes + HEAD_REFTABLE_CLUSTERS);
		CHECK(counts.table_offset == table && counts.entries == clusters * ENTRIES);
		CHECK(clusters >= 2 && counts.entries > ENTRIES + 1);
		CHECK(table == (c + blocks) * CS && taken == blocks + clusters);
		/* All is on the disk before the header says so, and that is, too. */
		CHECK(ram_last(&file, 1, RAM_SYNC, 0, 0));
		CHECK(ram_last(&file, 2, RAM_WRITE, HEAD_REFTABLE_OFFSET, 12));
		CHECK(ram_last(&file, 3, RAM_SYNC, 0, 0));
		CHECK(ram_last(&file, 4, RAM_WRITE, table, clusters * CS));
		CHECK(be64_at(file.bytes + table) == BLOCK);
		CHECK(be64_at(file.bytes + table + 8 * (ENTRIES - 1)) == (c - 1) * CS);
		CHECK(be64_at(file.bytes + table + 8 * ENTRIES) == c * CS);
		CHECK(!counts.table_dirty);
		for (uint64_t i = 0; i < taken; i++)
			CHECK(count_of(&counts, c + i) == 1 &&
			      counted_in_file(&file, order, c + i) == 1);
		CHECK(count_of(&counts, c + taken) == 0 && qc_refcounts_has_block(&counts, c + taken));
		/* The old one is free; in the file, later. */
		CHECK(count_of(&counts, 1) == 0 && counted_in_file(&file, order, 1) == 1);
		CHECK(!qc_refcounts_write_blocks(&counts) && counted_in_file(&file, order, 1) == 0);
		CHECK(counted_in_file(&file, order, 2) == 1);
		counted_end(&counts, &file);
	}
}

/* At each of its writes and syncs: the table is the old one, also in the header. */
static void a_table_that_cannot_grow_stays(void)
{
	uint64_t c = ENTRIES * per_block(6), taken;
	atomic_bool aborted = false;

	for (enum ram_call call = RAM_WRITE; call <= RAM_SYNC; call++) {
		int n = 1;

		counted_new(&counts, &file, 6, &budget);
		counts.aborted = &aborted;
		for (;; n++) {
			file.fail[call] = n;
			if (!qc_refcounts_ensure_block(&counts, c, &taken))
				break;
			CHECK(atomic_exchange(&aborted, false) == (call == RAM_SYNC));
			CHECK(counts.entries == ENTRIES && counts.table_offset == TABLE);
			CHECK(count_of(&counts, 1) == 1 && !qc_refcounts_has_block(&counts, c));
			if (be64_at(file.bytes + HEAD_REFTABLE_OFFSET) != TABLE) {
				/* The header may say so, or not: both are true. */
				CHECK(call == RAM_SYNC && n == 2);
				be64_to(file.bytes + HEAD_REFTABLE_OFFSET, TABLE);
				be32_to(file.bytes + HEAD_REFTABLE_CLUSTERS, 1);
			}
			file.size = c * CS; /* what lies behind is for the next try */
		}
		CHECK(n == (call == RAM_WRITE ? 4 : 3)); /* block, table, header; two syncs */
		CHECK(counts.entries > ENTRIES && !aborted);
		counted_end(&counts, &file);
	}
}

static void what_cannot_be_counted_is_not_overwritten(void)
{
	uint64_t c = ENTRIES * per_block(6), taken;

	counted_new(&counts, &file, 6, &budget);
	file.size = c * CS + 1;
	CHECK(qc_refcounts_ensure_block(&counts, c, &taken) == -EIO);
	CHECK(counts.entries == ENTRIES && ram_last(&file, 1, RAM_WRITE, BLOCK, CS));
	counted_end(&counts, &file);
}

/* Blocks that changed go to the file early if there is no memory for more. */
static void little_memory_is_enough(void)
{
	struct qc_budget none = { .limit = 1 };
	uint64_t taken;

	counted_new(&counts, &file, 6, &none);
	for (uint64_t a = 1; a < ENTRIES; a++) {
		CHECK(!qc_refcounts_ensure_block(&counts, a * per_block(6), &taken) && taken == 1);
		for (uint64_t k = 1; k < per_block(6); k++)
			CHECK(!qc_refcounts_add(&counts, a * per_block(6) + k, 1));
	}
	counted_write(&counts);
	for (uint64_t a = 1; a < ENTRIES; a++)
		for (uint64_t k = 0; k < per_block(6); k++)
			CHECK(counted_in_file(&file, 6, a * per_block(6) + k) == 1);
	counted_end(&counts, &file);
}

static void a_damaged_table_is_refused(void)
{
	static const uint64_t bad[] = { 1, CS + 8, UINT64_C(1) << 63, UINT64_MAX };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct qc_header h = { .geom = { .cluster_bits = CLUSTER_BITS },
				       .refcount_order = 4, .reftable_offset = TABLE,
				       .reftable_clusters = 1 };
		struct qc_reason why;

		counted_new(&counts, &file, 4, &budget);
		qc_refcounts_close(&counts);
		be64_to(file.bytes + TABLE + 8, bad[i]);
		CHECK(qc_refcounts_open(&counts, &file.file, &h, &budget, &why) == -EINVAL);
		CHECK(strstr(why.text, "entry 1"));
		counted_end(&counts, &file);
	}
}

int main(void)
{
	RUN(each_width_counts_up_and_down);
	RUN(what_is_written_is_read_back);
	RUN(an_area_without_a_block_counts_nothing);
	RUN(a_new_block_is_in_its_own_area);
	RUN(a_block_that_cannot_be_written_is_none);
	RUN(the_table_grows);
	RUN(a_table_that_cannot_grow_stays);
	RUN(what_cannot_be_counted_is_not_overwritten);
	RUN(little_memory_is_enough);
	RUN(a_damaged_table_is_refused);
	CHECK(budget.used == 0);
	return DONE();
}
