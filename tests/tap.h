/* SPDX-License-Identifier: MIT */
/*
 * tap.h - the whole test framework of the C tests.
 *
 *	static void halves_of_even_numbers(void) { CHECK(6 / 2 == 3); }
 *	int main(void) { RUN(halves_of_even_numbers); return DONE(); }
 *
 * A CHECK that fails says where, and goes on; the test's status is 1.  A test
 * that cannot run here calls SKIP("why") and its status is 77.
 */
#ifndef TAP_H
#define TAP_H

#include <stdio.h>
#include <stdlib.h>

__attribute__((unused)) static int tap_failed; /* not of a test that only skips */

#define CHECK(x)                                                                      \
	do {                                                                          \
		if (!(x)) {                                                           \
			printf("# %s:%d: %s: not so: %s\n", __FILE__, __LINE__,       \
			       __func__, #x);                                         \
			tap_failed++;                                                 \
		}                                                                     \
	} while (0)

#define RUN(f)                                                                        \
	do {                                                                          \
		int tap_before = tap_failed;                                          \
		f();                                                                  \
		printf("%s - %s\n", tap_failed == tap_before ? "ok" : "not ok", #f);  \
		fflush(stdout);                                                       \
	} while (0)

#define SKIP(why)                                                                     \
	do {                                                                          \
		printf("skip: %s\n", why);                                            \
		exit(77);                                                             \
	} while (0)

#define DONE() (tap_failed ? EXIT_FAILURE : EXIT_SUCCESS)

#endif
