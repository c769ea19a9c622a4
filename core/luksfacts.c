/* SPDX-License-Identifier: MIT */
#include "luksfacts.h"

#include <errno.h>
#include <string.h>

#include "be.h"
#include "format.h"

enum {
	LUKS_VERSION = 6,	/* u16 */
	LUKS_CIPHER = 8,	/* 32 bytes of text each */
	LUKS_MODE = 40,
	LUKS_HASH = 72,
	LUKS_TEXT = 32,
	LUKS_PAYLOAD = 104,	/* u32, sectors */
	LUKS_KEY_BYTES = 108,	/* u32 */
	LUKS_ITERATIONS = 164,	/* u32 */
	LUKS_UUID = 168,	/* 40 bytes of text */
	LUKS_UUID_TEXT = 40,
	LUKS_SLOTS = 208,
	LUKS_SLOT_BYTES = 48,
	SLOT_STATE = 0,		/* u32 */
	SLOT_ITERATIONS = 4,	/* u32 */
	SLOT_MATERIAL = 40,	/* u32, sectors */
	SLOT_STRIPES = 44,	/* u32 */
};

#define SLOT_ACTIVE UINT32_C(0x00ac71f3)

/* Up to its NUL, which may be missing. */
static void take_text(char *to, const uint8_t *from, size_t max)
{
	memcpy(to, from, max);
	to[max] = 0;
}

/* "cbc-essiv:sha256" */
static void split_mode(struct qc_luks_facts *f)
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

static struct qc_luks_slot_facts slot_of(const uint8_t *p)
{
	return (struct qc_luks_slot_facts){
		.active = be32_at(p + SLOT_STATE) == SLOT_ACTIVE,
		.iterations = be32_at(p + SLOT_ITERATIONS),
		.stripes = be32_at(p + SLOT_STRIPES),
		.key_offset = (uint64_t)be32_at(p + SLOT_MATERIAL) * SECTOR,
	};
}

qc_err qc_luks_facts_parse(const uint8_t *buf, size_t len, struct qc_luks_facts *f)
{
	if (len < QC_LUKS_FACTS_BYTES || memcmp(buf, "LUKS\xba\xbe", 6) ||
	    be16_at(buf + LUKS_VERSION) != 1)
		return -EINVAL;
	*f = (struct qc_luks_facts){
		.key_bytes = be32_at(buf + LUKS_KEY_BYTES),
		.iterations = be32_at(buf + LUKS_ITERATIONS),
		.payload_offset = (uint64_t)be32_at(buf + LUKS_PAYLOAD) * SECTOR,
	};
	take_text(f->cipher, buf + LUKS_CIPHER, LUKS_TEXT);
	take_text(f->mode, buf + LUKS_MODE, LUKS_TEXT);
	take_text(f->hash, buf + LUKS_HASH, LUKS_TEXT);
	take_text(f->uuid, buf + LUKS_UUID, LUKS_UUID_TEXT);
	split_mode(f);
	for (size_t i = 0; i < sizeof(f->slot) / sizeof(f->slot[0]); i++)
		f->slot[i] = slot_of(buf + LUKS_SLOTS + i * LUKS_SLOT_BYTES);
	return 0;
}
