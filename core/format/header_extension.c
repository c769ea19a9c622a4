/* SPDX-License-Identifier: MIT */
#include "format/header_extension.h"

#include <errno.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/range.h"
#include "format/features.h"

/* Two programs might read different names from one with a NUL inside. */
qc_err qc_header_extension_name(const char *object, const uint8_t *data, size_t len, char *to,
				size_t max, struct qc_reason *why)
{
	if (len > max)
		return qc_fail(why, -EINVAL, "the name of the %s has %zu bytes, more than %zu",
			       object, len, max);
	if (memchr(data, 0, len))
		return qc_fail(why, -EINVAL, "the name of the %s has a NUL byte", object);
	memcpy(to, data, len);
	to[len] = 0;
	return 0;
}

/* QEMU 0.11 and 0.12 pad the name with NULs to a multiple of 8 bytes, and count them.  Any
 * other NUL is damage, such as a file that was cut off. */
static qc_err parse_backing_format_extension(const uint8_t *data, uint32_t len,
					     struct qc_header *h, struct qc_reason *why)
{
	if (len % 8 == 0)
		while (len && !data[len - 1])
			len--;
	return qc_header_extension_name("backing format", data, len, h->backing_format,
					FORMAT_NAME_MAX, why);
}

/* Names the unknown incompatible features, for the message about them. */
static void parse_feature_names(const uint8_t *data, uint32_t len, struct qc_header *h)
{
	struct qc_feature unknown[64];
	uint64_t bits = h->incompatible & ~qc_features_with(QC_INCOMPATIBLE, QC_FEATURE_READ);
	size_t n = qc_features_list(QC_INCOMPATIBLE, bits, unknown);

	qc_features_read_names(data, len, unknown, n);
	qc_features_join_names(unknown, n, h->unknown_features, sizeof(h->unknown_features));
}

static qc_err parse_extension(uint32_t magic, const uint8_t *data, uint32_t len,
			      struct qc_header *h, struct qc_reason *why)
{
	switch (magic) {
	case EXT_BACKING_FORMAT:
		return parse_backing_format_extension(data, len, h, why);
	case EXT_DATA_FILE:
		return qc_header_extension_name("data file", data, len, h->data_file, NAME_MAX_LEN,
						why);
	case EXT_FEATURE_NAMES:
		parse_feature_names(data, len, h);
		return 0;
	case EXT_LUKS:
		if (len != EXT_LUKS_BYTES)
			return qc_fail(why, -EINVAL, "a LUKS extension of %u bytes, not %d", len,
				       EXT_LUKS_BYTES);
		h->has_luks_extension = true;
		h->luks_offset = be64_at(data);
		h->luks_bytes = be64_at(data + 8);
		return 0;
	case EXT_BITMAPS:
		if (len != EXT_BITMAPS_BYTES)
			return qc_fail(why, -EINVAL, "a bitmaps extension of %u bytes, not %d", len,
				       EXT_BITMAPS_BYTES);
		h->bitmaps = be32_at(data);
		h->bitmaps_reserved = be32_at(data + 4);
		h->bitmaps_bytes = be64_at(data + 8);
		h->bitmaps_offset = be64_at(data + 16);
		return 0;
	default:
		return 0;
	}
}

/* A table that is too short for a name is no table: so an extension is taken out. */
static void note_feature_names(struct qc_header *h, size_t at, uint32_t len, uint32_t magic)
{
	if (magic != EXT_FEATURE_NAMES)
		return;
	if (len == EXT_BITMAPS_BYTES)
		h->unused_extension = at - 8;
	if (len < FEATURE_NAME_BYTES)
		return;
	h->feature_names_offset = at;
	h->feature_names_bytes = len;
}

qc_err qc_header_extension_parse_all(const uint8_t *buf, size_t n, size_t at, struct qc_header *h,
				  size_t *need, struct qc_reason *why)
{
	uint64_t cs = geom_cluster(&h->geom);
	size_t end = (size_t)(h->backing_offset ? h->backing_offset : cs);

	h->extensions_end = at;
	while (at < end) {
		uint32_t magic, len;
		qc_err r;

		if (n < end && n < at + 8) {
			*need = end;
			return 0;
		}
		if (end - at < 8)
			return qc_fail(why, -EINVAL, "a header extension is cut off at 0x%zx", at);
		magic = be32_at(buf + at);
		len = be32_at(buf + at + 4);
		at += 8;
		if (len > end - at)
			return qc_fail(why, -EINVAL, "header extension 0x%08x is too long: %u "
				       "bytes, with room for %zu", magic, len, end - at);
		if (magic == EXT_END)
			return 0;
		if (n < at + len) {
			*need = end;
			return 0;
		}
		if (magic == EXT_BITMAPS)
			h->bitmaps_extension = at - 8;
		note_feature_names(h, at, len, magic);
		r = parse_extension(magic, buf + at, len, h, why);
		if (r)
			return r;
		at += (size_t)round_up(len, 8);
		h->extensions_end = at;
	}
	return 0;
}
