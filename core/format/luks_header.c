/* SPDX-License-Identifier: MIT */
#include "format/luks_header.h"

#include <errno.h>
#include <string.h>

#include "base/byteorder.h"
#include "format/qcow_layout.h"

static void copy_luks_text(char *to, const uint8_t *from, size_t field)
{
	memcpy(to, from, field);
	to[field] = 0;
}

static void parse_luks_slot(const uint8_t *p, struct qc_luks_header_slot *s)
{
	s->state = be32_at(p + LUKS_SLOT_STATE);
	s->iterations = be32_at(p + LUKS_SLOT_ITERATIONS);
	s->stripes = be32_at(p + LUKS_SLOT_STRIPES);
	memcpy(s->salt, p + LUKS_SLOT_SALT, LUKS_SALT);
	s->key_offset = (uint64_t)be32_at(p + LUKS_SLOT_MATERIAL) * SECTOR;
}

qc_err qc_luks_header_parse(const uint8_t *buf, size_t len, struct qc_luks_header *h)
{
	if (len < LUKS_BYTES || memcmp(buf, LUKS_MAGIC, LUKS_MAGIC_BYTES))
		return -EINVAL;
	h->version = be16_at(buf + LUKS_AT_VERSION);
	copy_luks_text(h->cipher, buf + LUKS_AT_CIPHER, LUKS_TEXT);
	copy_luks_text(h->mode, buf + LUKS_AT_MODE, LUKS_TEXT);
	copy_luks_text(h->hash, buf + LUKS_AT_HASH, LUKS_TEXT);
	copy_luks_text(h->uuid, buf + LUKS_AT_UUID, LUKS_UUID_TEXT);
	h->payload_offset = (uint64_t)be32_at(buf + LUKS_AT_PAYLOAD) * SECTOR;
	h->key_bytes = be32_at(buf + LUKS_AT_KEY_BYTES);
	memcpy(h->digest, buf + LUKS_AT_DIGEST, LUKS_DIGEST);
	memcpy(h->digest_salt, buf + LUKS_AT_DIGEST_SALT, LUKS_SALT);
	h->digest_iterations = be32_at(buf + LUKS_AT_ITERATIONS);
	for (size_t i = 0; i < LUKS_SLOTS; i++)
		parse_luks_slot(buf + LUKS_AT_SLOTS + i * LUKS_SLOT_BYTES, &h->slot[i]);
	return 0;
}

/* ---- for the public API ----------------------------------------------------- */

static void split_cipher_mode(struct qc_luks_info *f)
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

void qc_luks_header_describe(const struct qc_luks_header *h, struct qc_luks_info *f)
{
	*f = (struct qc_luks_info){
		.key_bytes = h->key_bytes,
		.iterations = h->digest_iterations,
		.payload_offset = h->payload_offset,
	};
	memcpy(f->cipher, h->cipher, sizeof(f->cipher));
	memcpy(f->mode, h->mode, sizeof(f->mode));
	memcpy(f->hash, h->hash, sizeof(f->hash));
	memcpy(f->uuid, h->uuid, sizeof(f->uuid));
	split_cipher_mode(f);
	for (size_t i = 0; i < LUKS_SLOTS; i++)
		f->slot[i] = (struct qc_luks_slot_info){
			.active = h->slot[i].state == LUKS_SLOT_ON,
			.iterations = h->slot[i].iterations,
			.stripes = h->slot[i].stripes,
			.key_offset = h->slot[i].key_offset,
		};
}
