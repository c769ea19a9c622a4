/* SPDX-License-Identifier: MIT */
#include "check/entry_check.h"

#include <errno.h>

#include "base/range.h"
#include "format/snapshot_table.h"

enum { SNAPSHOT_EXTRA_MIN = 16, SNAPSHOT_FIXED_BYTES = 40 }; /* version 3 needs the disk size */

void qc_findings_add(struct qc_findings *out, const struct qc_finding *found)
{
	struct qc_finding f = *found;

	f.is_left = out->is_left;
	if (f.is_leak)
		out->result->leaks++;
	else
		out->result->corruptions++;
	if (out->fn)
		out->fn(out->arg, &f);
}

const char *qc_finding_table(enum qc_metadata_kind kind)
{
	static const char *const names[] = {
		[QC_METADATA_HEADER] = "header",
		[QC_METADATA_L1_TABLE] = "L1 table",
		[QC_METADATA_L2_TABLE] = "L2 table",
		[QC_METADATA_REFCOUNT_TABLE] = "refcount table",
		[QC_METADATA_REFCOUNT_BLOCK] = "refcount block",
		[QC_METADATA_SNAPSHOT_TABLE] = "snapshot table",
		[QC_METADATA_LUKS_HEADER] = "LUKS header",
		[QC_METADATA_BITMAP_DIRECTORY] = "bitmap directory",
		[QC_METADATA_BITMAP_TABLE] = "bitmap table",
		[QC_METADATA_BITMAP_DATA] = "bitmap",
	};

	return names[kind];
}

static const struct geom *geom_of(const struct qc_entry_check *c)
{
	return &c->md->head->geom;
}

/* Returns true if an extent ends a whole cluster or more beyond the end of the file.  The last
 * cluster of a file need not be complete. */
static bool is_beyond_end(const struct qc_entry_check *c, uint64_t off, uint64_t len)
{
	return !range_inside(off, len, c->file_bytes + geom_cluster(geom_of(c)) - 1);
}

static void add_finding(struct qc_entry_check *c, enum qc_finding_kind kind,
			const struct qc_finding *where)
{
	struct qc_finding f = *where;

	f.kind = kind;
	qc_findings_add(c->out, &f);
}

/* Returns true if COPIED agrees with the refcount, or is compared in another walk.  Clusters
 * that are in no window are compared with the first one. */
static bool is_copied_right(const struct qc_entry_check *c, uint64_t cluster, bool copied)
{
	uint64_t i = cluster - c->first;

	if (cluster >= c->first && cluster < c->end)
		return copied == (c->is_one[i / 8] >> i % 8 & 1);
	return c->first || cluster < c->all_end;
}

/* Compares COPIED of an active entry with the refcount of its cluster. */
static qc_err check_copied(struct qc_entry_check *c, const struct qc_finding *where, uint64_t host,
			   bool copied)
{
	bool is_l1 = where->table == qc_finding_table(QC_METADATA_L1_TABLE);
	bool is_counted = is_l1 || !geom_of(c)->external;
	struct qc_finding f = *where;
	qc_err r = 0;

	if (where->in_snapshot || !c->md->refcounts || is_counted != c->compares_copied)
		return 0;
	f.refcount = 1; /* of each cluster of an external data file */
	if (is_counted && is_copied_right(c, host >> geom_of(c)->cluster_bits, copied))
		return 0;
	if (is_counted)
		r = qc_metadata_refcount(c->md, host, &f.refcount);
	if (!r && copied != (f.refcount == 1))
		add_finding(c, QC_FINDING_COPIED, &f);
	return r;
}

/* ---- L2 entries --------------------------------------------------------------- */

/* Counts as QEMU does: a compressed cluster is always a fragment. */
static void add_to_statistics(struct qc_entry_check *c, bool compressed, uint64_t host)
{
	struct qc_check_result *s = c->out->result;

	s->allocated_clusters++;
	if (compressed) {
		s->compressed_clusters++;
		s->fragmented_clusters++;
		return;
	}
	if (c->next && host != c->next)
		s->fragmented_clusters++;
	c->next = host + geom_cluster(geom_of(c));
}

static void check_bounds(struct qc_entry_check *c, const struct qc_finding *where,
			const struct l2_entry *e)
{
	bool compressed = e->kind == QC_COMPRESSED;
	uint64_t len = compressed ? e->compressed_len : geom_cluster(geom_of(c));

	if (c->compares_copied)
		return;
	if ((compressed || !geom_of(c)->external) && is_beyond_end(c, e->host.v, len))
		add_finding(c, QC_FINDING_BEYOND_END, where);
	if (!where->in_snapshot)
		add_to_statistics(c, compressed, e->host.v);
}

/* Reports an entry that cannot be decoded.  Its cluster counts as allocated, as in QEMU. */
static void report_invalid_entry(struct qc_entry_check *c, struct qc_finding *where)
{
	uint64_t off = where->entry & L2_OFFSET_MASK;

	if (c->compares_copied)
		return;
	where->host_offset = off;
	add_finding(c, QC_FINDING_INVALID_ENTRY, where);
	if (!where->in_snapshot && off && geom_of(c)->layout != LAYOUT_V1 &&
	    !(where->entry & L2_COMPRESSED))
		add_to_statistics(c, false, off);
}

struct qc_finding qc_finding_at_entry(const struct geom *g, const struct qc_metadata_item *l2,
				      uint64_t i)
{
	return (struct qc_finding){
		.in_snapshot = l2->in_snapshot,
		.table = qc_finding_table(QC_METADATA_L2_TABLE),
		.table_offset = l2->off,
		.index = i,
		.entry = be64_at(l2->bytes + (i << g->entry_bits)),
		.guest_offset = l2->index * geom_l1_span(g) + (i << g->cluster_bits),
		.host_offset = QC_NO_OFFSET,
	};
}

static qc_err check_l2_entry(struct qc_entry_check *c, const struct qc_metadata_item *l2, uint64_t i)
{
	struct qc_finding where = qc_finding_at_entry(geom_of(c), l2, i);
	struct l2_entry e;

	if (l2_entry_at(geom_of(c), l2->bytes, i, &e)) {
		report_invalid_entry(c, &where);
		return 0;
	}
	/* COPIED must not be set for a compressed cluster, but means nothing there. */
	if (e.kind == QC_COMPRESSED && geom_of(c)->layout != LAYOUT_V1 && !c->compares_copied &&
	    where.entry & L2_COPIED)
		add_finding(c, QC_FINDING_INVALID_ENTRY, &where);
	if (e.kind != QC_COMPRESSED && !l2_entry_has_host(geom_of(c), &e))
		return 0;
	where.host_offset = e.host.v;
	check_bounds(c, &where, &e);
	return e.kind == QC_COMPRESSED ? 0 : check_copied(c, &where, e.host.v, e.copied);
}

/* Returns true if check_l2_entry() would find nothing wrong with a plain entry. */
static bool is_plain_entry_right(const struct qc_entry_check *c, const struct geom *g, uint64_t raw,
				 uint64_t host)
{
	if (!c->compares_copied)
		return host && !is_beyond_end(c, host, geom_cluster(g));
	return host && is_copied_right(c, host >> g->cluster_bits, raw & L2_COPIED);
}

static qc_err check_l2_table(struct qc_entry_check *c, const struct qc_metadata_item *l2)
{
	const struct geom g = *geom_of(c); /* a copy, which the compiler keeps in registers */
	bool counts = !c->compares_copied && !l2->in_snapshot;
	qc_err r = 0;

	if (!l2->bytes || (l2->in_snapshot && c->compares_copied))
		return 0;
	c->next = 0;
	for (uint64_t i = 0; !r && i < UINT64_C(1) << g.l2_bits; i++) {
		uint64_t raw = be64_at(l2->bytes + (i << g.entry_bits));
		uint64_t host = l2_plain_host(&g, raw);

		if (!raw && !geom_is_extended(&g))
			continue;
		if (!is_plain_entry_right(c, &g, raw, host))
			r = check_l2_entry(c, l2, i);
		else if (counts)
			add_to_statistics(c, false, host);
	}
	return r;
}

/* ---- other items --------------------------------------------------------------- */

struct qc_finding qc_finding_at_item(const struct geom *g, const struct qc_metadata_item *item)
{
	enum qc_metadata_kind table = item->kind == QC_METADATA_L2_TABLE ? QC_METADATA_L1_TABLE :
				      item->kind == QC_METADATA_REFCOUNT_BLOCK ?
								QC_METADATA_REFCOUNT_TABLE :
				      item->kind == QC_METADATA_BITMAP_DATA ?
								QC_METADATA_BITMAP_TABLE :
								item->kind;
	bool has_entry = item->entry_off;

	return (struct qc_finding){
		.in_snapshot = item->in_snapshot,
		.table = qc_finding_table(table),
		.table_offset = has_entry ? item->entry_off : item->off,
		.index = item->index,
		.entry = item->entry,
		.guest_offset = item->kind == QC_METADATA_L2_TABLE ?
					item->index * geom_l1_span(g) : QC_NO_OFFSET,
		.host_offset = item->off,
	};
}

static void check_item(struct qc_entry_check *c, const struct qc_metadata_item *item,
		       const struct qc_finding *where)
{
	if (item->invalid)
		add_finding(c, item->entry_off ? QC_FINDING_INVALID_ENTRY :
						 QC_FINDING_INVALID_TABLE, where);
	else if (is_beyond_end(c, item->off, item->len))
		add_finding(c, QC_FINDING_BEYOND_END, where);
}

qc_err qc_entry_check_item(struct qc_entry_check *c, const struct qc_metadata_item *item)
{
	struct qc_finding where = qc_finding_at_item(geom_of(c), item);
	bool is_l2 = item->kind == QC_METADATA_L2_TABLE;
	qc_err r = 0;

	if (!c->compares_copied)
		check_item(c, item, &where);
	if (is_l2 && item->off)
		r = check_copied(c, &where, item->off, item->entry & L2_COPIED);
	return r || !is_l2 ? r : check_l2_table(c, item);
}

/* In version 3 each entry of the snapshot table must have the size of its disk. */
qc_err qc_entry_check_snapshots(struct qc_entry_check *c)
{
	const struct qc_header *h = c->md->head;
	struct qc_finding where = {
		.in_snapshot = true,
		.table = qc_finding_table(QC_METADATA_SNAPSHOT_TABLE),
		.table_offset = h->snapshots_offset,
		.guest_offset = QC_NO_OFFSET,
		.host_offset = h->snapshots_offset,
	};
	struct qc_snapshot_table t;
	qc_err r;

	if (h->version < 3 || !h->snapshots)
		return 0;
	r = qc_snapshot_table_read(c->md->file, h->snapshots_offset, h->snapshots, h->size, &t);
	if (r) /* the walk has found that out, too, unless memory is short */
		return r == -ENOMEM ? r : 0;
	for (uint32_t i = 0; i < t.n; i++) {
		const struct qc_snapshot_entry *e = &t.entry[i];

		where.index = i;
		if (e->len - e->s.id_len - e->s.name_len < SNAPSHOT_FIXED_BYTES + SNAPSHOT_EXTRA_MIN)
			add_finding(c, QC_FINDING_INVALID_TABLE, &where);
	}
	qc_snapshot_table_free(&t);
	return 0;
}
