/* SPDX-License-Identifier: MIT */
#include "layer/cluster_map.h"

#include <inttypes.h>

#include "base/range.h"

/* Tables are read through slice views, as under a seqlock.  If a view turns out to be invalid,
 * all that was concluded from it is void, also that an entry is damaged: the lookup repeats. */

/* ---- L1 ------------------------------------------------------------------- */

/* Returns the L2 table for `at`; or 0, and for how many bytes there is no L2 table. */
static qc_err read_l1_entry(struct qc_layer *l, const struct qc_l1_table *root,
			    const struct qc_slice_view *v, uint64_t index, struct goff at,
			    uint64_t max, struct hoff *table, uint64_t *hole)
{
	const struct geom *g = &l->head.geom;
	uint64_t per_slice = l->slice_bytes / 8;
	uint64_t end = min_u64(root->l1_entries, index - index % per_slice + per_slice);
	uint64_t span = geom_l1_span(g);
	qc_err r = l1_decode(g, be64_get(&v->words[index % per_slice]), table);

	if (r || table->v)
		return r;
	*hole = span - (at.v & (span - 1));
	while (*hole < max && ++index < end && !be64_get(&v->words[index % per_slice]))
		*hole += span;
	return 0;
}

/* Returns the host offset of the slice with the L1 entry. */
static uint64_t l1_key(const struct qc_layer *l, const struct qc_l1_table *root, uint64_t index)
{
	return root->l1_offset + index * 8 / l->slice_bytes * l->slice_bytes;
}

/* Returns the host offset of the slice with the L2 entry, and its index in the slice. */
static uint64_t l2_key(const struct qc_layer *l, struct hoff table, struct goff at,
		       uint64_t *index)
{
	uint64_t per_slice = l->slice_bytes >> l->head.geom.entry_bits;
	uint64_t i = geom_l2_index(&l->head.geom, at);

	*index = i % per_slice;
	return table.v + i / per_slice * l->slice_bytes;
}

bool qc_map_overlaps_metadata(const struct qc_layer *l, uint64_t table)
{
	const struct qc_header *h = &l->head;
	const struct geom *g = &h->geom;
	uint64_t n = geom_l2_bytes(g);

	return table < HEAD1_BYTES ||
	       range_overlap(table, n, g->l1_offset, (uint64_t)g->l1_entries * 8) ||
	       range_overlap(table, n, h->luks_offset, h->luks_bytes) ||
	       (!l->writer && /* a writer may have moved the refcount table */
		range_overlap(table, n, h->reftable_offset, h->reftable_clusters * geom_cluster(g)));
}

static void set_damage(struct qc_map_extent *x, enum qc_damage damage, uint64_t host,
		       uint64_t len)
{
	*x = (struct qc_map_extent){
		.kind = QC_DAMAGED, .len = len, .host = { host }, .damage = damage
	};
}

/* Finds the L2 table of a guest offset.  If there is none, *table is 0, and *x unallocated or
 * damaged. */
static qc_err lookup_in_l1(struct qc_layer *l, const struct qc_l1_table *root, struct goff at,
			   uint64_t max, struct hoff *table, struct qc_map_extent *x)
{
	uint64_t index = geom_l1_index(&l->head.geom, at), span = geom_l1_span(&l->head.geom);
	uint64_t key = l1_key(l, root, index), per_slice = l->slice_bytes / 8, hole = 0;
	uint64_t rest = span - (at.v & (span - 1));
	struct qc_slice_view v;
	qc_err r, bad;

	table->v = index ? 0 : root->l2_offset;
	if (table->v)
		return 0;
	if (root->l2_offset || index >= root->l1_entries) {
		set_damage(x, QC_DAMAGE_NO_L1_ENTRY, 0, max);
		return 0;
	}
	do {
		r = qc_cache_view(l->tables, key, &v);
		if (r == -ENOMEM)
			return r;
		if (r) {
			rest += (per_slice - 1 - index % per_slice) * span;
			set_damage(x, QC_DAMAGE_L1_UNREADABLE, key, rest);
			return 0;
		}
		bad = read_l1_entry(l, root, &v, index, at, max, table, &hole);
	} while (!qc_slice_view_valid(&v));
	*x = (struct qc_map_extent){ .kind = QC_UNALLOCATED, .len = hole };
	if (bad || (table->v && qc_map_overlaps_metadata(l, table->v))) {
		set_damage(x, QC_DAMAGE_L1_ENTRY, table->v, rest);
		table->v = 0;
	}
	return 0;
}

/* ---- L2 ------------------------------------------------------------------- */

/* Decodes an entry of the slice.  With an external data file, an offset that differs from the
 * guest offset is -EIO, too. */
static qc_err read_l2_entry(const struct geom *g, const struct qc_slice_view *v, uint64_t index,
		       struct goff at, struct l2_entry *e)
{
	bool extended = geom_is_extended(g);
	const struct be64 *words = v->words + (extended ? 2 * index : index);
	qc_err r = l2_entry_decode(g, be64_get(words), extended ? be64_get(words + 1) : 0, e);

	if (!r && g->external && (e->host.v || e->kind == QC_DATA || e->alloc) &&
	    e->host.v != at.v - geom_in_cluster(g, at))
		return -EIO;
	return r;
}

static void fill_from_subclusters(const struct geom *g, const struct l2_entry *e, uint64_t inside,
			    struct qc_map_extent *x)
{
	uint64_t size = geom_subcluster(g);
	unsigned int sub = (unsigned int)(inside / size), end = sub + 1;

	x->kind = subcluster_kind(e, sub);
	while (end < SUBCLUSTERS && subcluster_kind(e, end) == x->kind)
		end++;
	x->len = end * size - inside;
}

/* Fills the extent from one entry: the rest of its cluster, or of its subclusters of one kind. */
static void fill_from_entry(const struct geom *g, const struct l2_entry *e, struct goff at,
			   struct qc_map_extent *x)
{
	uint64_t inside = geom_in_cluster(g, at);

	*x = (struct qc_map_extent){
		.kind = e->kind,
		.len = geom_cluster(g) - inside,
		.writable_in_place = e->copied,
		.host = e->host,
		.compressed_len = e->compressed_len,
	};
	if (geom_is_extended(g) && e->kind != QC_COMPRESSED)
		fill_from_subclusters(g, e, inside, x);
	if (x->kind == QC_DATA)
		x->host.v += inside;
}

/* Where an extent ends, besides where its kind changes or its data is not contiguous. */
enum extent_end {
	END_NOWHERE,
	END_AT_WRITABLE, /* where writable_in_place changes */
	END_AT_HOST,	 /* where host clusters of zeros are not contiguous */
};

static bool continues_extent(const struct qc_map_extent *x, const struct qc_map_extent *next,
			     enum extent_end end)
{
	if (x->kind != next->kind || x->kind == QC_COMPRESSED)
		return false;
	if (end == END_AT_WRITABLE && x->writable_in_place != next->writable_in_place)
		return false;
	if (end == END_AT_HOST)
		return x->has_host == next->has_host &&
		       (!x->has_host || x->host.v + x->len == next->host.v);
	return x->kind != QC_DATA || x->host.v + x->len == next->host.v;
}

/* Moves x->host to the first byte, as END_AT_HOST needs it. */
static void set_exact_host(const struct geom *g, const struct l2_entry *e, struct goff at,
			   struct qc_map_extent *x)
{
	x->has_host = l2_entry_has_host(g, e);
	if (x->has_host)
		x->host.v = e->host.v + geom_in_cluster(g, at);
}

/* Returns how many entries from `index` on, before n, are all zeros.  That says without decoding
 * that their clusters are unallocated. */
static uint64_t count_empty_entries(const struct geom *g, const struct qc_slice_view *v,
				    uint64_t index, uint64_t n)
{
	unsigned int words = geom_is_extended(g) ? 2 : 1;
	uint64_t i = index * words, end = n * words;

	while (i < end && !be64_get(&v->words[i]))
		i++;
	return i / words - index;
}

/* Fills the extent from entry `index` of a slice of n entries, and from those that continue it. */
static qc_err fill_from_slice(const struct geom *g, const struct qc_slice_view *v, uint64_t index,
			      uint64_t n, struct goff at, uint64_t max, struct qc_map_extent *x,
			      enum extent_end end)
{
	struct l2_entry e;
	qc_err r = read_l2_entry(g, v, index, at, &e);

	if (r)
		return r;
	fill_from_entry(g, &e, at, x);
	if (end == END_AT_HOST)
		set_exact_host(g, &e, at, x);
	while (x->len < max && ++index < n) {
		struct goff next = { at.v + x->len };
		struct qc_map_extent y;
		uint64_t empty = x->kind == QC_UNALLOCATED && !x->has_host && !x->writable_in_place ?
					 count_empty_entries(g, v, index, n) : 0;

		if (empty && !geom_in_cluster(g, next)) {
			x->len += empty * geom_cluster(g);
			index += empty - 1;
			continue;
		}
		/* An extent that ends inside a cluster cannot go on.  A damaged entry ends it:
		 * the lookup of that entry reports the damage. */
		if (geom_in_cluster(g, next) || read_l2_entry(g, v, index, next, &e))
			break;
		fill_from_entry(g, &e, next, &y);
		if (end == END_AT_HOST)
			set_exact_host(g, &e, next, &y);
		if (!continues_extent(x, &y, end))
			break;
		x->len += y.len;
	}
	return 0;
}

static qc_err lookup_in_l2(struct qc_layer *l, struct hoff table, struct goff at, uint64_t max,
			   struct qc_map_extent *x, enum extent_end end)
{
	const struct geom *g = &l->head.geom;
	uint64_t per_slice = l->slice_bytes >> g->entry_bits, index;
	uint64_t key = l2_key(l, table, at, &index);
	uint64_t rest = geom_cluster(g) - geom_in_cluster(g, at);
	struct qc_slice_view v;
	qc_err r, bad;

	do {
		r = qc_cache_view(l->tables, key, &v);
		if (r == -ENOMEM)
			return r;
		if (r) {
			rest += (per_slice - 1 - index) * geom_cluster(g);
			set_damage(x, QC_DAMAGE_L2_UNREADABLE, table.v, rest);
			return 0;
		}
		bad = fill_from_slice(g, &v, index, per_slice, at, max, x, end);
	} while (!qc_slice_view_valid(&v));
	if (bad)
		set_damage(x, QC_DAMAGE_L2_ENTRY, table.v, rest);
	return 0;
}

/* --------------------------------------------------------------------------- */

static qc_err lookup_extent(struct qc_layer *l, const struct qc_l1_table *root, struct goff at,
		     uint64_t max, struct qc_map_extent *x, enum extent_end end)
{
	struct hoff table;
	qc_err r;

	if (l->format == QC_FORMAT_RAW) {
		*x = (struct qc_map_extent){ .kind = QC_DATA, .len = max, .host = { at.v } };
		return 0;
	}
	r = lookup_in_l1(l, root, at, max, &table, x);
	if (!r && table.v)
		r = lookup_in_l2(l, table, at, max, x, end);
	x->len = min_u64(x->len, max);
	return r;
}

qc_err qc_map_lookup(struct qc_layer *l, struct goff at, uint64_t max,
		     struct qc_map_extent *x)
{
	struct qc_l1_table live = qc_l1_active(l);

	return lookup_extent(l, &live, at, max, x, END_NOWHERE);
}

qc_err qc_map_lookup_snapshot(struct qc_layer *l, const struct qc_l1_table *root, struct goff at,
			uint64_t max, struct qc_map_extent *x)
{
	return lookup_extent(l, root, at, max, x, END_NOWHERE);
}

qc_err qc_map_lookup_exact(struct qc_layer *l, const struct qc_l1_table *root, struct goff at,
			   uint64_t max, struct qc_map_extent *x)
{
	struct qc_l1_table live = qc_l1_active(l);

	return lookup_extent(l, root ? root : &live, at, max, x, END_AT_HOST);
}

qc_err qc_map_lookup_writable(struct qc_layer *l, struct goff at, uint64_t max,
			   struct qc_map_extent *x)
{
	uint64_t raw, span = geom_l1_span(&l->head.geom);
	struct qc_l1_table live = qc_l1_active(l);
	qc_err r;

	/* If the L2 table is shared with a snapshot (its L1 entry lacks COPIED), its clusters are
	 * shared as well, with or without their own COPIED. */
	max = min_u64(max, span - (at.v & (span - 1)));
	r = qc_map_l1_get(l, at, &raw); /* before the L2 entries, since the table may be copied */
	if (r == -ENOMEM)
		return r;
	if (r) {
		set_damage(x, QC_DAMAGE_L1_UNREADABLE, live.l1_offset, max);
		return 0;
	}
	r = lookup_extent(l, &live, at, max, x, END_AT_WRITABLE);
	x->writable_in_place = !r && x->writable_in_place && l1_is_writable(&l->head.geom, raw);
	return r;
}

qc_err qc_map_report_damage(struct qc_layer *l, struct goff at, const struct qc_map_extent *x)
{
	const struct geom *g = &l->head.geom;

	switch (x->damage) {
	case QC_DAMAGE_NO_L1_ENTRY:
		return qc_layer_report_damage(l, "no L1 entry for guest offset 0x%" PRIx64, at.v);
	case QC_DAMAGE_L1_UNREADABLE:
		return qc_layer_report_damage(l, "cannot read the L1 table at 0x%" PRIx64
					      " (guest offset 0x%" PRIx64 ")", x->host.v, at.v);
	case QC_DAMAGE_L1_ENTRY:
		return qc_layer_report_damage(l, "L1 entry %" PRIu64 " (guest offset 0x%" PRIx64
					      ") is damaged", geom_l1_index(g, at), at.v);
	case QC_DAMAGE_L2_UNREADABLE:
		return qc_layer_report_damage(l, "cannot read the L2 table at 0x%" PRIx64
					      " (guest offset 0x%" PRIx64 ")", x->host.v, at.v);
	case QC_DAMAGE_L2_ENTRY:
		return qc_layer_report_damage(l, "L2 entry %" PRIu64 " of the table at 0x%" PRIx64
					      " (guest offset 0x%" PRIx64 ") is damaged",
					      geom_l2_index(g, at), x->host.v, at.v);
	}
	return -EIO;
}

/* ---- changing ------------------------------------------------------------- */

qc_err qc_map_l1_get(struct qc_layer *l, struct goff at, uint64_t *raw)
{
	uint64_t index = geom_l1_index(&l->head.geom, at);
	struct qc_l1_table live = qc_l1_active(l);
	struct qc_slice_view v;
	qc_err r;

	do {
		r = qc_cache_view(l->tables, l1_key(l, &live, index), &v);
		if (r)
			return r;
		*raw = be64_get(&v.words[index % (l->slice_bytes / 8)]);
	} while (!qc_slice_view_valid(&v));
	return 0;
}

struct entry_change {
	uint64_t index, n;
	bool extended;
	const struct qc_l2_raw *words;
	atomic_bool *new_links; /* set with the words; NULL: they have no new link */
};

static void change_words(void *arg, struct be64 *words)
{
	const struct entry_change *c = arg;

	if (c->new_links)
		atomic_store(c->new_links, true);
	for (uint64_t i = 0; i < c->n; i++) {
		struct be64 *to = words + (c->extended ? 2 : 1) * (c->index + i);

		be64_put(to, c->words[i].word);
		if (c->extended)
			be64_put(to + 1, c->words[i].bits);
	}
}

/* Changes entries of the slice at @key.  The version is raised last: a query that sees the new
 * version also sees the new entries. */
static qc_err modify_slice(struct qc_layer *l, uint64_t key, struct entry_change *c)
{
	qc_err r = qc_cache_modify(l->tables, key, change_words, c);

	if (!r)
		qc_map_raise_version(l);
	return r;
}

qc_err qc_map_l1_set(struct qc_layer *l, struct goff at, uint64_t raw)
{
	uint64_t index = geom_l1_index(&l->head.geom, at);
	struct qc_l2_raw words = { raw, 0 };
	struct entry_change c = { index % (l->slice_bytes / 8), 1, false, &words,
				  raw ? &l->has_new_links : NULL };
	struct qc_l1_table live = qc_l1_active(l);

	return modify_slice(l, l1_key(l, &live, index), &c);
}

uint64_t qc_map_slice_clusters(const struct qc_layer *l, struct goff at)
{
	uint64_t per_slice = l->slice_bytes >> l->head.geom.entry_bits;

	return per_slice - geom_l2_index(&l->head.geom, at) % per_slice;
}

qc_err qc_map_l2_get(struct qc_layer *l, struct hoff table, struct goff at, uint64_t n,
		     struct qc_l2_raw *out)
{
	bool extended = geom_is_extended(&l->head.geom);
	uint64_t index, key = l2_key(l, table, at, &index);
	struct qc_slice_view v;
	qc_err r;

	do {
		r = qc_cache_view(l->tables, key, &v);
		if (r)
			return r;
		for (uint64_t i = 0; i < n; i++) {
			const struct be64 *from = v.words + (extended ? 2 : 1) * (index + i);

			out[i].word = be64_get(from);
			out[i].bits = extended ? be64_get(from + 1) : 0;
		}
	} while (!qc_slice_view_valid(&v));
	return 0;
}

qc_err qc_map_l2_set(struct qc_layer *l, struct hoff table, struct goff at, uint64_t n,
		     const struct qc_l2_raw *words, enum qc_map_links links)
{
	bool extended = geom_is_extended(&l->head.geom);
	struct entry_change c = { .n = n, .extended = extended, .words = words };
	uint64_t key = l2_key(l, table, at, &c.index);

	c.new_links = links == QC_MAP_NEW_LINKS ? &l->has_new_links : NULL;
	return modify_slice(l, key, &c);
}
