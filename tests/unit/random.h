/* SPDX-License-Identifier: MIT */
/*
 * random.h - random numbers that can be had again.
 *
 * The seed is printed by random_seed(), and taken from $SEED where that is set.
 */
#ifndef RANDOM_H
#define RANDOM_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static inline uint64_t random_seed(void)
{
	const char *given = getenv("SEED");
	uint64_t seed = (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();

	if (given && *given)
		seed = strtoull(given, NULL, 0);
	printf("# SEED=%" PRIu64 "\n", seed);
	fflush(stdout);
	return seed;
}

/* splitmix64; the state is the caller's, so that threads need not share one. */
static inline uint64_t random_u64(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static inline uint64_t random_below(uint64_t *state, uint64_t n)
{
	return random_u64(state) % n;
}

/* Bytes of which every run can be told from every other. */
static inline void random_fill(uint64_t seed, void *buf, size_t len)
{
	uint8_t *p = buf;

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(random_u64(&seed) >> 32);
}

#endif
