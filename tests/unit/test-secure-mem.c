/* SPDX-License-Identifier: MIT */
/* Secure memory, and the key cache in it. */
#include "crypto/secure_mem.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/key_cache.h"
#include "random.h"
#include "tap.h"
#include "threads.h"

/* Sanitizers lock nothing. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LOCKS_NOTHING
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LOCKS_NOTHING
#endif

static bool is_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

static void pieces_are_apart_and_empty(void)
{
	uint8_t *a = qc_secure_alloc(1), *b = qc_secure_alloc(5000), *c = qc_secure_alloc(0), local = 0;

	CHECK(a && b && c && qc_secure_contains(a) && qc_secure_contains(b + 4999));
	CHECK(!qc_secure_contains(&local) && !qc_secure_contains(NULL));
	CHECK(is_zero(a, 1) && is_zero(b, 5000));
	memset(a, 1, 1);
	memset(b, 2, 5000);
	CHECK(a[0] == 1);
	qc_secure_free(b);
	CHECK(is_zero(b, 5000)); /* still readable, and wiped */
	b = qc_secure_alloc(5000);
	CHECK(b && is_zero(b, 5000));
	qc_secure_free(a);
	qc_secure_free(b);
	qc_secure_free(c);
	qc_secure_free(NULL);
}

static void too_much_is_refused(void)
{
	void *p = qc_secure_alloc((size_t)200 << 20), *q;

	CHECK(p);
	CHECK(!qc_secure_alloc((size_t)200 << 20));
	CHECK(!qc_secure_alloc(SIZE_MAX / 2));
	qc_secure_free(p);
	q = qc_secure_alloc((size_t)200 << 20);
	CHECK(q == p);
	qc_secure_free(q);
}

/* Returns the locked kilobytes of the mapping at p, from /proc/self/smaps. */
static int locked_at(const void *p, bool *dumped)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	char line[400];
	bool here = false;
	int kb = -1;

	while (f && fgets(line, sizeof(line), f)) {
		unsigned long from, to;
		int n;

		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = (uintptr_t)p >= from && (uintptr_t)p < to;
		if (here && sscanf(line, "Locked: %d", &n) == 1)
			kb = n;
		if (here && !strncmp(line, "VmFlags:", 8))
			*dumped = !strstr(line, " dd");
	}
	if (f)
		fclose(f);
	return kb;
}

static void secure_memory_is_locked_and_not_dumped(void)
{
	uint8_t *p = qc_secure_alloc(9000);
	bool dumped = true;
	int kb;

	memset(p, 1, 9000);
	kb = locked_at(p, &dumped);
#ifndef LOCKS_NOTHING
	CHECK(kb >= 12 || !qc_secure_all_locked());
#endif
	CHECK(kb >= 0 && !dumped);
	qc_secure_free(p);
}

/* A few single pages stay locked, since libgcrypt allocates and frees one millions of times. */
static void a_few_pages_stay_locked(void)
{
	uint8_t *p[10], *again;
	bool dumped = true, found = false;
	int kb;

	for (int i = 0; i < 10; i++) {
		p[i] = qc_secure_alloc(100);
		memset(p[i], 1, 100);
	}
	for (int i = 0; i < 10; i++)
		qc_secure_free(p[i]);
	for (int i = 0; i < 10; i++)
		CHECK(is_zero(p[i], 4096));
	kb = locked_at(p[0], &dumped);
#ifndef LOCKS_NOTHING
	CHECK(kb == 16 || !qc_secure_all_locked());
#endif
	CHECK(kb >= 0 && kb <= 16);
	again = qc_secure_alloc(100);
	for (int i = 0; i < 10; i++)
		found = found || p[i] == again;
	CHECK(found && is_zero(again, 4096));
	qc_secure_free(again);
	/* Allocates several pages over some that stayed locked. */
	again = qc_secure_alloc(20000);
	CHECK(again && is_zero(again, 20000));
#ifndef LOCKS_NOTHING
	CHECK(locked_at(again, &dumped) >= 20 || !qc_secure_all_locked());
#endif
	qc_secure_free(again);
	CHECK(locked_at(p[0], &dumped) <= 16);
}

static void a_child_process_sees_zeros(void)
{
	uint8_t *p = qc_secure_alloc(100);
	int status;
	pid_t child;

	memset(p, 7, 100);
	child = fork();
	if (!child)
		_exit(is_zero(p, 100) ? 0 : 1);
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && !WEXITSTATUS(status));
	CHECK(p[99] == 7);
	qc_secure_free(p);
}

enum { THREADS = 8, TURNS = 400, PIECES = 6 };

static void *use(void *arg)
{
	uint64_t seed = (uintptr_t)arg;
	uint8_t *p[PIECES] = { NULL };
	uintptr_t bad = 0;
	size_t n[PIECES];

	for (int i = 0; i < TURNS; i++) {
		uint64_t k = random_below(&seed, PIECES);

		if (p[k] && (p[k][0] != k || p[k][n[k] - 1] != k))
			bad++;
		qc_secure_free(p[k]);
		n[k] = 1 + random_below(&seed, 20000);
		p[k] = qc_secure_alloc(n[k]);
		if (!p[k] || !is_zero(p[k], n[k]))
			bad++;
		memset(p[k], (int)k, n[k]);
	}
	for (int k = 0; k < PIECES; k++)
		qc_secure_free(p[k]);
	return (void *)bad;
}

static void threads_do_not_share_pieces(void)
{
	uint64_t seed = random_seed();
	pthread_t t[THREADS];

	for (int i = 0; i < THREADS; i++)
		t[i] = start(use, (void *)(uintptr_t)random_u64(&seed));
	for (int i = 0; i < THREADS; i++) {
		void *bad;

		pthread_join(t[i], &bad);
		CHECK(!bad);
	}
}

#ifndef LOCKS_NOTHING
/* Memory that cannot be locked is used, and qc_secure_all_locked() says so. */
static void a_limit_that_is_too_low(void)
{
	struct rlimit none = { 0, 0 };
	int status;
	pid_t child = fork();

	if (!child) {
		uint8_t *p;

		setrlimit(RLIMIT_MEMLOCK, &none);
		if (!geteuid() && setuid(65534))
			_exit(2);
		p = qc_secure_alloc(100);
		_exit(p && !qc_secure_all_locked() ? 0 : 1);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && !WEXITSTATUS(status));
}

#endif

/* ---- the key cache ------------------------------------------------------------ */

static bool name_of(struct qc_key_cache *k, const char *header, const char *pass, uint8_t *name)
{
	return !qc_key_cache_id(k, (const uint8_t *)header, strlen(header), (const uint8_t *)pass,
				strlen(pass), name);
}

static void a_key_is_found_by_header_and_passphrase(void)
{
	uint8_t name[QC_KEY_CACHE_ID], other[QC_KEY_CACHE_ID];
	uint8_t key[QC_CIPHER_KEY_MAX] = { 1, 2, 3 }, got[QC_CIPHER_KEY_MAX];
	struct qc_key_cache *k = NULL, *l = NULL;

	CHECK(!qc_key_cache_new(&k) && !qc_key_cache_new(&l));
	CHECK(name_of(k, "header", "secret", name) && !qc_key_cache_find(k, name, got));
	qc_key_cache_add(k, name, key);
	CHECK(name_of(k, "header", "secret", other) && !memcmp(name, other, sizeof(name)));
	CHECK(qc_key_cache_find(k, other, got) && !memcmp(key, got, sizeof(got)));
	CHECK(name_of(k, "header", "secret\n", other) && !qc_key_cache_find(k, other, got));
	CHECK(name_of(k, "Header", "secret", other) && !qc_key_cache_find(k, other, got));
	CHECK(name_of(l, "header", "secret", other) && memcmp(name, other, sizeof(name)));
	qc_key_cache_free(k);
	qc_key_cache_free(l);
}

static void the_oldest_key_goes(void)
{
	uint8_t name[65][QC_KEY_CACHE_ID], key[QC_CIPHER_KEY_MAX] = { 0 };
	struct qc_key_cache *k = NULL;

	CHECK(!qc_key_cache_new(&k));
	for (uint8_t i = 0; i < 65; i++) {
		char pass[2] = { (char)(i + 1), 0 };

		key[0] = i;
		CHECK(name_of(k, "header", pass, name[i]));
		qc_key_cache_add(k, name[i], key);
	}
	CHECK(!qc_key_cache_find(k, name[0], key));
	for (uint8_t i = 1; i < 65; i++)
		CHECK(qc_key_cache_find(k, name[i], key) && key[0] == i);
	qc_key_cache_free(k);
}

int main(void)
{
#ifndef LOCKS_NOTHING
	RUN(a_limit_that_is_too_low); /* first, while nothing is locked yet */
#endif
	RUN(pieces_are_apart_and_empty);
	RUN(too_much_is_refused);
	RUN(secure_memory_is_locked_and_not_dumped);
	RUN(a_few_pages_stay_locked);
	RUN(a_child_process_sees_zeros);
	RUN(threads_do_not_share_pieces);
	RUN(a_key_is_found_by_header_and_passphrase);
	RUN(the_oldest_key_goes);
	return DONE();
}
