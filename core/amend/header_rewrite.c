/* SPDX-License-Identifier: MIT */
#include "amend/header_rewrite.h"

#include <errno.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/failpoint.h"
#include "base/range.h"
#include "format/qcow_layout.h"
#include "update/checkpoint.h"

enum { NEW_LENGTH_V3 = 112 };

/* The first cluster, as it is and as it will be. */
struct header_bytes {
	const struct qc_header *head;
	uint8_t *old, *now; /* one cluster each */
	uint64_t cluster;
	uint64_t old_end; /* of the old extensions */
	uint64_t at;	  /* end of the new bytes so far */
	uint64_t name;	  /* offset of the name of the backing file; 0: none */
	bool name_moves;  /* to bytes outside of the first sector */
};

static uint64_t header_length(const uint8_t *bytes)
{
	return be32_at(bytes + HEAD_VERSION) == 2 ? HEAD_V2_BYTES : be32_at(bytes + HEAD_LENGTH);
}

/* Writes the fixed fields.  Those of version 3 that an image of version 2 lacks are zeros, but
 * for the width of refcounts. */
static void put_fixed_fields(struct header_bytes *h, const struct qc_header_edit *edit)
{
	bool had_v3 = h->head->version == 3;

	h->at = edit->version == 2 ? HEAD_V2_BYTES : had_v3 ? header_length(h->old) : NEW_LENGTH_V3;
	memset(h->now, 0, h->cluster);
	memcpy(h->now, h->old, edit->version == 3 && had_v3 ? h->at : HEAD_V2_BYTES);
	be32_to(h->now + HEAD_VERSION, edit->version);
	if (edit->version == 2)
		return;
	be64_to(h->now + HEAD_COMPATIBLE, edit->compatible);
	be64_to(h->now + HEAD_AUTOCLEAR, edit->autoclear);
	be32_to(h->now + HEAD_REFCOUNT_ORDER, h->head->refcount_order);
	be32_to(h->now + HEAD_LENGTH, (uint32_t)h->at);
}

static qc_err put_extension_bytes(struct header_bytes *h, uint32_t magic, const void *data,
				  uint64_t len)
{
	uint64_t padded = round_up(len, 8);

	if (h->at + 8 + padded > h->cluster)
		return -ENAMETOOLONG;
	be32_to(h->now + h->at, magic);
	be32_to(h->now + h->at + 4, (uint32_t)len);
	if (len)
		memcpy(h->now + h->at + 8, data, len);
	h->at += 8 + padded;
	return 0;
}

static qc_err copy_extension(struct header_bytes *h, const struct qc_header_edit *edit,
			     uint32_t magic, uint64_t at, uint64_t len, bool with_names)
{
	const void *data = h->old + at;

	if (magic == EXT_FEATURE_NAMES && (edit->version == 2 || !with_names))
		return 0;
	if (magic == EXT_DATA_FILE && edit->version == 2)
		return 0;
	if (magic == EXT_DATA_FILE && edit->data_file) {
		data = edit->data_file;
		len = strlen(edit->data_file);
	}
	return put_extension_bytes(h, magic, data, len);
}

/* Copies the extensions, which were checked when the image was opened. */
static qc_err copy_extensions(struct header_bytes *h, const struct qc_header_edit *edit,
			      bool with_names)
{
	uint64_t at = header_length(h->old);
	uint64_t end = h->head->backing_offset ? h->head->backing_offset : h->cluster;
	qc_err r = 0;

	while (!r && at + 8 <= end) {
		uint32_t magic = be32_at(h->old + at), len = be32_at(h->old + at + 4);

		at += 8;
		if (magic == EXT_END || len > end - at)
			break;
		r = copy_extension(h, edit, magic, at, len, with_names);
		at += round_up(len, 8);
	}
	h->old_end = at;
	return r ? r : put_extension_bytes(h, EXT_END, "", 0);
}

/* Finds room for the name of the backing file: where it is, behind the extensions in the first
 * sector, or behind all bytes of the old header. */
static qc_err put_backing_name(struct header_bytes *h)
{
	uint64_t len = h->head->backing_len, from = h->head->backing_offset;
	uint64_t behind = round_up(max_u64(SECTOR, max_u64(h->old_end, from + len)), 8);

	be64_to(h->now + HEAD_BACKING_OFFSET, 0);
	if (!len)
		return 0;
	h->name = from >= h->at && from + len <= SECTOR ? from :
		  h->at + len <= SECTOR			? h->at :
		  from >= max_u64(h->at, SECTOR)	? from : behind;
	h->name_moves = h->name == behind;
	if (h->name + len > h->cluster)
		return -ENAMETOOLONG;
	memcpy(h->now + h->name, h->old + from, len);
	be64_to(h->now + HEAD_BACKING_OFFSET, h->name);
	return 0;
}

static qc_err lay_out_header(struct header_bytes *h, const struct qc_header_edit *edit,
			     bool with_names)
{
	qc_err r;

	put_fixed_fields(h, edit);
	r = copy_extensions(h, edit, with_names);
	if (!r && h->at > SECTOR)
		r = -ENAMETOOLONG;
	return r ? r : put_backing_name(h);
}

static qc_err make_header(struct qc_writer *w, const struct qc_header_edit *edit,
			  struct header_bytes *h, struct qc_reason *why)
{
	size_t got;
	qc_err r;

	*h = (struct header_bytes){ .head = &w->layer->head };
	h->cluster = geom_cluster(&h->head->geom);
	h->old = malloc(h->cluster);
	h->now = malloc(h->cluster);
	if (!h->old || !h->now)
		return qc_fail_errno(why, -ENOMEM, NULL);
	r = qc_file_read(w->file, 0, h->old, h->cluster, &got);
	if (r)
		return qc_fail_errno(why, r, "cannot read the header");
	r = lay_out_header(h, edit, true);
	if (r == -ENAMETOOLONG)
		r = lay_out_header(h, edit, false);
	return r ? qc_fail(why, r, "the header would be too long for its first sector") : 0;
}

static void free_header_bytes(struct header_bytes *h)
{
	free(h->old);
	free(h->now);
}

qc_err qc_header_rewrite_check(struct qc_writer *w, const struct qc_header_edit *edit,
			       struct qc_reason *why)
{
	struct header_bytes h;
	qc_err r = make_header(w, edit, &h, why);

	free_header_bytes(&h);
	return r;
}

/* Writes the moved name before the first sector, which switches over to it. */
static qc_err write_new_header(struct qc_writer *w, struct header_bytes *h)
{
	qc_err r = 0;

	if (h->name_moves)
		r = qc_file_write(w->file, h->name, h->now + h->name, h->head->backing_len);
	if (!r && h->name_moves)
		r = qc_writer_sync(w);
	if (!r && FAIL_POINT("amend.before-switch"))
		r = -EIO;
	return r ? r : qc_writer_update_header(w, 0, h->now, SECTOR);
}

/* After the switch nothing may fail, so the new header is decoded before. */
static qc_err parse_new_header(const struct header_bytes *h, struct qc_header *head,
			       struct qc_reason *why)
{
	size_t need;
	qc_err r = qc_header_parse(h->now, h->cluster, head, &need, why);

	if (!r)
		memcpy(head->backing, h->head->backing, sizeof(head->backing));
	return r;
}

qc_err qc_header_rewrite(struct qc_writer *w, const struct qc_header_edit *edit,
			 struct qc_reason *why)
{
	struct header_bytes h;
	struct qc_header head;
	qc_err r = make_header(w, edit, &h, why);

	if (!r)
		r = parse_new_header(&h, &head, why);
	if (!r) {
		r = write_new_header(w, &h);
		r = r ? qc_fail_errno(why, r, "cannot write the header") : 0;
	}
	if (!r)
		w->layer->head = head;
	free_header_bytes(&h);
	return r;
}
