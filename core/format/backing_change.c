/* SPDX-License-Identifier: MIT */
/*
 * backing_change.c - where a new backing file name and format fit.
 *
 * The format is an extension, and extensions end where the name begins (qcow2 spec, "Header
 * extensions").  A format that is there already is replaced.  Else one is added behind the
 * last extension, if that is in the first sector.  Else it takes the bytes of the first entry
 * of the feature name table, which only serves messages.
 *
 * Bytes of an extension that are not needed any more become a feature name table without
 * entries: all readers skip it.  The next format uses these bytes again.
 */
#include "format/backing_change.h"

#include <errno.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/range.h"

enum { EXT_HEAD = 8, PADDING = 8 };

/* The extensions of an image, as far as they matter here. */
struct extensions {
	size_t end;    /* of the last one, without the end marker */
	size_t format; /* offset of the head of the backing format; 0: none */
	size_t format_bytes; /* padded */
	size_t names;  /* offset of the head of a feature name table with an entry; 0: none */
	size_t names_bytes;
	size_t unused;  /* offset of the head of one without an entry; 0: none */
	size_t unused_bytes; /* padded */
	bool marked; /* there is an end marker */
};

static void find_header_extensions(const struct qc_header *h, const uint8_t *first, size_t n,
			    struct extensions *x)
{
	size_t at = h->version == 2 ? HEAD_V2_BYTES : be32_at(first + HEAD_LENGTH);
	size_t end = h->backing_offset ? (size_t)h->backing_offset : n;

	*x = (struct extensions){ .end = at };
	while (at + EXT_HEAD <= end) {
		uint32_t magic = be32_at(first + at), len = be32_at(first + at + 4);
		size_t padded = round_up(len, PADDING);

		x->end = at;
		x->marked = magic == EXT_END;
		if (x->marked || padded > end - at - EXT_HEAD)
			return;
		if (magic == EXT_BACKING_FORMAT) {
			x->format = at;
			x->format_bytes = padded;
		}
		if (magic == EXT_FEATURE_NAMES && len >= FEATURE_NAME_BYTES) {
			x->names = at;
			x->names_bytes = len;
		}
		if (magic == EXT_FEATURE_NAMES && len < FEATURE_NAME_BYTES && padded >= x->unused_bytes) {
			x->unused = at;
			x->unused_bytes = padded;
		}
		at += EXT_HEAD + padded;
		x->end = at;
	}
}

/* Writes the head of an extension. */
static void put_head(struct qc_backing_change *c, size_t at, uint32_t magic, size_t len)
{
	be32_to(c->sector + at, magic);
	be32_to(c->sector + at + 4, (uint32_t)len);
	c->end = max_u64(c->end, at + EXT_HEAD);
}

/* Writes the backing format, and fills it up to @room bytes with an extension that means
 * nothing.  @room is that of the padded content. */
static void put_format(struct qc_backing_change *c, size_t at, const char *format, size_t room)
{
	size_t len = strlen(format), padded = round_up(len, PADDING);

	put_head(c, at, EXT_BACKING_FORMAT, len);
	memset(c->sector + at + EXT_HEAD, 0, padded);
	memcpy(c->sector + at + EXT_HEAD, format, len);
	if (room > padded)
		put_head(c, at + EXT_HEAD + padded, EXT_FEATURE_NAMES, room - padded - EXT_HEAD);
	c->end = max_u64(c->end, at + EXT_HEAD + room);
}

/* Adds the format where there was none.  Returns false if the sector has no room for it. */
static bool add_format(struct qc_backing_change *c, struct extensions *x, const char *format)
{
	size_t need = EXT_HEAD + round_up(strlen(format), PADDING);

	if (x->unused && need - EXT_HEAD <= x->unused_bytes &&
	    x->unused + EXT_HEAD + x->unused_bytes <= SECTOR) {
		put_format(c, x->unused, format, x->unused_bytes);
		return true;
	}
	if (x->end + need + EXT_HEAD <= SECTOR) {
		put_format(c, x->end, format, need - EXT_HEAD);
		x->end += need;
		put_head(c, x->end, EXT_END, 0);
		x->marked = true;
		return true;
	}
	if (!x->names || need + EXT_HEAD > FEATURE_NAME_BYTES ||
	    x->names + FEATURE_NAME_BYTES + EXT_HEAD > SECTOR)
		return false;
	put_format(c, x->names, format, FEATURE_NAME_BYTES - EXT_HEAD);
	put_head(c, x->names + FEATURE_NAME_BYTES, EXT_FEATURE_NAMES,
		 x->names_bytes - FEATURE_NAME_BYTES);
	return true;
}

/* Returns false if the sector has no room for the format. */
static bool change_format(struct qc_backing_change *c, struct extensions *x, const char *format)
{
	if (!x->format)
		return !*format || add_format(c, x, format);
	if (x->format + EXT_HEAD + x->format_bytes > SECTOR ||
	    round_up(strlen(format), PADDING) > x->format_bytes)
		return false;
	if (*format)
		put_format(c, x->format, format, x->format_bytes);
	else
		put_head(c, x->format, EXT_FEATURE_NAMES, x->format_bytes);
	return true;
}

void qc_backing_change_set_name(struct qc_backing_change *c, uint64_t off, size_t len)
{
	be64_to(c->sector + HEAD_BACKING_OFFSET, off);
	be32_to(c->sector + HEAD_BACKING_LEN, (uint32_t)len);
	c->from = HEAD_BACKING_OFFSET;
	c->end = max_u64(c->end, HEAD_BACKING_LEN + 4);
}

/* Puts the name into the first sector, behind offset @at, if it ends before @limit. */
static bool put_name_in_sector(struct qc_backing_change *c, size_t at, uint64_t limit,
			       const char *name)
{
	size_t len = strlen(name);

	if (at + len > min_u64(limit, SECTOR))
		return false;
	memcpy(c->sector + at, name, len);
	c->end = max_u64(c->end, at + len);
	qc_backing_change_set_name(c, at, len);
	return true;
}

/* Finds bytes of the first cluster for a name that is written before the sector: behind the
 * old name, or before it.  The part of it that is in the sector is written again with it. */
static bool find_room_for_name(struct qc_backing_change *c, const struct qc_header *h,
			       size_t at, size_t n, const char *name)
{
	size_t len = strlen(name), old = (size_t)h->backing_offset;
	size_t behind = max_u64(at, old + h->backing_len);

	if (behind + len <= n)
		at = behind;
	else if (!old || at + len > old)
		return false;
	c->name_offset = at;
	if (at < SECTOR) {
		size_t inside = min_u64(len, SECTOR - at);

		memcpy(c->sector + at, name, inside);
		c->end = max_u64(c->end, at + inside);
	}
	qc_backing_change_set_name(c, at, len);
	return true;
}

/* Puts the name behind the extensions.  They get an end marker if they have none: the old name
 * may stay between them and the new one. */
static bool put_new_name(struct qc_backing_change *c, const struct qc_header *h,
		     const struct extensions *x, size_t n, const char *name)
{
	size_t at = x->end + EXT_HEAD;

	if (!x->marked && at > SECTOR)
		return false;
	if (!x->marked)
		put_head(c, x->end, EXT_END, 0);
	return put_name_in_sector(c, at, SECTOR, name) || find_room_for_name(c, h, at, n, name);
}

/* Removes the name.  Without an end marker the extensions still end at the old offset. */
static void remove_name(struct qc_backing_change *c, const struct qc_header *h,
			const struct extensions *x)
{
	qc_backing_change_set_name(c, x->marked ? 0 : h->backing_offset, 0);
}

static qc_err plan_v1(const struct qc_header *h, const char *name, struct qc_backing_change *c)
{
	if (!*name)
		qc_backing_change_set_name(c, 0, 0);
	else
		c->append = !put_name_in_sector(c, HEAD1_BYTES, h->geom.l1_offset, name);
	return 0;
}

qc_err qc_backing_change_plan(const struct qc_header *h, const uint8_t *first, size_t n,
			      const char *name, const char *format,
			      struct qc_backing_change *out, struct qc_reason *why)
{
	struct extensions x;

	*out = (struct qc_backing_change){ 0 };
	memcpy(out->sector, first, SECTOR);
	if (strlen(name) > NAME_MAX_LEN)
		return qc_fail(why, -EINVAL, "the name of the backing file has more than %d bytes",
			       NAME_MAX_LEN);
	if (strlen(format) > FORMAT_NAME_MAX)
		return qc_fail(why, -EINVAL, "backing format '%s' does not exist", format);
	if (h->version == 1)
		return plan_v1(h, name, out);
	find_header_extensions(h, first, n, &x);
	if (!change_format(out, &x, *name ? format : ""))
		return qc_fail(why, -EOPNOTSUPP, "the header has no room for the format of the "
			       "backing file in its first sector");
	if (!*name)
		remove_name(out, h, &x);
	else if (!put_new_name(out, h, &x, n, name))
		return qc_fail(why, -ENAMETOOLONG, "the first cluster has no room for the name of "
			       "the backing file beside the old one");
	return 0;
}
