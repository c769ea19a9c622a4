/* SPDX-License-Identifier: MIT */
/* Requests for one key are at most its share at once; those who wait come in order. */
#include "tap.h"
#include "ops/request_limit.h"

#include <stdlib.h>

struct request {
	struct queued_request turn;
	int number;
};

static bool no_memory;

static struct queued_request *keep(struct queued_request *t)
{
	struct request *r = no_memory ? NULL : malloc(sizeof(*r));

	if (r)
		*r = *(struct request *)t;
	return r ? &r->turn : NULL;
}

static struct limit_slot *key_of[1000]; /* as they come */

static bool begin(struct request_limit *t, uint64_t key, int number)
{
	struct request r = { .turn.key = key, .number = number };
	bool begun = request_limit_begin(t, &r.turn, keep) == &r.turn;

	key_of[key] = r.turn.of;
	return begun;
}

/* The number of the next, or 0. */
static int end(struct request_limit *t, uint64_t key)
{
	struct queued_request *next = request_limit_end(t, key_of[key]);
	int number = next ? ((struct request *)next)->number : 0;

	free(next);
	return number;
}

static void the_next_begins_when_one_ends(void)
{
	struct request_limit t;

	request_limit_init(&t, 2);
	CHECK(begin(&t, 7, 1) && begin(&t, 7, 2));
	CHECK(!begin(&t, 7, 3) && !begin(&t, 7, 4) && !begin(&t, 7, 5));
	CHECK(end(&t, 7) == 3);
	CHECK(end(&t, 7) == 4);
	CHECK(!begin(&t, 7, 6));
	CHECK(end(&t, 7) == 5);
	CHECK(end(&t, 7) == 6);
	CHECK(end(&t, 7) == 0);
	CHECK(begin(&t, 7, 8));
	CHECK(end(&t, 7) == 0 && end(&t, 7) == 0);
	request_limit_destroy(&t);
}

/* Keys that fall into one bucket, too. */
static void other_keys_do_not_wait(void)
{
	struct request_limit t;

	request_limit_init(&t, 1);
	CHECK(begin(&t, 1, 1) && !begin(&t, 1, 2));
	for (uint64_t key = 2; key < 1000; key++)
		CHECK(begin(&t, key, 3));
	for (uint64_t key = 2; key < 1000; key++)
		CHECK(!begin(&t, key, (int)key));
	for (uint64_t key = 2; key < 1000; key++)
		CHECK(end(&t, key) == (int)key && end(&t, key) == 0);
	CHECK(end(&t, 1) == 2 && end(&t, 1) == 0);
	request_limit_destroy(&t);
}

static void without_a_share_nobody_waits(void)
{
	struct request_limit t;

	request_limit_init(&t, 0);
	for (int i = 0; i < 100; i++)
		CHECK(begin(&t, 1, i));
	for (int i = 0; i < 100; i++)
		CHECK(end(&t, 1) == 0);
	request_limit_destroy(&t);
}

/* Then it is better to begin than to be lost. */
static void without_memory_nobody_waits(void)
{
	struct request_limit t;

	request_limit_init(&t, 1);
	CHECK(begin(&t, 1, 1) && !begin(&t, 1, 2));
	no_memory = true;
	CHECK(begin(&t, 1, 3));
	no_memory = false;
	CHECK(end(&t, 1) == 0); /* there are still as many as may be */
	CHECK(end(&t, 1) == 2);
	CHECK(end(&t, 1) == 0);
	request_limit_destroy(&t);
}

enum { WORKERS = 6, EACH = 20000, SHARE = 2 };

static atomic_uint inside, most, done;

static void be_inside(struct request_limit *t, struct queued_request *turn, struct queued_request *mine)
{
	struct limit_slot *of = mine->of;

	while (turn) {
		unsigned int n = atomic_fetch_add(&inside, 1) + 1;

		if (n > atomic_load(&most))
			atomic_store(&most, n);
		atomic_fetch_add(&done, 1);
		atomic_fetch_sub(&inside, 1);
		if (turn != mine)
			free(turn);
		turn = request_limit_end(t, of);
	}
}

static void *work(void *arg)
{
	for (int i = 0; i < EACH; i++) {
		struct request r = { .turn.key = 5 };

		be_inside(arg, request_limit_begin(arg, &r.turn, keep), &r.turn);
	}
	return NULL;
}

static void nobody_is_forgotten(void)
{
	pthread_t worker[WORKERS];
	struct request_limit t;

	request_limit_init(&t, SHARE);
	for (int i = 0; i < WORKERS; i++)
		CHECK(!pthread_create(&worker[i], NULL, work, &t));
	for (int i = 0; i < WORKERS; i++)
		pthread_join(worker[i], NULL);
	CHECK(atomic_load(&done) == WORKERS * EACH && atomic_load(&most) <= SHARE);
	request_limit_destroy(&t);
}

int main(void)
{
	RUN(the_next_begins_when_one_ends);
	RUN(other_keys_do_not_wait);
	RUN(without_a_share_nobody_waits);
	RUN(without_memory_nobody_waits);
	RUN(nobody_is_forgotten);
	return DONE();
}
