/* SPDX-License-Identifier: MIT */
/*
 * fuzz-luks.c - the input is a LUKS header; its last byte tells the length of the
 * file.
 *
 * An accepted header must be sound, and a slot that asks for little work is tried.
 */
#include "fuzz.h"

#include "crypto/luks.h"
#include "crypto/secure_mem.h"

enum { LITTLE = 2000 };

static void must_be_sound(const struct qc_luks *l, uint64_t len)
{
	size_t n = qc_luks_key_material_bytes(l);

	MUST(l->hash && l->digest_iterations);
	MUST(l->spec.key_bytes >= 16 && l->spec.key_bytes <= QC_CIPHER_KEY_MAX);
	MUST(l->spec.cipher && l->spec.iv_bytes >= 8 && l->spec.iv_bytes <= 16);
	MUST(n % 512 == 0 && n / l->spec.key_bytes == LUKS_STRIPES);
	for (int i = 0; i < LUKS_SLOTS; i++) {
		const struct qc_luks_slot *s = &l->slot[i];

		if (!s->active)
			continue;
		MUST(s->iterations && s->iterations <= LUKS_SLOT_ROUNDS);
		MUST(s->key_offset >= LUKS_BYTES && range_inside(s->key_offset, n, len));
		for (int k = 0; k < i; k++)
			MUST(!l->slot[k].active || !range_overlap(l->slot[k].key_offset, n, s->key_offset, n));
	}
}

static void try_slot(const struct qc_luks *l, const uint8_t *data, size_t size)
{
	AUTO_SECRET uint8_t *material = qc_secure_alloc(qc_luks_key_material_bytes(l));
	AUTO_SECRET uint8_t *key = qc_secure_alloc(QC_CIPHER_KEY_MAX);
	unsigned int i = 0;
	qc_err r;

	while (i < LUKS_SLOTS && !l->slot[i].active)
		i++;
	if (i == LUKS_SLOTS || l->slot[i].iterations > LITTLE || l->digest_iterations > LITTLE)
		return;
	MUST(material && key);
	for (size_t k = 0; k < qc_luks_key_material_bytes(l); k++)
		material[k] = data[k % size];
	r = qc_luks_open_slot(l, i, material, data, size % 100, key);
	MUST(r == 0 || r == -EACCES || r == -ENOMEM);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t header[LUKS_BYTES] = { 0 };
	struct qc_reason why = { 0 };
	struct qc_luks l;
	uint64_t len;
	qc_err r;

	if (!size)
		return 0;
	memcpy(header, data, min_u64(size, sizeof(header)));
	len = UINT64_C(1) << data[size - 1] % 64;
	r = qc_luks_parse(header, len, &l, &why);
	MUST(r <= 0);
	must_be_plain(why.text, sizeof(why.text));
	if (r)
		MUST(*why.text);
	else
		must_be_sound(&l, len);
	if (!r)
		try_slot(&l, data, size);
	return 0;
}
