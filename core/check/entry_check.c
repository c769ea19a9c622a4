/* SPDX-License-Identifier: MIT */
#include "check/entry_check.h"

#include <errno.h>

#include "base/range.h"
#include "format/snapshot_table.h"

enum { SNAPSHOT_EXTRA_MIN = 16, SNAPSHOT_FIXED_BYTES = 40 }; /* version 3 needs the disk size */

struct entry_check {
	const struct qc_metadata *md;
	const struct geom *g;
	struct qc_findings *out;
	uint64_t file_bytes;
	uint64_t next; /* host offset behind the previous cluster of this L2 table; 0: none */
};

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

/* Returns true if an extent ends a whole cluster or more beyond the end of the file.  The last
 * cluster of a file need not be complete. */
static bool is_beyond_end(const struct entry_check *c, uint64_t off, uint64_t len)
{
	return !range_inside(off, len, c->file_bytes + geom_cluster(c->g) - 1);
}

static void add_finding(struct entry_check *c, enum qc_finding_kind kind,
			const struct qc_finding *where)
{
	struct qc_finding f = *where;

	f.kind = kind;
	qc_findings_add(c->out, &f);
}

/* Compares COPIED of an active entry with the refcount of its cluster. */
static qc_err check_copied(struct entry_check *c, const struct qc_finding *where, uint64_t host,
			   bool copied)
{
	struct qc_finding f = *where;
	qc_err r = 0;

	if (where->in_snapshot || !c->md->refcounts)
		return 0;
	f.refcount = 1; /* of each cluster of an external data file */
	if (!c->g->external || f.table == qc_finding_table(QC_METADATA_L1_TABLE))
		r = qc_metadata_refcount(c->md, host, &f.refcount);
	if (!r && copied != (f.refcount == 1))
		add_finding(c, QC_FINDING_COPIED, &f);
	return r;
}

/* ---- L2 entries --------------------------------------------------------------- */

/* Counts as QEMU does: a compressed cluster is always a fragment. */
static void add_to_statistics(struct entry_check *c, const struct l2_entry *e)
{
	struct qc_check_result *s = c->out->result;

	s->allocated_clusters++;
	if (e->kind == QC_COMPRESSED) {
		s->compressed_clusters++;
		s->fragmented_clusters++;
		return;
	}
	if (c->next && e->host.v != c->next)
		s->fragmented_clusters++;
	c->next = e->host.v + geom_cluster(c->g);
}

static qc_err check_data_entry(struct entry_check *c, struct qc_finding *where,
			       const struct l2_entry *e)
{
	uint64_t len = e->kind == QC_COMPRESSED ? e->compressed_len : geom_cluster(c->g);
	bool external = c->g->external && e->kind != QC_COMPRESSED;

	where->host_offset = e->host.v;
	if (!external && is_beyond_end(c, e->host.v, len))
		add_finding(c, QC_FINDING_BEYOND_END, where);
	if (!where->in_snapshot)
		add_to_statistics(c, e);
	return e->kind == QC_COMPRESSED ? 0 : check_copied(c, where, e->host.v, e->copied);
}

/* Reports an entry that cannot be decoded.  Its cluster counts as allocated, as in QEMU. */
static void report_invalid_entry(struct entry_check *c, struct qc_finding *where)
{
	uint64_t off = where->entry & L2_OFFSET_MASK;
	struct l2_entry e = { .kind = QC_DATA, .host = { off } };

	where->host_offset = off;
	add_finding(c, QC_FINDING_INVALID_ENTRY, where);
	if (!where->in_snapshot && off && c->g->layout != LAYOUT_V1 &&
	    !(where->entry & L2_COMPRESSED))
		add_to_statistics(c, &e);
}

static qc_err check_l2_entry(struct entry_check *c, const struct qc_metadata_item *l2, uint64_t i)
{
	const uint8_t *p = l2->bytes + (i << c->g->entry_bits);
	struct qc_finding where = {
		.in_snapshot = l2->in_snapshot,
		.table = qc_finding_table(QC_METADATA_L2_TABLE),
		.table_offset = l2->off,
		.index = i,
		.entry = be64_at(p),
		.guest_offset = l2->index * geom_l1_span(c->g) + (i << c->g->cluster_bits),
		.host_offset = QC_NO_OFFSET,
	};
	struct l2_entry e;

	if (l2_entry_at(c->g, l2->bytes, i, &e)) {
		report_invalid_entry(c, &where);
		return 0;
	}
	/* COPIED must not be set for a compressed cluster, but means nothing there. */
	if (e.kind == QC_COMPRESSED && c->g->layout != LAYOUT_V1 && where.entry & L2_COPIED)
		add_finding(c, QC_FINDING_INVALID_ENTRY, &where);
	if (e.kind != QC_COMPRESSED && !l2_entry_has_host(c->g, &e))
		return 0;
	return check_data_entry(c, &where, &e);
}

static qc_err check_l2_table(struct entry_check *c, const struct qc_metadata_item *l2)
{
	qc_err r = 0;

	c->next = 0;
	for (uint64_t i = 0; !r && l2->bytes && i < UINT64_C(1) << c->g->l2_bits; i++)
		r = check_l2_entry(c, l2, i);
	return r;
}

/* ---- other items --------------------------------------------------------------- */

/* Finds the table with the entry that references an item. */
static struct qc_finding where_is(const struct entry_check *c, const struct qc_metadata_item *item)
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
					item->index * geom_l1_span(c->g) : QC_NO_OFFSET,
		.host_offset = item->off,
	};
}

static qc_err check_item(void *arg, struct qc_metadata_item *item)
{
	struct entry_check *c = arg;
	struct qc_finding where = where_is(c, item);
	bool is_l2 = item->kind == QC_METADATA_L2_TABLE;
	qc_err r = 0;

	if (item->invalid)
		add_finding(c, item->entry_off ? QC_FINDING_INVALID_ENTRY :
						 QC_FINDING_INVALID_TABLE, &where);
	else if (is_beyond_end(c, item->off, item->len))
		add_finding(c, QC_FINDING_BEYOND_END, &where);
	if (is_l2 && item->off)
		r = check_copied(c, &where, item->off, item->entry & L2_COPIED);
	return r || !is_l2 ? r : check_l2_table(c, item);
}

/* In version 3 each entry of the snapshot table must have the size of its disk. */
static qc_err check_snapshot_entries(struct entry_check *c)
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

qc_err qc_entry_check(const struct qc_metadata *md, uint64_t file_bytes, struct qc_findings *out)
{
	struct entry_check c = {
		.md = md, .g = &md->head->geom, .out = out, .file_bytes = file_bytes
	};
	qc_err r = qc_metadata_for_each(md, QC_WALK_READ_L2 | QC_WALK_DAMAGED, check_item, &c);

	return r ? r : check_snapshot_entries(&c);
}
