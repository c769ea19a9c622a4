/* SPDX-License-Identifier: MIT */
/* Requests of one image in progress never exceed its limit; queued ones are served in order. */
#include "tap.h"
#include "ops/request_limit.h"

#include <stdlib.h>

struct request {
	struct queued_request queued;
	int number;
};

static bool no_memory;

static struct queued_request *copy_to_queue(struct queued_request *t)
{
	struct request *r = no_memory ? NULL : malloc(sizeof(*r));

	if (r)
		*r = *(struct request *)t;
	return r ? &r->queued : NULL;
}

static struct limit_slot *slot_of[1000]; /* as they come */

static bool begin(struct request_limit *t, uint64_t image, int number)
{
	struct request r = { .queued.image = image, .number = number };
	bool begun = request_limit_begin(t, &r.queued, copy_to_queue) == &r.queued;

	slot_of[image] = r.queued.slot;
	return begun;
}

/* Returns the number of the request that is served next, or 0. */
static int end(struct request_limit *t, uint64_t image)
{
	struct queued_request *next = request_limit_end(t, slot_of[image]);
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

/* Also images whose slots are in one bucket. */
static void other_images_do_not_wait(void)
{
	struct request_limit t;

	request_limit_init(&t, 1);
	CHECK(begin(&t, 1, 1) && !begin(&t, 1, 2));
	for (uint64_t image = 2; image < 1000; image++)
		CHECK(begin(&t, image, 3));
	for (uint64_t image = 2; image < 1000; image++)
		CHECK(!begin(&t, image, (int)image));
	for (uint64_t image = 2; image < 1000; image++)
		CHECK(end(&t, image) == (int)image && end(&t, image) == 0);
	CHECK(end(&t, 1) == 2 && end(&t, 1) == 0);
	request_limit_destroy(&t);
}

static void without_a_limit_no_request_waits(void)
{
	struct request_limit t;

	request_limit_init(&t, 0);
	for (int i = 0; i < 100; i++)
		CHECK(begin(&t, 1, i));
	for (int i = 0; i < 100; i++)
		CHECK(end(&t, 1) == 0);
	request_limit_destroy(&t);
}

/* A request that cannot be copied is served at once, not lost. */
static void without_memory_no_request_waits(void)
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

enum { WORKERS = 6, EACH = 20000, LIMIT = 2 };

static atomic_uint inside, most, done;

static void be_inside(struct request_limit *t, struct queued_request *next,
		      struct queued_request *mine)
{
	struct limit_slot *slot = mine->slot;

	while (next) {
		unsigned int n = atomic_fetch_add(&inside, 1) + 1;

		if (n > atomic_load(&most))
			atomic_store(&most, n);
		atomic_fetch_add(&done, 1);
		atomic_fetch_sub(&inside, 1);
		if (next != mine)
			free(next);
		next = request_limit_end(t, slot);
	}
}

static void *work(void *arg)
{
	for (int i = 0; i < EACH; i++) {
		struct request r = { .queued.image = 5 };

		be_inside(arg, request_limit_begin(arg, &r.queued, copy_to_queue), &r.queued);
	}
	return NULL;
}

static void every_request_is_served(void)
{
	pthread_t worker[WORKERS];
	struct request_limit t;

	request_limit_init(&t, LIMIT);
	for (int i = 0; i < WORKERS; i++)
		CHECK(!pthread_create(&worker[i], NULL, work, &t));
	for (int i = 0; i < WORKERS; i++)
		pthread_join(worker[i], NULL);
	CHECK(atomic_load(&done) == WORKERS * EACH && atomic_load(&most) <= LIMIT);
	request_limit_destroy(&t);
}

int main(void)
{
	RUN(the_next_begins_when_one_ends);
	RUN(other_images_do_not_wait);
	RUN(without_a_limit_no_request_waits);
	RUN(without_memory_no_request_waits);
	RUN(every_request_is_served);
	return DONE();
}
