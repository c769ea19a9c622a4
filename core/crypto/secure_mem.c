/* SPDX-License-Identifier: MIT */
/*
 * secure_mem.c - runs of pages in one stretch of addresses, which is reserved once.
 *
 * What is in it can so be told from a pointer, as libgcrypt wants to know.  Each
 * piece has pages of its own: they are few, and locking goes by pages.  Where the
 * limit (RLIMIT_MEMLOCK) forbids that, they are used all the same, and whoever
 * opens an image tells the user.
 *
 * libgcrypt takes a piece and gives it back in each round of PBKDF2, of which there
 * are millions.  So a few single pages that are free stay as they are, wiped and
 * locked: system calls would take most of the time.  A child has no locks: it is not
 * to use what its parent used.
 */
#include "crypto/secure_mem.h"

#include <gcrypt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, PAGES = 65536, STAY = 4 };

static struct {
	pthread_once_t once;
	pthread_mutex_t lock; /* a leaf, for `run` to `stay` */
	uint8_t *base;	      /* NULL: there is none */
	uint32_t run[PAGES];  /* pages of the piece that begins here */
	bool taken[PAGES];
	bool ready[PAGES]; /* free, and stayed as it was; `stay` of them */
	size_t first_free; /* all pages below are taken */
	size_t stay;
	atomic_bool unlocked;
} region = { .once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- libgcrypt's hooks ------------------------------------------------------ */

static int is_secret(const void *p)
{
	return qc_secure_contains(p);
}

static void release(void *p)
{
	if (qc_secure_contains(p))
		qc_secure_free(p);
	else
		free(p);
}

static size_t room_of(const void *p)
{
	return (size_t)region.run[((const uint8_t *)p - region.base) / PAGE] * PAGE;
}

static void *resize(void *p, size_t n)
{
	void *to;

	if (!qc_secure_contains(p))
		return realloc(p, n);
	if (n <= room_of(p))
		return p;
	to = qc_secure_alloc(n);
	if (to) {
		memcpy(to, p, room_of(p));
		qc_secure_free(p);
	}
	return to;
}

static void start(void)
{
	size_t n = (size_t)PAGE * PAGES;
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p != MAP_FAILED) {
		madvise(p, n, MADV_DONTDUMP);
		madvise(p, n, MADV_WIPEONFORK);
		region.base = p;
	}
	gcry_set_allocation_handler(malloc, qc_secure_alloc, is_secret, resize, release);
	gcry_check_version(NULL);
	gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
}

void qc_crypto_init(void)
{
	pthread_once(&region.once, start);
}

/* ---- pieces ----------------------------------------------------------------- */

bool qc_secure_contains(const void *p)
{
	uintptr_t at = (uintptr_t)p, base = (uintptr_t)region.base;

	return base && at >= base && at - base < (uintptr_t)PAGE * PAGES;
}

bool qc_secure_all_locked(void)
{
	return !atomic_load(&region.unlocked);
}

/* The first of n free pages in a row, or PAGES. */
static size_t find_pages(size_t n)
{
	size_t have = 0;

	for (size_t i = region.first_free; i < PAGES; i++) {
		have = region.taken[i] ? 0 : have + 1;
		if (have == n)
			return i + 1 - n;
	}
	return PAGES;
}

/* They are in use; whether all were ready for that. */
static bool unready(size_t first, size_t n)
{
	size_t were = 0;

	for (size_t i = first; i < first + n; i++) {
		were += region.ready[i];
		region.ready[i] = false;
	}
	region.stay -= were;
	return were == n;
}

static size_t take_pages(size_t n, bool *ready)
{
	size_t first;

	pthread_mutex_lock(&region.lock);
	while (region.first_free < PAGES && region.taken[region.first_free])
		region.first_free++;
	first = find_pages(n);
	if (first < PAGES) {
		memset(&region.taken[first], true, n);
		region.run[first] = (uint32_t)n;
		*ready = unready(first, n);
	}
	pthread_mutex_unlock(&region.lock);
	return first;
}

/* Whether the page may stay as it is. */
static bool may_stay(void)
{
	bool may;

	pthread_mutex_lock(&region.lock);
	may = region.stay < STAY;
	region.stay += may;
	pthread_mutex_unlock(&region.lock);
	return may;
}

void *qc_secure_alloc(size_t n)
{
	size_t pages = n / PAGE + 1, first;
	bool ready = false;
	uint8_t *p;

	qc_crypto_init();
	first = region.base && pages <= PAGES ? take_pages(pages, &ready) : PAGES;
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
	stays = n == 1 && may_stay();
	if (!stays) {
		munlock(p, n * PAGE);
		madvise(p, n * PAGE, MADV_DONTNEED);
	}
	pthread_mutex_lock(&region.lock);
	region.run[first] = 0;
	region.ready[first] = stays;
	memset(&region.taken[first], false, n);
	if (first < region.first_free)
		region.first_free = first;
	pthread_mutex_unlock(&region.lock);
}
