/* SPDX-License-Identifier: MIT */
/* Every number of a LUKS header, at the last value that is taken and the first that
 * is not; and what becomes of split keys. */
#include "crypto/luks.h"

#include <errno.h>
#include <string.h>

#include "crypto/secure_mem.h"
#include "tap.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum { LEN = 2068480, SLOT = 208, SLOT_BYTES = 48 };

static uint8_t bytes[LUKS_BYTES];
static struct qc_luks luks;
static struct qc_reason why;

static void put(size_t at, unsigned int width, uint64_t v)
{
	for (unsigned int i = 0; i < width; i++)
		bytes[at + i] = (uint8_t)(v >> 8 * (width - 1 - i));
}

static void put_text(size_t at, const char *text)
{
	memset(bytes + at, 0, 32);
	memcpy(bytes + at, text, strlen(text));
}

/* As QEMU makes it: aes-256, xts-plain64, sha256, slot 0 in use. */
static void make(void)
{
	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, "LUKS\xba\xbe\0\1", 8);
	put_text(8, "aes");
	put_text(40, "xts-plain64");
	put_text(72, "sha256");
	put(104, 4, 4040);
	put(108, 4, 64);
	put(164, 4, 1000);
	for (unsigned int i = 0; i < LUKS_SLOTS; i++) {
		put(SLOT + i * SLOT_BYTES, 4, i ? 0xdead : 0xac71f3);
		put(SLOT + i * SLOT_BYTES + 4, 4, i ? 0 : 1000);
		put(SLOT + i * SLOT_BYTES + 40, 4, 8 + i * 504);
		put(SLOT + i * SLOT_BYTES + 44, 4, 4000);
	}
}

static bool accepted(uint64_t len)
{
	memset(&why, 0, sizeof(why));
	if (!qc_luks_parse(bytes, len, &luks, &why))
		return true;
	printf("# refused: %s\n", why.text);
	return false;
}

static bool refused(uint64_t len, qc_err err, const char *word)
{
	qc_err r;

	memset(&why, 0, sizeof(why));
	r = qc_luks_parse(bytes, len, &luks, &why);
	if (r == err && strstr(why.text, word))
		return true;
	printf("# not refused with %d for '%s': %d %s\n", err, word, r, why.text);
	return false;
}

static void a_sound_header(void)
{
	make();
	CHECK(accepted(LEN));
	CHECK(luks.spec.key_bytes == 64 && luks.digest_iterations == 1000);
	CHECK(luks.slot[0].active && !luks.slot[1].active);
	CHECK(luks.slot[0].key_offset == 4096 && luks.slot[0].iterations == 1000);
	CHECK(qc_luks_key_material_bytes(&luks) == 256000);
	for (unsigned int i = 1; i < LUKS_SLOTS; i++) {
		put(SLOT + i * SLOT_BYTES, 4, 0xac71f3);
		put(SLOT + i * SLOT_BYTES + 4, 4, 1);
	}
	CHECK(accepted(LEN));
	CHECK(luks.slot[7].active && luks.slot[7].key_offset == 4096 + 7 * 504 * 512);
}

static void fields(void)
{
	static const struct {
		size_t at;
		unsigned int width;
		uint64_t v;
		qc_err r;
		const char *word;
	} t[] = {
		{ 0, 1, 'l', -EINVAL, "the magic number is missing" },
		{ 5, 1, 0, -EINVAL, "the magic number is missing" },
		{ 6, 2, 0, -ENOTSUP, "version 0" },
		{ 6, 2, 2, -ENOTSUP, "version 2" },
		{ 6, 2, 0xffff, -ENOTSUP, "version 65535" },
		{ 108, 4, 0, -EINVAL, "key of 0 bytes" },
		{ 108, 4, 24, -EINVAL, "key of 24 bytes" },
		{ 108, 4, 65, -EINVAL, "key of 65 bytes" },
		{ 108, 4, 80, -EINVAL, "key of 80 bytes" },
		{ 108, 4, 16, -ENOTSUP, "with 16 bytes" },
		{ 108, 4, 0xffffffff, -EINVAL, "key of 4294967295 bytes" },
		{ 108, 4, 0x10000000, -EINVAL, "key of 268435456 bytes" },
		{ 164, 4, 0, -EINVAL, "digest has no iterations" },
		{ 164, 4, 0xffffffff, -EINVAL, "rounds of PBKDF2" },
		{ SLOT, 4, 0, -EINVAL, "key slot 0 has the state" },
		{ SLOT + SLOT_BYTES, 4, 0xffffffff, -EINVAL, "key slot 1 has the state" },
		{ SLOT + 4, 4, 0, -EINVAL, "no iterations" },
		{ SLOT + 4, 4, 0xffffffff, -EINVAL, "rounds of PBKDF2" },
		{ SLOT + 44, 4, 0, -EINVAL, "0 stripes" },
		{ SLOT + 44, 4, 3999, -EINVAL, "3999 stripes" },
		{ SLOT + 44, 4, 4001, -EINVAL, "4001 stripes" },
		{ SLOT + 44, 4, 0xffffffff, -EINVAL, "4294967295 stripes" },
		{ SLOT + 40, 4, 0, -EINVAL, "is outside of" },
		{ SLOT + 40, 4, 1, -EINVAL, "is outside of" },
		{ SLOT + 40, 4, 4040 - 499, -EINVAL, "is outside of" },
		{ SLOT + 40, 4, 0xffffffff, -EINVAL, "is outside of" },
	};

	for (size_t i = 0; i < COUNT(t); i++) {
		make();
		put(t[i].at, t[i].width, t[i].v);
		CHECK(refused(LEN, t[i].r, t[i].word));
	}
	make();
	put(SLOT + 40, 4, 2);
	CHECK(accepted(LEN));
	put(SLOT + 40, 4, 4040 - 500);
	CHECK(accepted(LEN));
	CHECK(refused(LEN - 1, -EINVAL, "is outside of"));
	CHECK(refused(LUKS_BYTES, -EINVAL, "is outside of"));
	CHECK(refused(LUKS_BYTES - 1, -EINVAL, "591 bytes are too few"));
	CHECK(refused(0, -EINVAL, "0 bytes are too few"));
	CHECK(accepted(UINT64_MAX));
}

/* Of a slot that is off nothing is used. */
static void a_slot_that_is_off(void)
{
	make();
	put(SLOT + 2 * SLOT_BYTES + 4, 4, 0xffffffff);
	put(SLOT + 2 * SLOT_BYTES + 40, 4, 0xffffffff);
	put(SLOT + 2 * SLOT_BYTES + 44, 4, 7);
	CHECK(accepted(LEN));
	put(SLOT, 4, 0xdead);
	CHECK(accepted(LEN));
}

static void texts(void)
{
	static const size_t at[] = { 8, 40, 72 };
	static const char *const words[] = { "the cipher has no terminating NUL", "the cipher mode has no terminating NUL",
					     "the hash has no terminating NUL" };

	for (size_t i = 0; i < COUNT(at); i++) {
		make();
		memset(bytes + at[i], 'a', 32);
		CHECK(refused(LEN, -EINVAL, words[i]));
	}
	make();
	put_text(72, "sha3-256");
	CHECK(refused(LEN, -ENOTSUP, "unknown hash 'sha3-256'"));
	make();
	put_text(8, "des");
	CHECK(refused(LEN, -ENOTSUP, "unknown encryption 'des-xts-plain64' with 64"));
	make();
	put_text(40, "xts-null");
	CHECK(refused(LEN, -ENOTSUP, "unknown encryption 'aes-xts-null'"));
	make();
	put_text(72, "sha\n\x1b[2J");
	CHECK(refused(LEN, -ENOTSUP, "unknown hash"));
	CHECK(!strchr(why.text, '\x1b') && !strchr(why.text, '\n'));
}

static void slots_that_overlap(void)
{
	make();
	put(SLOT + SLOT_BYTES, 4, 0xac71f3);
	put(SLOT + SLOT_BYTES + 4, 4, 1000);
	put(SLOT + SLOT_BYTES + 40, 4, 8);
	CHECK(refused(LEN, -EINVAL, "slot 1 overlaps"));
	put(SLOT + SLOT_BYTES + 40, 4, 8 + 499);
	CHECK(refused(LEN, -EINVAL, "slot 1 overlaps"));
	put(SLOT + SLOT_BYTES + 40, 4, 8 + 500);
	CHECK(accepted(LEN));
}

/* With sha256, 64 bytes of key take two rounds an iteration, the digest one. */
static void work_is_bounded(void)
{
	uint32_t most = (LUKS_SLOT_ROUNDS - 1000) / 2;

	make();
	put(SLOT + 4, 4, most);
	CHECK(accepted(LEN));
	put(SLOT + 4, 4, most + 1);
	CHECK(refused(LEN, -EINVAL, "key slot 0 needs 67108866 rounds of PBKDF2, more than 67108864"));
	for (unsigned int i = 0; i < 4; i++) {
		put(SLOT + i * SLOT_BYTES, 4, 0xac71f3);
		put(SLOT + i * SLOT_BYTES + 4, 4, most);
	}
	CHECK(accepted(LEN));
	put(SLOT + 4 * SLOT_BYTES, 4, 0xac71f3);
	put(SLOT + 4 * SLOT_BYTES + 4, 4, 1);
	CHECK(refused(LEN, -EINVAL, "the key slots need"));
}

/* ---- split keys ------------------------------------------------------------- */

static void stripes_are_merged_as_others_do(void)
{
	static const struct {
		const char *hash;
		uint8_t first[8], last[8];
	} t[] = {
		{ "sha1", { 0xef, 0x92, 0xc2, 0x3f, 0xe0, 0xc0, 0xa7, 0x27 },
		  { 0x9d, 0xcd, 0xc7, 0x64, 0xc0, 0x3d, 0x21, 0x3d } },
		{ "sha256", { 0x1c, 0x53, 0x25, 0xe1, 0x1b, 0x4c, 0x3c, 0x0c },
		  { 0xd9, 0x28, 0x70, 0x92, 0x5c, 0x7d, 0x91, 0xb8 } },
		{ "sha512", { 0x4e, 0xf1, 0x34, 0x91, 0x8f, 0xf1, 0x8a, 0xe8 },
		  { 0xe5, 0x3c, 0x2d, 0x72, 0x51, 0x00, 0xe1, 0x58 } },
	};
	static uint8_t stripes[5 * 64];

	for (size_t i = 0; i < COUNT(t); i++) {
		const uint8_t *key = stripes + 4 * 64;

		for (size_t k = 0; k < sizeof(stripes); k++)
			stripes[k] = (uint8_t)(k * 7 + k / 256);
		qc_luks_af_merge(qc_cipher_hash_by_name(t[i].hash), stripes, 64, 5);
		CHECK(!memcmp(key, t[i].first, 8));
		CHECK(!memcmp(key + 56, t[i].last, 8));
	}
}

static void a_passphrase_that_does_not_fit(void)
{
	AUTO_SECRET uint8_t *material = qc_secure_alloc(256000);
	AUTO_SECRET uint8_t *key = qc_secure_alloc(QC_CIPHER_KEY_MAX);

	make();
	CHECK(accepted(LEN));
	CHECK(qc_luks_open_slot(&luks, 0, material, (const uint8_t *)"abc", 3, key) == -EACCES);
	CHECK(qc_luks_open_slot(&luks, 0, material, (const uint8_t *)"", 0, key) == -EACCES);
}

int main(void)
{
	RUN(a_sound_header);
	RUN(fields);
	RUN(a_slot_that_is_off);
	RUN(texts);
	RUN(slots_that_overlap);
	RUN(work_is_bounded);
	RUN(stripes_are_merged_as_others_do);
	RUN(a_passphrase_that_does_not_fit);
	return DONE();
}
