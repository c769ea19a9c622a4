/* SPDX-License-Identifier: MIT */
/*
 * luks_header.h - bytes of a LUKS header -> its fields.
 *
 * The fields are not checked here.  crypto/luks.c checks those that it uses;
 * image/info.c shows them as they are.
 */
#ifndef QC_LUKS_HEADER_H
#define QC_LUKS_HEADER_H

#include "base/util.h"
#include "format/luks_layout.h"

struct qc_luks_header {
	uint16_t version;
	/* Without a NUL in the image, a text is as long as its field. */
	char cipher[LUKS_TEXT + 1], mode[LUKS_TEXT + 1], hash[LUKS_TEXT + 1];
	char uuid[LUKS_UUID_TEXT + 1];
	uint64_t payload_offset; /* bytes */
	uint32_t key_bytes;
	uint8_t digest[LUKS_DIGEST], digest_salt[LUKS_SALT];
	uint32_t digest_iterations;
	struct qc_luks_header_slot {
		uint32_t state; /* LUKS_SLOT_ON, LUKS_SLOT_OFF */
		uint32_t iterations, stripes;
		uint8_t salt[LUKS_SALT];
		uint64_t key_offset; /* bytes from the header to the key material */
	} slot[LUKS_SLOTS];
};

/*
 * qc_luks_header_parse() - decode a LUKS header of any version
 * @buf:  the first @len bytes
 * @out:  valid on success
 *
 * The layout is that of version 1: check out->version before any other field.
 * Return: 0; -EINVAL less than LUKS_BYTES, or no LUKS magic
 */
qc_err qc_luks_header_parse(const uint8_t *buf, size_t len, struct qc_luks_header *out);

/* Converts a header to the form of the public API.  Splits a mode such as
 * "cbc-essiv:sha256" into mode, IV generator and its hash. */
void qc_luks_header_describe(const struct qc_luks_header *h, struct qc_luks_info *out);

#endif
