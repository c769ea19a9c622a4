/* SPDX-License-Identifier: MIT */
#include "check/reference_count.h"

#include <errno.h>
#include <string.h>

#include "base/range.h"

qc_err qc_reference_count_open(struct qc_reference_count *m, const struct qc_metadata *md)
{
	struct qc_file_stat now;
	qc_err r = qc_file_stat(md->file, &now);

	*m = (struct qc_reference_count){ .md = md, .g = &md->head->geom };
	if (r)
		return r;
	m->bits = m->g->layout == LAYOUT_V1 ? 9 : m->g->cluster_bits;
	/* Also in version 1 the last cluster need not be whole. */
	m->end = round_up(now.size, geom_cluster(m->g));
	m->n = m->end >> m->bits;
	m->count = malloc(min_u64(m->n, QC_REF_WINDOW) * sizeof(*m->count) + 1);
	return m->count ? 0 : -ENOMEM;
}

qc_err qc_reference_count_extend(struct qc_reference_count *m, uint64_t n)
{
	uint32_t *more = realloc(m->count, min_u64(n, QC_REF_WINDOW) * sizeof(*more) + 1);

	if (!more)
		return -ENOMEM;
	m->count = more;
	m->n = n;
	m->end = n << m->bits;
	return 0;
}

void qc_reference_count_close(struct qc_reference_count *m)
{
	free(m->count);
}

uint64_t qc_reference_count_end(const struct qc_reference_count *m)
{
	return min_u64(m->n, m->first + QC_REF_WINDOW);
}

/* ---- counting ---------------------------------------------------------------- */

static qc_err damage_result(const struct qc_reference_count *m)
{
	return m->ignore_damage ? 0 : -EIO;
}

static qc_err note_out_of_range(struct qc_reference_count *m)
{
	m->out_of_range = true;
	return damage_result(m);
}

static void count_cluster(uint32_t *count, uint32_t kinds)
{
	if ((*count & QC_REF_COUNT_MAX) < QC_REF_COUNT_MAX)
		++*count;
	if (kinds & *count & QC_REF_ACTIVE)
		kinds |= QC_REF_ACTIVE_TWICE;
	*count |= kinds;
}

static qc_err count_extent(struct qc_reference_count *m, uint64_t off, uint64_t len,
			   uint32_t kinds)
{
	uint64_t first = max_u64(off >> m->bits, m->first);
	uint64_t end = min_u64(div_up(off + len, UINT64_C(1) << m->bits), qc_reference_count_end(m));

	if (!range_inside(off, len, m->end))
		return note_out_of_range(m);
	for (uint64_t c = first; c < end; c++)
		count_cluster(&m->count[c - m->first], kinds);
	return 0;
}

/* Returns QC_REF_WRITABLE if the entry permits its owner to write in place. */
static uint32_t writable_flag(const struct qc_reference_count *m, bool copied, bool in_snapshot)
{
	return copied && !m->ignore_copied && !in_snapshot ? QC_REF_WRITABLE : 0;
}

static qc_err count_damaged_entry(struct qc_reference_count *m, uint64_t word)
{
	bool v1 = m->g->layout == LAYOUT_V1;
	uint64_t off = v1 ? word : word & L2_OFFSET_MASK;

	if (!m->keep_damaged)
		return damage_result(m);
	if (m->g->external || !off || word & (v1 ? L2_V1_COMPRESSED : L2_COMPRESSED))
		return 0;
	return count_extent(m, off, geom_cluster(m->g), QC_REF_GUEST_DATA);
}

static qc_err count_entry(struct qc_reference_count *m, const struct qc_metadata_item *l2,
			  uint64_t i)
{
	uint32_t kinds = QC_REF_GUEST_DATA | (l2->in_snapshot ? 0 : QC_REF_ACTIVE);
	struct l2_entry e;

	if (l2_entry_at(m->g, l2->bytes, i, &e))
		return count_damaged_entry(m, be64_at(l2->bytes + (i << m->g->entry_bits)));
	if (e.kind == QC_COMPRESSED)
		return count_extent(m, e.host.v, m->exact_end ? e.compressed_len :
				    range_clamp(e.host.v, e.compressed_len, m->end),
				    kinds | QC_REF_COMPRESSED);
	if (!e.host.v || m->g->external)
		return 0;
	kinds |= l2->in_snapshot ? 0 : QC_REF_COPIED_LATER;
	return count_extent(m, e.host.v, geom_cluster(m->g),
			    kinds | writable_flag(m, e.copied, l2->in_snapshot));
}

static qc_err count_entries(struct qc_reference_count *m, const struct qc_metadata_item *l2)
{
	uint32_t kinds = QC_REF_GUEST_DATA |
			 (l2->in_snapshot ? 0 : QC_REF_ACTIVE | QC_REF_COPIED_LATER);
	uint32_t writable = writable_flag(m, true, l2->in_snapshot);
	const struct geom g = *m->g; /* copies, which the compiler keeps in registers */
	uint64_t first = m->first, n = qc_reference_count_end(m) - first, end = m->end;
	uint32_t *count = m->count;
	qc_err r = 0;

	for (uint64_t i = 0; !r && i < UINT64_C(1) << g.l2_bits; i++) {
		uint64_t raw = be64_at(l2->bytes + (i << g.entry_bits));
		uint64_t host = l2_plain_host(&g, raw), c = (host >> g.cluster_bits) - first;

		if (!host || !range_inside(host, geom_cluster(&g), end)) {
			if (raw || geom_is_extended(&g))
				r = count_entry(m, l2, i);
		} else if (c < n) {
			count_cluster(&count[c], kinds | (raw & L2_COPIED ? writable : 0));
		}
	}
	return r;
}

static qc_err count_l2_table(struct qc_reference_count *m, const struct qc_metadata_item *item)
{
	bool copied = !item->invalid && l1_is_writable(m->g, item->entry);
	qc_err r;

	m->l2_tables++;
	r = count_extent(m, item->off, item->len,
			 QC_REF_METADATA | writable_flag(m, copied, item->in_snapshot) |
			 (item->in_snapshot ? 0 : QC_REF_ACTIVE | QC_REF_COPIED_LATER));
	if (!r)
		r = count_entries(m, item);
	return r || !m->on_l2_table ? r : m->on_l2_table(m);
}

static bool is_of_bitmap(const struct qc_metadata_item *item)
{
	return item->kind == QC_METADATA_BITMAP_DIRECTORY ||
	       item->kind == QC_METADATA_BITMAP_TABLE || item->kind == QC_METADATA_BITMAP_DATA;
}

/* Damaged bitmaps must not make an image unusable.  They are counted as far as possible, after
 * all else, but not where other metadata is, unless all faults are to be found.  A guest write to
 * a cluster that is also of a bitmap gets a copy. */
static qc_err count_bitmap(struct qc_reference_count *m, const struct qc_metadata_item *item)
{
	uint64_t c = max_u64(item->off >> m->bits, m->first), end;

	if (item->invalid || !range_inside(item->off, item->len, m->end))
		return 0;
	end = div_up(item->off + item->len, UINT64_C(1) << m->bits);
	for (; c < min_u64(end, qc_reference_count_end(m)); c++)
		if (m->exact_end || !(m->count[c - m->first] & QC_REF_METADATA))
			count_cluster(&m->count[c - m->first], 0);
	return 0;
}

/* Returns the flags of metadata that is no L2 table.  The tables of a snapshot are never written in
 * place, nor is the snapshot table. */
static uint32_t metadata_flags(const struct qc_metadata_item *item)
{
	bool writable = !item->in_snapshot && item->kind != QC_METADATA_SNAPSHOT_TABLE;
	bool refcounts = item->kind == QC_METADATA_REFCOUNT_TABLE ||
			 item->kind == QC_METADATA_REFCOUNT_BLOCK;

	return QC_REF_METADATA | (writable ? QC_REF_WRITABLE : 0) | (refcounts ? QC_REF_REFCOUNTS : 0);
}

static qc_err count_item(void *arg, struct qc_metadata_item *item)
{
	struct qc_reference_count *m = arg;
	qc_err r = m->on_item ? m->on_item(m, item) : 0;

	if (r)
		return r;
	if (item->unreadable && m->needs_all)
		return -EIO;
	if (is_of_bitmap(item))
		return count_bitmap(m, item);
	if (item->invalid && m->needs_all && item->kind != QC_METADATA_L2_TABLE)
		return -EIO;
	if (item->excessive)
		return note_out_of_range(m);
	if (item->invalid && !(m->keep_damaged && item->bytes))
		return damage_result(m);
	if (item->kind == QC_METADATA_L2_TABLE)
		return count_l2_table(m, item);
	/* In version 1 the L1 table is in the sector of the header, where no data can be. */
	if (item->kind == QC_METADATA_HEADER && m->g->layout == LAYOUT_V1)
		return 0;
	return count_extent(m, item->off, item->len, metadata_flags(item));
}

qc_err qc_reference_count_run(struct qc_reference_count *m, uint64_t first)
{
	m->first = first;
	memset(m->count, 0, (qc_reference_count_end(m) - first) * sizeof(*m->count));
	return qc_metadata_for_each(m->md, QC_WALK_READ_L2 | (m->keep_damaged ? QC_WALK_DAMAGED : 0),
				    count_item, m);
}

/* ---- estimating -------------------------------------------------------------- */

struct estimate {
	const struct qc_reference_count *m;
	uint64_t tables;
};

static qc_err add_l1_table(void *arg, struct qc_metadata_item *item)
{
	struct estimate *e = arg;

	if (item->invalid && item->kind == QC_METADATA_SNAPSHOT_TABLE)
		return damage_result(e->m);
	if (item->kind == QC_METADATA_L1_TABLE && !item->invalid)
		e->tables += item->len / 8;
	return 0;
}

qc_err qc_reference_l2_tables(const struct qc_reference_count *m, uint64_t *tables)
{
	struct estimate e = { .m = m };
	qc_err r = qc_metadata_for_each(m->md, 0, add_l1_table, &e);

	*tables = e.tables;
	return r;
}
