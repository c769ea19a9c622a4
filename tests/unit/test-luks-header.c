/* SPDX-License-Identifier: MIT */
#include "format/luks_header.h"

#include <errno.h>
#include <string.h>

#include "tap.h"

static uint8_t head[LUKS_BYTES];
static struct qc_luks_info facts;

static void put32(size_t at, uint32_t v)
{
	for (unsigned int i = 0; i < 4; i++)
		head[at + i] = (uint8_t)(v >> 8 * (3 - i));
}

static void make(const char *mode)
{
	memset(head, 0, sizeof(head));
	memcpy(head, "LUKS\xba\xbe\0\1aes", 11);
	memcpy(head + 40, mode, strlen(mode));
	memcpy(head + 72, "sha256", 6);
	put32(104, 4040);
	put32(108, 64);
	put32(164, 1000);
	memcpy(head + 168, "01234567-89ab-cdef-0123-456789abcdef", 36);
	for (uint32_t i = 0; i < 8; i++) {
		put32(208 + i * 48, i == 2 ? 0x00ac71f3 : 0xdead);
		put32(208 + i * 48 + 4, i == 2 ? 5000 : 0);
		put32(208 + i * 48 + 40, 8 + i * 504);
		put32(208 + i * 48 + 44, 4000);
	}
}

static qc_err parse(void)
{
	return qc_luks_header_parse(head, sizeof(head), &facts);
}

static void all_of_a_header(void)
{
	make("xts-plain64");
	CHECK(!parse());
	CHECK(!strcmp(facts.cipher, "aes") && !strcmp(facts.hash, "sha256"));
	CHECK(!strcmp(facts.uuid, "01234567-89ab-cdef-0123-456789abcdef"));
	CHECK(facts.key_bytes == 64 && facts.iterations == 1000);
	CHECK(facts.payload_offset == 4040 * 512);
	for (unsigned int i = 0; i < 8; i++) {
		CHECK(facts.slot[i].active == (i == 2) && facts.slot[i].stripes == 4000);
		CHECK(facts.slot[i].key_offset == (8 + i * 504) * 512);
		CHECK(facts.slot[i].iterations == (i == 2 ? 5000 : 0));
	}
}

static void modes(void)
{
	static const struct {
		const char *text, *mode, *ivgen, *hash;
	} modes[] = {
		{ "xts-plain64", "xts", "plain64", "" },
		{ "cbc-essiv:sha256", "cbc", "essiv", "sha256" },
		{ "ecb", "ecb", "", "" },
		{ "", "", "", "" },
		{ "-:", "", "", "" },
		{ "a:b", "a:b", "", "" },
		{ "0123456789-0123456789:0123456789", "0123456789", "0123456789", "0123456789" },
	};

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		make(modes[i].text);
		CHECK(!parse() && !strcmp(facts.mode, modes[i].mode));
		CHECK(!strcmp(facts.ivgen, modes[i].ivgen));
		CHECK(!strcmp(facts.ivgen_hash, modes[i].hash));
	}
}

static void texts_without_an_end(void)
{
	make("");
	memset(head + 8, 'x', 96);
	memset(head + 168, 'u', 40);
	CHECK(!parse() && strlen(facts.cipher) == 32 && strlen(facts.mode) == 32);
	CHECK(strlen(facts.hash) == 32 && strlen(facts.uuid) == 40);
}

static void numbers_are_taken_as_they_are(void)
{
	make("xts-plain64");
	memset(head + 104, 0xff, 8);
	memset(head + 208, 0xff, 384);
	CHECK(!parse() && facts.payload_offset == UINT64_C(0xffffffff) * 512);
	CHECK(!facts.slot[7].active && facts.slot[7].iterations == UINT32_MAX);
}

static void what_is_no_header(void)
{
	make("xts-plain64");
	CHECK(qc_luks_header_parse(head, sizeof(head) - 1, &facts) == -EINVAL);
	head[7] = 2;
	CHECK(parse() == -EINVAL);
	head[7] = 1;
	head[5] = 0;
	CHECK(parse() == -EINVAL);
}

int main(void)
{
	RUN(all_of_a_header);
	RUN(modes);
	RUN(texts_without_an_end);
	RUN(numbers_are_taken_as_they_are);
	RUN(what_is_no_header);
	return DONE();
}
