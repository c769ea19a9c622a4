/* SPDX-License-Identifier: MIT */
/*
 * What requests make of extended entries, with both of their words; a subcluster is 2 KiB.
 *
 * sanitize: address
 */
#include "entries.h"

#define ALL UINT64_C(0xffffffff)
#define ZEROS(bits) ((uint64_t)(bits) << 32)

struct row {
	unsigned int formats;
	const char *commands;
	bool shared;
	enum host was_host; /* NONE, or SAME: any */
	uint64_t was_flags, was_bits;
	enum request what;
	uint64_t off, len;
	enum host host;
	uint64_t flags, bits;
};

static const char empty[] = "", one[] = "-c 'write -P 5 130k 2k'",
		  full[] = "-c 'write -P 5 128k 64k'", packed[] = "-c 'write -c -P 5 128k 64k'",
		  zeros[] = "-c 'write -z 128k 64k'",
		  two[] = "-c 'write -P 5 132k 2k' -c 'write -P 6 168k 2k'",
		  mixed[] = "-c 'write -P 5 130k 2k' -c 'write -z 132k 2k'",
		  kept[] = "-c 'write -P 5 130k 2k' -c 'write -z 128k 64k'";

static void rows(const struct row *t, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (unsigned int f = EXTENDED; f <= EXTENDED_BACKED; f *= 2) {
			struct words w;
			bool so;

			if (!(t[i].formats & f))
				continue;
			entries_make((enum format)f, t[i].commands, t[i].shared);
			w = entry_of((enum format)f, 2);
			if (t[i].was_flags & PACKED)
				so = w.word >> 62 == 1;
			else
				so = !(w.word & HOST) == (t[i].was_host == NONE) &&
				     (w.word & ~HOST) == t[i].was_flags;
			so = so && w.bits == t[i].was_bits;
			if (!so)
				printf("# begins as %016" PRIx64 " %016" PRIx64 "\n", w.word, w.bits);
			so = so && entry_becomes((enum format)f, t[i].shared, t[i].what, t[i].off,
						 t[i].len, t[i].host, t[i].flags, t[i].bits);
			if (!so)
				printf("# row %zu, format %u: not so\n", i, f);
			CHECK(so);
		}
	}
}

/* Only touched subclusters become data; with a shared host cluster all data is copied. */
static void writes(void)
{
	static const struct row t[] = {
		{ ANY_EXTENDED, empty, false, NONE, 0, 0, WRITE, 2 * K, 2 * K, NEW, COPIED, 2 },
		{ ANY_EXTENDED, empty, false, NONE, 0, 0, WRITE, 3 * K, 2 * K, NEW, COPIED, 6 },
		{ ANY_EXTENDED, empty, false, NONE, 0, 0, WRITE, 4 * K + 1, 1, NEW, COPIED, 4 },
		{ ANY_EXTENDED, empty, false, NONE, 0, 0, WRITE, 0, CLUSTER, NEW, COPIED, ALL },
		{ ANY_EXTENDED, one, false, SAME, COPIED, 2, WRITE, 2 * K, 5, SAME, COPIED, 2 },
		{ ANY_EXTENDED, one, false, SAME, COPIED, 2, WRITE, 62 * K, 2 * K, SAME, COPIED,
		  0x80000002 },
		{ ANY_EXTENDED, mixed, false, SAME, COPIED, 2 | ZEROS(4), WRITE, 4 * K, 1 * K, SAME,
		  COPIED, 6 },
		{ ANY_EXTENDED, zeros, false, NONE, 0, ZEROS(ALL), WRITE, 5 * K, 2 * K, NEW, COPIED,
		  0xc | ZEROS(0xfffffff3) },
		{ ANY_EXTENDED, kept, false, SAME, COPIED, ZEROS(ALL), WRITE, 2 * K, 2 * K, SAME,
		  COPIED, 2 | ZEROS(0xfffffffd) },
		{ ANY_EXTENDED, packed, false, SAME, PACKED, 0, WRITE, 2 * K, 2 * K, NEW, COPIED, ALL },
		{ ANY_EXTENDED, packed, true, SAME, PACKED, 0, WRITE, 2 * K, 2 * K, NEW, COPIED, ALL },
		{ ANY_EXTENDED, two, true, SAME, 0, 0x100004, WRITE, 20 * K, 2 * K, NEW, COPIED,
		  0x100404 },
		{ ANY_EXTENDED, mixed, true, SAME, 0, 2 | ZEROS(4), WRITE, 4 * K, 2 * K, NEW, COPIED,
		  6 },
		{ ANY_EXTENDED, kept, true, SAME, 0, ZEROS(ALL), WRITE, 4 * K, 2 * K, NEW, COPIED,
		  4 | ZEROS(0xfffffffb) },
	};

	rows(t, COUNT(t));
}

/* By subcluster; where a cluster is zeros in whole, a place of its own stays. */
static void zeroes(void)
{
	static const struct row t[] = {
		{ ANY_EXTENDED, empty, false, NONE, 0, 0, ZERO, 4 * K, 2 * K, NONE, 0, ZEROS(4) },
		{ EXTENDED, empty, false, NONE, 0, 0, ZERO, 0, CLUSTER, NONE, 0, 0 },
		{ EXTENDED_BACKED, empty, false, NONE, 0, 0, ZERO, 0, CLUSTER, NONE, 0, ZEROS(ALL) },
		{ ANY_EXTENDED, one, false, SAME, COPIED, 2, ZERO, 4 * K, 2 * K, SAME, COPIED,
		  2 | ZEROS(4) },
		{ ANY_EXTENDED, one, false, SAME, COPIED, 2, ZERO, 0, CLUSTER, SAME, COPIED,
		  ZEROS(ALL) },
		{ ANY_EXTENDED, full, false, SAME, COPIED, ALL, ZERO, 4 * K, 2 * K, SAME, COPIED,
		  0xfffffffb | ZEROS(4) },
		/* The ends of it are written, or all, if it is short. */
		{ ANY_EXTENDED, full, false, SAME, COPIED, ALL, ZERO, 5 * K, 4 * K, SAME, COPIED,
		  0xfffffff7 | ZEROS(8) },
		{ ANY_EXTENDED, full, false, SAME, COPIED, ALL, ZERO, 5 * K, 2 * K, SAME, COPIED, ALL },
		{ ANY_EXTENDED, zeros, false, NONE, 0, ZEROS(ALL), ZERO, 5 * K, 4 * K, NONE, 0,
		  ZEROS(ALL) },
		{ ANY_EXTENDED, packed, false, SAME, PACKED, 0, ZERO, 4 * K, 2 * K, NEW, COPIED, ALL },
		{ ANY_EXTENDED, packed, false, SAME, PACKED, 0, ZERO, 0, CLUSTER, NONE, 0,
		  ZEROS(ALL) },
		{ ANY_EXTENDED, two, true, SAME, 0, 0x100004, ZERO, 4 * K, 2 * K, SAME, 0,
		  0x100000 | ZEROS(4) },
		{ ANY_EXTENDED, two, true, SAME, 0, 0x100004, ZERO, 0, CLUSTER, NONE, 0, ZEROS(ALL) },
	};

	rows(t, COUNT(t));
}

static void discards(void)
{
	static const struct row t[] = {
		{ EXTENDED, empty, false, NONE, 0, 0, DISCARD, 0, CLUSTER, NONE, 0, 0 },
		{ EXTENDED_BACKED, empty, false, NONE, 0, 0, DISCARD, 0, CLUSTER, NONE, 0,
		  ZEROS(ALL) },
		{ ANY_EXTENDED, one, false, SAME, COPIED, 2, DISCARD, 0, CLUSTER, NONE, 0,
		  ZEROS(ALL) },
		{ ANY_EXTENDED, kept, false, SAME, COPIED, ZEROS(ALL), DISCARD, 0, CLUSTER, NONE, 0,
		  ZEROS(ALL) },
		{ ANY_EXTENDED, full, false, SAME, COPIED, ALL, DISCARD, 4 * K, 4 * K, SAME, COPIED,
		  0xfffffff3 | ZEROS(0xc) },
		{ ANY_EXTENDED, packed, false, SAME, PACKED, 0, DISCARD, 0, CLUSTER, NONE, 0,
		  ZEROS(ALL) },
		{ ANY_EXTENDED, packed, true, SAME, PACKED, 0, DISCARD, 0, CLUSTER, NONE, 0,
		  ZEROS(ALL) },
		{ ANY_EXTENDED, two, true, SAME, 0, 0x100004, DISCARD, 0, CLUSTER, NONE, 0,
		  ZEROS(ALL) },
	};

	rows(t, COUNT(t));
}

static void allocations(void)
{
	static const struct row t[] = {
		{ ANY_EXTENDED, empty, false, NONE, 0, 0, ALLOCATE, 4 * K, 2 * K, NEW, COPIED, 4 },
		{ ANY_EXTENDED, empty, false, NONE, 0, 0, ALLOCATE, 0, CLUSTER, NEW, COPIED, ALL },
		{ ANY_EXTENDED, one, false, SAME, COPIED, 2, ALLOCATE, 0, 4 * K, SAME, COPIED, 3 },
		{ ANY_EXTENDED, kept, false, SAME, COPIED, ZEROS(ALL), ALLOCATE, 2 * K, 2 * K, SAME,
		  COPIED, 2 | ZEROS(0xfffffffd) },
		{ ANY_EXTENDED, packed, false, SAME, PACKED, 0, ALLOCATE, 0, CLUSTER, NEW, COPIED,
		  ALL },
	};

	rows(t, COUNT(t));
}

/* As preallocation=metadata leaves it: the place is there, and no bit is set. */
static void a_place_that_is_reserved_is_used(void)
{
	for (unsigned int f = EXTENDED; f <= EXTENDED_BACKED; f *= 2) {
		entries_make((enum format)f, one, false);
		poke64("image", entry_at((enum format)f, 2) + 8, 0);
		CHECK(entry_becomes((enum format)f, false, WRITE, 7 * K, 2 * K, SAME, COPIED, 0x18));
		entries_make((enum format)f, one, false);
		poke64("image", entry_at((enum format)f, 2) + 8, 0);
		CHECK(entry_becomes((enum format)f, false, ALLOCATE, 0, CLUSTER, SAME, COPIED, ALL));
	}
}

/* Each of them names what cannot be: nothing is written, and the image says that it is
 * corrupt. */
static void bits_that_cannot_be(void)
{
	static const struct {
		uint64_t keep, bits;
	} t[] = {
		{ UINT64_MAX, 2 | ZEROS(2) },
		{ 0, 2 },
		{ ~COPIED & ~HOST, 0x80000000 },
	};

	for (size_t i = 0; i < COUNT(t); i++) {
		uint64_t at;

		entries_make(EXTENDED, one, false);
		at = entry_at(EXTENDED, 2);
		poke64("image", at, peek64("image", at) & t[i].keep);
		poke64("image", at + 8, t[i].bits);
		CHECK(entries_ask(WRITE, AT + 2 * K, 512) == -EIO);
		CHECK(peek64("image", at + 8) == t[i].bits && peek64("image", 72) == (2 | 16));
	}
}

int main(void)
{
	begin();
	ctx = context_new(NULL);
	RUN(writes);
	RUN(zeroes);
	RUN(discards);
	RUN(allocations);
	RUN(a_place_that_is_reserved_is_used);
	RUN(bits_that_cannot_be);
	context_end(ctx);
	return DONE();
}
