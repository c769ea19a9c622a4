/* SPDX-License-Identifier: MIT */
/*
 * Each kind of entry after a write, zeros and a discard, word by word.
 *
 * sanitize: address
 */
#include "entries.h"

enum state { ABSENT, DATA, ZERO_PLAIN, ZERO_PLACE, COMPRESSED };

static const char *const commands[] = {
	[ABSENT] = "",
	[DATA] = "-c 'write -P 5 128k 64k'",
	[ZERO_PLAIN] = "-c 'write -z 128k 64k'",
	[ZERO_PLACE] = "-c 'write -P 5 128k 64k' -c 'write -z 128k 64k'",
	[COMPRESSED] = "-c 'write -c -P 5 128k 64k'",
};

struct row {
	unsigned int formats;
	enum state state;
	bool shared; /* with a snapshot */
	enum host host;
	uint64_t flags;
};

/* The entry is as in the table. */
static bool is_state(const struct words *w, enum state s, bool shared)
{
	uint64_t copied = shared ? 0 : COPIED;

	switch (s) {
	case ABSENT:
		return w->word == 0;
	case DATA:
		return w->word & HOST && (w->word & ~HOST) == copied;
	case ZERO_PLAIN:
		return w->word == 1;
	case ZERO_PLACE:
		return w->word & HOST && (w->word & ~HOST) == (copied | 1);
	case COMPRESSED:
		return w->word >> 62 == 1;
	}
	return false;
}

static void rows(const struct row *t, size_t n, enum request what, uint64_t off, uint64_t len)
{
	for (size_t i = 0; i < n; i++) {
		for (unsigned int f = V2; f <= V3_BACKED; f *= 2) {
			struct words before;
			bool so;

			if (!(t[i].formats & f))
				continue;
			entries_make((enum format)f, commands[t[i].state], t[i].shared);
			before = entry_of((enum format)f, 2);
			so = is_state(&before, t[i].state, t[i].shared) &&
			     entry_becomes((enum format)f, t[i].shared, what, off, len, t[i].host,
					   t[i].flags, 0);
			if (!so)
				printf("# row %zu, format %u: not so\n", i, f);
			CHECK(so);
		}
	}
}

#define ROWS(t, what, off, len) rows(t, COUNT(t), what, off, len)

/* Clusters that are allocated stay so; all others are allocated. */
static const struct row written[] = {
	{ ANY, ABSENT, false, NEW, COPIED },
	{ ANY, DATA, false, SAME, COPIED },
	{ ANY, DATA, true, NEW, COPIED },
	{ ANY, COMPRESSED, false, NEW, COPIED },
	{ ANY, COMPRESSED, true, NEW, COPIED },
	{ ANY_V3, ZERO_PLAIN, false, NEW, COPIED },
	{ ANY_V3, ZERO_PLAIN, true, NEW, COPIED },
	{ ANY_V3, ZERO_PLACE, false, SAME, COPIED },
	{ ANY_V3, ZERO_PLACE, true, NEW, COPIED },
};

static void a_part_is_written(void)
{
	ROWS(written, WRITE, 8 * K + 5, 3000);
}

static void a_cluster_is_written(void)
{
	ROWS(written, WRITE, 0, CLUSTER);
}

/* Entries get the zero flag, if there is one; an allocated cluster stays so.  An
 * unallocated cluster without a backing file is zeros as it is. */
static void a_cluster_is_zeroed(void)
{
	static const struct row t[] = {
		{ V2 | V3, ABSENT, false, NONE, 0 },
		{ V3_BACKED, ABSENT, false, NONE, 1 },
		{ V2_BACKED, ABSENT, false, NEW, COPIED },
		{ ANY_V3, DATA, false, SAME, COPIED | 1 },
		{ ANY_V3, DATA, true, NONE, 1 },
		{ V2, DATA, false, NONE, 0 },
		{ V2, DATA, true, NONE, 0 },
		{ V2_BACKED, DATA, false, SAME, COPIED },
		{ V2_BACKED, DATA, true, NEW, COPIED },
		{ ANY_V3, COMPRESSED, false, NONE, 1 },
		{ ANY_V3, COMPRESSED, true, NONE, 1 },
		{ V2, COMPRESSED, false, NONE, 0 },
		{ V2_BACKED, COMPRESSED, false, NEW, COPIED },
		{ ANY_V3, ZERO_PLAIN, false, NONE, 1 },
		{ ANY_V3, ZERO_PLACE, false, SAME, COPIED | 1 },
		{ ANY_V3, ZERO_PLACE, true, NONE, 1 },
	};

	ROWS(t, ZERO, 0, CLUSTER);
}

/* The place is given back. */
static void a_cluster_is_discarded(void)
{
	static const struct row t[] = {
		{ V2 | V3, ABSENT, false, NONE, 0 },
		{ V3_BACKED, ABSENT, false, NONE, 1 },
		{ V2_BACKED, ABSENT, false, NEW, COPIED },
		{ ANY_V3, DATA, false, NONE, 1 },
		{ ANY_V3, DATA, true, NONE, 1 },
		{ V2, DATA, false, NONE, 0 },
		{ V2, DATA, true, NONE, 0 },
		{ V2_BACKED, DATA, false, SAME, COPIED },
		{ ANY_V3, COMPRESSED, false, NONE, 1 },
		{ V2, COMPRESSED, false, NONE, 0 },
		{ ANY_V3, ZERO_PLAIN, false, NONE, 1 },
		{ ANY_V3, ZERO_PLACE, false, NONE, 1 },
		{ ANY_V3, ZERO_PLACE, true, NONE, 1 },
	};

	ROWS(t, DISCARD, 0, CLUSTER);
}

/* No entry can say that: zeros are written, unless there are some. */
static const struct row in_part[] = {
	{ V2 | V3, ABSENT, false, NONE, 0 },
	{ V2_BACKED | V3_BACKED, ABSENT, false, NEW, COPIED },
	{ ANY, DATA, false, SAME, COPIED },
	{ ANY, DATA, true, NEW, COPIED },
	{ ANY, COMPRESSED, false, NEW, COPIED },
	{ ANY_V3, ZERO_PLAIN, false, NONE, 1 },
	{ ANY_V3, ZERO_PLAIN, true, NONE, 1 },
	{ ANY_V3, ZERO_PLACE, false, SAME, COPIED | 1 },
	{ ANY_V3, ZERO_PLACE, true, SAME, 1 },
};

static void a_part_is_zeroed(void)
{
	ROWS(in_part, ZERO, 4 * K, 60 * K);
}

static void a_part_is_discarded(void)
{
	ROWS(in_part, DISCARD, 0, 63 * K);
}

/* It gets a place where it has none, not one of its own where that is shared. */
static void a_cluster_is_allocated(void)
{
	static const struct row t[] = {
		{ ANY, ABSENT, false, NEW, COPIED },
		{ ANY, DATA, false, SAME, COPIED },
		{ ANY, DATA, true, SAME, 0 },
		{ ANY, COMPRESSED, false, NEW, COPIED },
		{ ANY_V3, ZERO_PLAIN, false, NEW, COPIED },
		{ ANY_V3, ZERO_PLACE, false, SAME, COPIED },
		{ ANY_V3, ZERO_PLACE, true, NEW, COPIED },
	};

	ROWS(t, ALLOCATE, 0, CLUSTER);
}

/* The L1 entry has no COPIED, though nobody else names the table. */
static void a_table_that_looks_shared_is_copied(void)
{
	for (unsigned int f = V2; f <= V3_BACKED; f *= 2) {
		entries_make((enum format)f, commands[DATA], false);
		poke64("image", l1_at("image"), peek64("image", l1_at("image")) & ~COPIED);
		/* To write in place would do no harm, but the entry might be shared as well. */
		CHECK(!entries_ask(WRITE, AT, 512));
		CHECK(peek64("image", l1_at("image")) & COPIED);
		CHECK(is_sound("image"));
	}
}

int main(void)
{
	begin();
	ctx = context_new(NULL);
	RUN(a_part_is_written);
	RUN(a_cluster_is_written);
	RUN(a_cluster_is_zeroed);
	RUN(a_cluster_is_discarded);
	RUN(a_part_is_zeroed);
	RUN(a_part_is_discarded);
	RUN(a_cluster_is_allocated);
	RUN(a_table_that_looks_shared_is_copied);
	context_end(ctx);
	return DONE();
}
