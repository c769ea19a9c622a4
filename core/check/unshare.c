/* SPDX-License-Identifier: MIT */
#include "check/unshare.h"

#include <errno.h>

#include "base/range.h"
#include "layer/guest_data.h"
#include "update/checkpoint.h"

struct unshare {
	struct qc_writer *w;
	struct qc_reference_count *m;
	const struct geom *g;
	uint8_t *buf; /* one cluster */
	uint64_t *done;
};

/* Returns true if the cluster of this entry must be copied.  Called once for each entry. */
static bool needs_copy(struct qc_reference_count *m, uint64_t off)
{
	uint64_t c = off >> m->bits;
	uint32_t *count;
	bool copy;

	if (c < m->first || c >= qc_reference_count_end(m) || !qc_reference_is_shared(m, c))
		return false;
	count = &m->count[c - m->first];
	copy = *count & (QC_REF_SEEN | QC_REF_COMPRESSED);
	*count |= QC_REF_SEEN;
	return copy;
}

static qc_err allocate_one(const struct unshare *u, enum qc_alloc_purpose use, struct hoff *to)
{
	uint64_t got;
	bool never_written;

	return qc_alloc_clusters(&u->w->alloc, use, 1, to, &got, &never_written);
}

/* Guest data is copied by way of its plaintext: with LUKS a sector is encrypted for its
 * host offset. */
static qc_err copy_guest_cluster(const struct unshare *u, struct goff guest, struct hoff from,
				 struct hoff *to)
{
	uint64_t cs = geom_cluster(u->g);
	struct qc_layer *l = u->w->layer;
	size_t got;
	qc_err r = qc_guest_data_read(l, guest, from, u->buf, cs, &got);

	if (!r)
		r = allocate_one(u, QC_ALLOC_DATA, to);
	return r ? r : qc_guest_data_write(l, u->w->data, guest, *to, u->buf, cs);
}

static qc_err unshare_entries(struct unshare *u, const struct qc_metadata_item *l2, bool *changed)
{
	qc_err r = 0;

	for (uint64_t i = 0; !r && i < UINT64_C(1) << u->g->l2_bits; i++) {
		struct goff guest = { l2->index * geom_l1_span(u->g) + (i << u->g->cluster_bits) };
		struct hoff to;
		struct l2_entry e;

		if (l2_entry_at(u->g, l2->bytes, i, &e) || e.kind == QC_COMPRESSED || !e.host.v ||
		    !needs_copy(u->m, e.host.v))
			continue;
		r = copy_guest_cluster(u, guest, e.host, &to);
		if (r)
			break;
		e.host = to;
		e.copied = false;
		l2_entry_put(u->g, l2->bytes, i, l2_entry_encode(u->g, &e));
		*changed = true;
		++*u->done;
	}
	return r;
}

/* Makes the copies durable, with their refcounts, and then lets the table reference them. */
static qc_err write_l2_table(struct unshare *u, const struct qc_metadata_item *l2)
{
	qc_err r = qc_checkpoint(u->w, false);

	if (!r)
		r = qc_file_write(u->w->file, l2->off, l2->bytes, l2->len);
	qc_cache_invalidate(u->w->layer->tables, l2->off, l2->len);
	return r;
}

static qc_err replace_l2_table(struct unshare *u, const struct qc_metadata_item *l2)
{
	uint64_t at = l2->entry_off + 8 * l2->index;
	uint8_t raw[8];
	struct hoff to;
	qc_err r = allocate_one(u, QC_ALLOC_TABLE, &to);

	if (!r)
		r = qc_file_write(u->w->file, to.v, l2->bytes, l2->len);
	if (!r)
		r = qc_checkpoint(u->w, false);
	be64_to(raw, l1_encode(u->g, to, false));
	if (!r)
		r = qc_file_write(u->w->file, at, raw, sizeof(raw));
	++*u->done;
	return r;
}

static qc_err unshare_table(void *arg, struct qc_metadata_item *l2)
{
	struct unshare *u = arg;
	bool changed = false, shared;
	qc_err r;

	if (l2->invalid)
		return u->m->ignore_damage ? 0 : -EIO;
	shared = needs_copy(u->m, l2->off);
	r = unshare_entries(u, l2, &changed);
	if (!r && shared)
		return replace_l2_table(u, l2);
	return r || !changed ? r : write_l2_table(u, l2);
}

qc_err qc_unshare_window(struct qc_writer *w, struct qc_reference_count *m, uint64_t *done)
{
	struct qc_l1_table l1 = qc_l1_active(w->layer);
	AUTO_FREE uint8_t *buf = malloc(geom_cluster(m->g)), *bytes = NULL;
	struct unshare u = { w, m, m->g, buf, done };
	uint64_t before = *done;
	qc_err r = buf ? qc_metadata_read_l1(m->md, &bytes) : -ENOMEM;

	if (!r)
		r = qc_metadata_for_each_l2(m->md, &l1, bytes, QC_WALK_READ_L2, unshare_table, &u);
	if (!r && *done > before)
		r = qc_writer_sync(w);
	qc_cache_invalidate(w->layer->tables, l1.l1_offset, l1.l1_entries * UINT64_C(8));
	return r;
}
