/* SPDX-License-Identifier: MIT */
#include "format/luks_header.h"

#include <errno.h>
#include <string.h>

#include "tap.h"

static uint8_t head[LUKS_BYTES];
static struct qc_luks_info info;

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
	struct qc_luks_header h;
	qc_err r = qc_luks_header_parse(head, sizeof(head), &h);

	if (!r)
		qc_luks_header_describe(&h, &info);
	return r;
}

static void every_field_is_read(void)
{
	make("xts-plain64");
	CHECK(!parse());
	CHECK(!strcmp(info.cipher, "aes") && !strcmp(info.hash, "sha256"));
	CHECK(!strcmp(info.uuid, "01234567-89ab-cdef-0123-456789abcdef"));
	CHECK(info.key_bytes == 64 && info.iterations == 1000);
	CHECK(info.payload_offset == 4040 * 512);
	for (unsigned int i = 0; i < 8; i++) {
		CHECK(info.slot[i].active == (i == 2) && info.slot[i].stripes == 4000);
		CHECK(info.slot[i].key_offset == (8 + i * 504) * 512);
		CHECK(info.slot[i].iterations == (i == 2 ? 5000 : 0));
	}
}

static void a_mode_is_split_into_three_texts(void)
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
		CHECK(!parse() && !strcmp(info.mode, modes[i].mode));
		CHECK(!strcmp(info.ivgen, modes[i].ivgen));
		CHECK(!strcmp(info.ivgen_hash, modes[i].hash));
	}
}

static void a_text_without_a_nul_has_the_length_of_its_field(void)
{
	make("");
	memset(head + 8, 'x', 96);
	memset(head + 168, 'u', 40);
	CHECK(!parse() && strlen(info.cipher) == 32 && strlen(info.mode) == 32);
	CHECK(strlen(info.hash) == 32 && strlen(info.uuid) == 40);
}

static void numbers_are_not_checked(void)
{
	make("xts-plain64");
	memset(head + 104, 0xff, 8);
	memset(head + 208, 0xff, 384);
	CHECK(!parse() && info.payload_offset == UINT64_C(0xffffffff) * 512);
	CHECK(!info.slot[7].active && info.slot[7].iterations == UINT32_MAX);
}

static void bytes_without_the_magic_are_no_header(void)
{
	struct qc_luks_header h;

	make("xts-plain64");
	CHECK(qc_luks_header_parse(head, sizeof(head) - 1, &h) == -EINVAL);
	CHECK(!qc_luks_header_parse(head, sizeof(head), &h) && h.version == 1);
	head[7] = 2;
	CHECK(!qc_luks_header_parse(head, sizeof(head), &h) && h.version == 2);
	head[5] = 0;
	CHECK(parse() == -EINVAL);
}

int main(void)
{
	RUN(every_field_is_read);
	RUN(a_mode_is_split_into_three_texts);
	RUN(a_text_without_a_nul_has_the_length_of_its_field);
	RUN(numbers_are_not_checked);
	RUN(bytes_without_the_magic_are_no_header);
	return DONE();
}
