/* SPDX-License-Identifier: MIT */
#include "format/luks_header.h"

#include <errno.h>
#include <string.h>

#include "base/byteorder.h"

/* Up to its NUL, which may be missing. */
static void take_text(char *to, const uint8_t *from, size_t max)
{
	memcpy(to, from, max);
	to[max] = 0;
}

/* "cbc-essiv:sha256" */
static void split_mode(struct qc_luks_info *f)
{
	char *ivgen = strchr(f->mode, '-'), *hash = ivgen ? strchr(ivgen, ':') : NULL;

	if (hash) {
		*hash++ = 0;
		memcpy(f->ivgen_hash, hash, strlen(hash) + 1);
	}
	if (ivgen) {
		*ivgen++ = 0;
		memcpy(f->ivgen, ivgen, strlen(ivgen) + 1);
	}
}

static struct qc_luks_slot_info slot_of(const uint8_t *p)
{
	return (struct qc_luks_slot_info){
		.active = be32_at(p + LUKS_SLOT_STATE) == LUKS_SLOT_ON,
		.iterations = be32_at(p + LUKS_SLOT_ITERATIONS),
		.stripes = be32_at(p + LUKS_SLOT_STRIPES),
		.key_offset = (uint64_t)be32_at(p + LUKS_SLOT_MATERIAL) * SECTOR,
	};
}

qc_err qc_luks_header_parse(const uint8_t *buf, size_t len, struct qc_luks_info *f)
{
	if (len < LUKS_BYTES || memcmp(buf, LUKS_MAGIC, LUKS_MAGIC_BYTES) ||
	    be16_at(buf + LUKS_AT_VERSION) != 1)
		return -EINVAL;
	*f = (struct qc_luks_info){
		.key_bytes = be32_at(buf + LUKS_AT_KEY_BYTES),
		.iterations = be32_at(buf + LUKS_AT_ITERATIONS),
		.payload_offset = (uint64_t)be32_at(buf + LUKS_AT_PAYLOAD) * SECTOR,
	};
	take_text(f->cipher, buf + LUKS_AT_CIPHER, LUKS_TEXT);
	take_text(f->mode, buf + LUKS_AT_MODE, LUKS_TEXT);
	take_text(f->hash, buf + LUKS_AT_HASH, LUKS_TEXT);
	take_text(f->uuid, buf + LUKS_AT_UUID, LUKS_UUID_TEXT);
	split_mode(f);
	for (size_t i = 0; i < sizeof(f->slot) / sizeof(f->slot[0]); i++)
		f->slot[i] = slot_of(buf + LUKS_AT_SLOTS + i * LUKS_SLOT_BYTES);
	return 0;
}
