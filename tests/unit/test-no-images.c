/* SPDX-License-Identifier: MIT */
#include "tree/no_images.h"

#include <string.h>

#include "tap.h"

static struct identity make_identity(unsigned int i)
{
	struct identity id;

	memset(&id, 0, sizeof(id));
	id.dev = 1;
	id.ino = i;
	id.size = 3;
	return id;
}

static void an_empty_set_contains_nothing(void)
{
	struct no_images s = { 0 };
	struct identity id = make_identity(1);

	CHECK(!no_images_contain(&s, 0, &id));
	no_images_free(&s);
}

static void all_that_were_added_are_found(void)
{
	struct no_images s = { 0 };
	bool all = true, none = true;

	for (unsigned int i = 0; i < 20000; i++) {
		struct identity id = make_identity(i);

		no_images_add(&s, 7, &id);
		no_images_add(&s, 7, &id);
	}
	CHECK(s.n == 20000);
	for (unsigned int i = 0; i < 40000; i++) {
		struct identity id = make_identity(i);

		if (i < 20000)
			all = all && no_images_contain(&s, 7, &id);
		else
			none = none && !no_images_contain(&s, 7, &id);
	}
	CHECK(all);
	CHECK(none);
	no_images_free(&s);
	CHECK(!s.slots);
}

static void any_change_of_a_file_counts(void)
{
	struct no_images s = { 0 };
	struct identity id = make_identity(5), other;

	no_images_add(&s, 1, &id);
	CHECK(no_images_contain(&s, 1, &id));
	other = id;
	other.size++;
	CHECK(!no_images_contain(&s, 1, &other));
	other = id;
	other.ctime.tv_nsec++;
	CHECK(!no_images_contain(&s, 1, &other));
	other = id;
	other.mtime.tv_sec--;
	CHECK(!no_images_contain(&s, 1, &other));
	other = id;
	other.dev++;
	CHECK(!no_images_contain(&s, 1, &other));
	no_images_free(&s);
}

int main(void)
{
	RUN(an_empty_set_contains_nothing);
	RUN(all_that_were_added_are_found);
	RUN(any_change_of_a_file_counts);
	return DONE();
}
