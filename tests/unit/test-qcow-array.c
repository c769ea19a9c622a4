/* SPDX-License-Identifier: MIT */
/* A growing array keeps its elements, and its state where memory is short. */

#include <stdbool.h>

#include "qcow_array.h"
#include "tap.h"

static void elements_survive_growth(void)
{
	uint32_t *at = NULL;
	size_t room = 0, n = 0;
	bool same = true;

	for (; n < 1000; n++) {
		CHECK(!array_reserve(&at, &room, n + 1, sizeof(*at)));
		at[n] = (uint32_t)n * 3;
	}
	for (size_t i = 0; i < n; i++)
		same = same && at[i] == i * 3;
	CHECK(same && room >= n && room < 2 * n);
	free(at);
}

static void room_doubles(void)
{
	uint64_t *at = NULL;
	size_t room = 0, last = 0, grown = 0;

	for (size_t n = 1; n <= 4096; n++) {
		CHECK(!array_reserve(&at, &room, n, sizeof(*at)));
		grown += room != last;
		last = room;
	}
	CHECK(grown == 9 && room == 4096); /* 16, 32, ... 4096 */
	free(at);
}

static void one_call_makes_room_for_many(void)
{
	uint8_t *at = NULL;
	size_t room = 0;

	CHECK(!array_reserve(&at, &room, 0, 1) && !room && !at);
	CHECK(!array_reserve(&at, &room, 100000, 1) && room >= 100000);
	at[99999] = 1;
	free(at);
}

static void failure_leaves_the_array(void)
{
	uint64_t *at = NULL;
	size_t room = 0;

	CHECK(!array_reserve(&at, &room, 1, sizeof(*at)));
	at[0] = 7;
	CHECK(array_reserve(&at, &room, SIZE_MAX / 4, sizeof(*at)) == -ENOMEM);
	CHECK(array_reserve(&at, &room, SIZE_MAX, sizeof(*at)) == -ENOMEM);
	CHECK(room == ARRAY_ROOM_FIRST && at[0] == 7);
	free(at);
}

int main(void)
{
	RUN(elements_survive_growth);
	RUN(room_doubles);
	RUN(one_call_makes_room_for_many);
	RUN(failure_leaves_the_array);
	return DONE();
}
