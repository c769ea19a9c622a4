/* SPDX-License-Identifier: MIT */
/* One sector as OpenSSL encrypts it, or by hand where OpenSSL has no such mode; and
 * which words of a header are understood. */
#include "crypto/cipher.h"

#include <errno.h>
#include <string.h>

#include "random.h"
#include "tap.h"
#include "threads.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum { SECTOR_BYTES = 512 };
#define NUMBER UINT64_C(0x123456789a) /* more than 32 bits */

static const struct vector {
	const char *cipher, *mode;
	size_t key_bytes;
	uint64_t first, last; /* eight bytes of the sector, big-endian */
} vectors[] = {
	{ "aes", "cbc-plain64", 16, 0xd6891b3b8f1bdb9b, 0x11072d145b4c221a },
	{ "aes", "cbc-plain", 32, 0x86d24c1e594acb6c, 0x05b957e3e5b16efd },
	{ "aes", "cbc-essiv:sha256", 32, 0x97be7e93b5e5a78d, 0xcf470359a4a7f996 },
	{ "aes", "ctr-plain64", 32, 0x1265a36628e813e7, 0x5287a5ac53033db1 },
	{ "aes", "ecb-plain64", 16, 0x0a940bb5416ef045, 0x9751de073316adad },
	{ "aes", "xts-plain64", 64, 0x1ad4aaecba8050a2, 0x13670532c94c0efc },
	{ "aes", "xts-plain", 32, 0x5c4a7bfe2304dfb7, 0xa851118066593c5d },
	{ "aes", "xts-essiv:sha256", 64, 0xc2a84ca905047742, 0x40f9b229835fc92d },
};

static uint64_t word(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

static void count_up(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)i;
}

static struct qc_cipher_pool *ciphers_of(const char *cipher, const char *mode, size_t key_bytes)
{
	struct qc_cipher_pool *c = NULL;
	struct qc_cipher_spec s;
	uint8_t key[QC_CIPHER_KEY_MAX];

	count_up(key, sizeof(key));
	CHECK(!qc_cipher_spec_parse(cipher, mode, key_bytes, &s));
	CHECK(!qc_cipher_pool_new(&s, key, &c));
	return c;
}

static void sectors_are_as_openssl_encrypts_them(void)
{
	for (size_t i = 0; i < COUNT(vectors); i++) {
		const struct vector *v = &vectors[i];
		struct qc_cipher_pool *c = ciphers_of(v->cipher, v->mode, v->key_bytes);
		struct qc_cipher *x = qc_cipher_get(c);
		uint8_t plain[SECTOR_BYTES], out[SECTOR_BYTES];

		count_up(plain, sizeof(plain));
		CHECK(!qc_cipher_encrypt(x, NUMBER, plain, out, sizeof(out)));
		CHECK(word(out) == v->first && word(out + SECTOR_BYTES - 8) == v->last);
		CHECK(!qc_cipher_decrypt(x, NUMBER, out, sizeof(out)));
		CHECK(!memcmp(plain, out, sizeof(out)));
		CHECK(!qc_cipher_encrypt(x, NUMBER, plain, plain, sizeof(plain)));
		CHECK(word(plain) == v->first);
		qc_cipher_put(c, x);
		qc_cipher_pool_free(c);
	}
}

static void the_legacy_method_is_aes_cbc(void)
{
	struct qc_cipher_pool *c = NULL;
	struct qc_cipher *x;
	struct qc_cipher_spec s;
	uint8_t key[16], sector[SECTOR_BYTES];

	count_up(key, sizeof(key));
	count_up(sector, sizeof(sector));
	qc_cipher_spec_aes_legacy(&s);
	CHECK(!qc_cipher_pool_new(&s, key, &c));
	x = qc_cipher_get(c);
	CHECK(!qc_cipher_encrypt(x, NUMBER, sector, sector, sizeof(sector)));
	CHECK(word(sector) == vectors[0].first);
	qc_cipher_put(c, x);
	qc_cipher_pool_free(c);
}

/* Encrypts a run like its sectors one by one, also where the sector number wraps. */
static void a_run_is_its_sectors(void)
{
	static const char *const modes[] = { "xts-plain", "xts-plain64", "cbc-essiv:md5" };
	static uint8_t run[8 * SECTOR_BYTES], one[SECTOR_BYTES], plain[sizeof(run)];

	for (size_t m = 0; m < COUNT(modes); m++) {
		struct qc_cipher_pool *c = ciphers_of("aes", modes[m], m == 2 ? 16 : 64);
		struct qc_cipher *x = qc_cipher_get(c);

		count_up(plain, sizeof(plain));
		CHECK(!qc_cipher_encrypt(x, UINT32_MAX - 3, plain, run, sizeof(run)));
		for (uint64_t i = 0; i < 8; i++) {
			uint64_t n = UINT32_MAX - UINT64_C(3) + i;

			memcpy(one, plain + i * SECTOR_BYTES, sizeof(one));
			CHECK(!qc_cipher_encrypt(x, n, one, one, sizeof(one)));
			CHECK(!memcmp(one, run + i * SECTOR_BYTES, sizeof(one)));
		}
		memcpy(one, plain, sizeof(one));
		CHECK(!qc_cipher_encrypt(x, 0, one, one, sizeof(one)));
		CHECK((m == 0) == !memcmp(one, run + 4 * SECTOR_BYTES, sizeof(one)));
		CHECK(!qc_cipher_decrypt(x, UINT32_MAX - 3, run, sizeof(run)));
		CHECK(!memcmp(run, plain, sizeof(run)));
		qc_cipher_put(c, x);
		qc_cipher_pool_free(c);
	}
}

static void cipher_names_of_headers(void)
{
	static const struct {
		const char *cipher, *mode;
		size_t key_bytes;
		qc_err r;
	} t[] = {
		{ "aes", "xts-plain64", 32, 0 },	{ "aes", "xts-plain64", 48, 0 },
		{ "serpent", "xts-plain64", 64, 0 },	{ "twofish", "cbc-plain64", 32, 0 },
		{ "cast5", "cbc-plain64", 16, 0 },	{ "cast5", "ctr-plain64", 16, 0 },
		{ "cast5", "cbc-essiv:md5", 16, 0 },	{ "aes", "cbc-plain:sha256", 16, 0 },
		{ "aes", "xts-essiv:sha256", 64, 0 },	{ "serpent", "cbc-essiv:sha256", 16, 0 },
		{ "aes", "xts-plain64", 16, -ENOTSUP }, { "aes", "cbc-plain64", 64, -ENOTSUP },
		{ "aes", "cbc-plain64", 0, -ENOTSUP },	{ "aes", "cbc-plain64", 17, -ENOTSUP },
		{ "aes", "xts-plain64", 65, -ENOTSUP }, { "aes", "xts-plain64", 33, -ENOTSUP },
		{ "aes", "xts", 32, -ENOTSUP },		{ "aes", "", 32, -ENOTSUP },
		{ "aes", "-", 32, -ENOTSUP },		{ "aes", "xts-", 32, -ENOTSUP },
		{ "aes", "gcm-plain64", 32, -ENOTSUP }, { "aes", "xtsx-plain64", 32, -ENOTSUP },
		{ "aes", "xts-plain6", 32, -ENOTSUP },	{ "aes", "xts-plain640", 32, -ENOTSUP },
		{ "aes", "cbc-essiv", 32, -ENOTSUP },	{ "aes", "cbc-essiv:", 32, -ENOTSUP },
		{ "aes", "cbc-essiv:sha1", 32, -ENOTSUP }, { "aes", "cbc-essiv:sha512", 32, -ENOTSUP },
		{ "aes", "cbc-essiv:nothing", 32, -ENOTSUP }, { "3des", "cbc-plain64", 24, -ENOTSUP },
		{ "AES", "xts-plain64", 32, -ENOTSUP }, { "", "xts-plain64", 32, -ENOTSUP },
		{ "cast5", "xts-plain64", 32, -ENOTSUP }, { "cast5", "cbc-essiv:sha256", 16, -ENOTSUP },
	};

	for (size_t i = 0; i < COUNT(t); i++) {
		struct qc_cipher_spec s;
		qc_err r = qc_cipher_spec_parse(t[i].cipher, t[i].mode, t[i].key_bytes, &s);

		if (r != t[i].r)
			printf("# %s-%s, %zu: %d\n", t[i].cipher, t[i].mode, t[i].key_bytes, r);
		CHECK(r == t[i].r);
	}
	CHECK(qc_cipher_hash_by_name("sha256") && qc_cipher_hash_by_name("ripemd160") && qc_cipher_hash_by_name("md5"));
	CHECK(!qc_cipher_hash_by_name("sha3") && !qc_cipher_hash_by_name("") && !qc_cipher_hash_by_name("SHA256"));
}

/* Each supported cipher decrypts its own output. */
static void every_cipher_decrypts_what_it_encrypted(void)
{
	static const char *const ciphers[] = { "aes", "serpent", "twofish", "cast5" };
	static const char *const modes[] = { "xts", "cbc", "ctr", "ecb" };
	static const char *const ivs[] = { "plain", "plain64", "essiv:sha256", "essiv:md5" };
	static const size_t sizes[] = { 16, 24, 32, 48, 64 };
	unsigned int understood = 0;

	for (size_t i = 0; i < 4 * 4 * 4 * COUNT(sizes); i++) {
		uint8_t key[QC_CIPHER_KEY_MAX], plain[1024], out[1024];
		struct qc_cipher_pool *c = NULL;
		struct qc_cipher *x;
		struct qc_cipher_spec s;
		char mode[40];

		snprintf(mode, sizeof(mode), "%s-%s", modes[i / 4 % 4], ivs[i / 16 % 4]);
		if (qc_cipher_spec_parse(ciphers[i % 4], mode, sizes[i / 64], &s))
			continue;
		understood++;
		count_up(key, sizeof(key));
		count_up(plain, sizeof(plain));
		CHECK(!qc_cipher_pool_new(&s, key, &c));
		x = qc_cipher_get(c);
		CHECK(x && !qc_cipher_encrypt(x, 7, plain, out, sizeof(out)));
		CHECK(memcmp(plain, out, sizeof(out)));
		CHECK(!qc_cipher_decrypt(x, 7, out, sizeof(out)) && !memcmp(plain, out, sizeof(out)));
		qc_cipher_put(c, x);
		qc_cipher_pool_free(c);
	}
	CHECK(understood > 80);
}

/* ---- contexts --------------------------------------------------------------- */

enum { THREADS = 48, TURNS = 300 };

static struct qc_cipher_pool *shared;

static void *work(void *arg)
{
	uint64_t seed = (uintptr_t)arg;
	uintptr_t bad = 0;

	for (int i = 0; i < TURNS; i++) {
		uint64_t n = random_u64(&seed);
		struct qc_cipher *x = qc_cipher_get(shared);
		uint8_t *buf = qc_cipher_buffer(x), plain[SECTOR_BYTES];

		memset(plain, (int)n, sizeof(plain));
		if (qc_cipher_encrypt(x, n, plain, buf, SECTOR_BYTES) || qc_cipher_decrypt(x, n, buf, SECTOR_BYTES) ||
		    memcmp(buf, plain, sizeof(plain)))
			bad++;
		qc_cipher_put(shared, x);
	}
	return (void *)bad;
}

/* Uses more threads than the pool has slots. */
static void a_context_has_one_user(void)
{
	uint64_t seed = random_seed();
	pthread_t t[THREADS];

	shared = ciphers_of("aes", "xts-plain64", 64);
	for (int i = 0; i < THREADS; i++)
		t[i] = start(work, (void *)(uintptr_t)random_u64(&seed));
	for (int i = 0; i < THREADS; i++) {
		void *bad;

		pthread_join(t[i], &bad);
		CHECK(!bad);
	}
	qc_cipher_pool_free(shared);
}

static void an_idle_context_is_used_again(void)
{
	struct qc_cipher_pool *c = ciphers_of("aes", "cbc-plain64", 32);
	struct qc_cipher *x = qc_cipher_get(c), *y = qc_cipher_get(c);

	CHECK(x && y && x != y);
	qc_cipher_put(c, x);
	CHECK(qc_cipher_get(c) == x);
	qc_cipher_put(c, y);
	qc_cipher_put(c, x);
	qc_cipher_pool_free(c);
}

int main(void)
{
	RUN(sectors_are_as_openssl_encrypts_them);
	RUN(the_legacy_method_is_aes_cbc);
	RUN(a_run_is_its_sectors);
	RUN(cipher_names_of_headers);
	RUN(every_cipher_decrypts_what_it_encrypted);
	RUN(an_idle_context_is_used_again);
	RUN(a_context_has_one_user);
	return DONE();
}
