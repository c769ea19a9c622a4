/* SPDX-License-Identifier: MIT */
/*
 * secure_mem.c - runs of pages in one range of addresses that is reserved once.
 *
 * libgcrypt asks of a pointer whether its memory is secure; the range answers that.  Each
 * allocation has its own pages: there are few of them, and mlock(2) works on pages.  If
 * RLIMIT_MEMLOCK forbids locking, the pages are used unlocked, and layer/layer_key.c warns
 * the user.
 *
 * libgcrypt allocates and frees a piece in each iteration of PBKDF2, of which there are
 * millions.  The system calls would take most of the time.  So a few free single pages
 * stay locked, and wiped.  A child process has no locked pages and must not use secure
 * memory of its parent.
 */
#include "crypto/secure_mem.h"

#include <gcrypt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, PAGES = 65536, READY_PAGES = 4 };

static struct {
	pthread_once_t once;
	pthread_mutex_t lock; /* for `run` to `ready_pages`; no lock is taken under it */
	uint8_t *base;	      /* NULL: mmap() failed */
	uint32_t run[PAGES];  /* pages of the allocation that begins here */
	bool used[PAGES];
	bool ready[PAGES];  /* free, wiped and locked */
	size_t first_free;  /* all pages below are used */
	size_t ready_pages; /* at most READY_PAGES */
	atomic_bool unlocked; /* mlock() failed once */
} region = { .once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- libgcrypt's hooks ------------------------------------------------------ */

static int is_secure_hook(const void *p)
{
	return qc_secure_contains(p);
}

static void free_hook(void *p)
{
	if (qc_secure_contains(p))
		qc_secure_free(p);
	else
		free(p);
}

static size_t allocated_bytes(const void *p)
{
	return (size_t)region.run[((const uint8_t *)p - region.base) / PAGE] * PAGE;
}

static void *realloc_hook(void *p, size_t n)
{
	void *to;

	if (!qc_secure_contains(p))
		return realloc(p, n);
	if (n <= allocated_bytes(p))
		return p;
	to = qc_secure_alloc(n);
	if (to) {
		memcpy(to, p, allocated_bytes(p));
		qc_secure_free(p);
	}
	return to;
}

static void init_once(void)
{
	size_t n = (size_t)PAGE * PAGES;
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p != MAP_FAILED) {
		madvise(p, n, MADV_DONTDUMP);
		madvise(p, n, MADV_WIPEONFORK);
		region.base = p;
	}
	gcry_set_allocation_handler(malloc, qc_secure_alloc, is_secure_hook, realloc_hook,
				    free_hook);
	gcry_check_version(NULL);
	gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
}

void qc_crypto_init(void)
{
	pthread_once(&region.once, init_once);
}

/* ---- allocations ----------------------------------------------------------------- */

bool qc_secure_contains(const void *p)
{
	uintptr_t at = (uintptr_t)p, base = (uintptr_t)region.base;

	return base && at >= base && at - base < (uintptr_t)PAGE * PAGES;
}

bool qc_secure_all_locked(void)
{
	return !atomic_load(&region.unlocked);
}

/* Returns the first of n free pages in a row, or PAGES. */
static size_t find_free_pages(size_t n)
{
	size_t have = 0;

	for (size_t i = region.first_free; i < PAGES; i++) {
		have = region.used[i] ? 0 : have + 1;
		if (have == n)
			return i + 1 - n;
	}
	return PAGES;
}

/* Clears the ready flag of n pages.  Returns true if all of them were ready. */
static bool clear_ready(size_t first, size_t n)
{
	size_t ready = 0;

	for (size_t i = first; i < first + n; i++) {
		ready += region.ready[i];
		region.ready[i] = false;
	}
	region.ready_pages -= ready;
	return ready == n;
}

static size_t allocate_pages(size_t n, bool *ready)
{
	size_t first;

	pthread_mutex_lock(&region.lock);
	while (region.first_free < PAGES && region.used[region.first_free])
		region.first_free++;
	first = find_free_pages(n);
	if (first < PAGES) {
		memset(&region.used[first], true, n);
		region.run[first] = (uint32_t)n;
		*ready = clear_ready(first, n);
	}
	pthread_mutex_unlock(&region.lock);
	return first;
}

/* Counts one more ready page.  Returns false if there are enough. */
static bool reserve_ready_page(void)
{
	bool more;

	pthread_mutex_lock(&region.lock);
	more = region.ready_pages < READY_PAGES;
	region.ready_pages += more;
	pthread_mutex_unlock(&region.lock);
	return more;
}

void *qc_secure_alloc(size_t n)
{
	size_t pages = n / PAGE + 1, first;
	bool ready = false;
	uint8_t *p;

	qc_crypto_init();
	first = region.base && pages <= PAGES ? allocate_pages(pages, &ready) : PAGES;
	if (first == PAGES)
		return NULL;
	p = region.base + first * PAGE;
	if (!ready && mlock(p, pages * PAGE))
		atomic_store(&region.unlocked, true);
	return p;
}

void qc_secure_free(void *p)
{
	size_t first, n;
	bool stays;

	if (!p)
		return;
	first = (size_t)((uint8_t *)p - region.base) / PAGE;
	n = region.run[first];
	explicit_bzero(p, n * PAGE);
	stays = n == 1 && reserve_ready_page();
	if (!stays) {
		munlock(p, n * PAGE);
		madvise(p, n * PAGE, MADV_DONTNEED);
	}
	pthread_mutex_lock(&region.lock);
	region.run[first] = 0;
	region.ready[first] = stays;
	memset(&region.used[first], false, n);
	if (first < region.first_free)
		region.first_free = first;
	pthread_mutex_unlock(&region.lock);
}
