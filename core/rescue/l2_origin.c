/* SPDX-License-Identifier: MIT */
#include "rescue/l2_origin.h"

#include <errno.h>

#include "base/range.h"
#include "qcow_array.h"

enum {
	REFERENCES_MAX = 1 << 22,
	SAMPLES_MAX = 1 << 22,	/* of all tables */
	SAMPLES_MIN = 16,	/* of one table */
	EQUAL_MAX = 8,		/* samples with the same cluster that are looked at */
};

/* One entry of a table whose origin is not known. */
struct sample {
	uint64_t host; /* the cluster that the entry references */
	uint32_t entry, table; /* indexes */
};

struct origin_search {
	const struct qc_metadata *md;
	const struct geom *g;
	const uint8_t *is_lost;
	uint32_t entries;
	uint8_t *l2;
	struct sample *sample;
	size_t samples, samples_room;
	struct qc_l2_origins *out;
};

static bool is_lost_entry(const struct origin_search *s, uint64_t index)
{
	return index < s->entries && s->is_lost[index];
}

static void tell_origin(struct qc_l2_origin *o, uint32_t index)
{
	if (o->index != UINT32_MAX && o->index != index)
		o->disputed = true;
	o->index = index;
}

/* ---- references ------------------------------------------------------------- */

/* A qc_metadata_fn. */
static qc_err add_l1_reference(void *arg, struct qc_metadata_item *item)
{
	struct origin_search *s = arg;
	struct qc_l2_origins *o = s->out;
	qc_err r;

	if (item->kind != QC_METADATA_L2_TABLE || item->invalid)
		return 0;
	if (o->refs == REFERENCES_MAX)
		return -EFBIG;
	r = array_reserve(&o->ref, &o->refs_room, o->refs + 1, sizeof(*o->ref));
	if (!r)
		o->ref[o->refs++] = (struct qc_l1_reference){ item->off, (uint32_t)item->index,
							      item->in_snapshot };
	return r;
}

static int compare_references(const void *a, const void *b)
{
	const struct qc_l1_reference *x = a, *y = b;
	int by_table = compare_u64(&x->table, &y->table);

	return by_table ? by_table : x->index < y->index ? -1 : x->index > y->index;
}

static qc_err collect_references(struct origin_search *s)
{
	qc_err r = qc_metadata_for_each(s->md, 0, add_l1_reference, s);

	if (!r && s->out->refs)
		qsort(s->out->ref, s->out->refs, sizeof(*s->out->ref), compare_references);
	return r;
}

/* ---- samples ---------------------------------------------------------------- */

static bool read_origin_table(struct origin_search *s, uint64_t off)
{
	size_t got;

	return !qc_file_read(s->md->file, off, s->l2, geom_l2_bytes(s->g), &got);
}

/* Returns the cluster of an entry; 0: it has none. */
static uint64_t host_of_entry(const struct origin_search *s, uint64_t i)
{
	struct l2_entry e;

	return l2_entry_at(s->g, s->l2, i, &e) ? 0 : e.host.v;
}

/* With an external data file each entry tells its guest offset. */
static void tell_by_data_file(struct origin_search *s, struct qc_l2_origin *o)
{
	for (uint64_t i = 0; i < UINT64_C(1) << s->g->l2_bits; i++) {
		struct l2_entry e;

		if (!l2_entry_at(s->g, s->l2, i, &e) && l2_entry_has_host(s->g, &e))
			tell_origin(o, (uint32_t)(e.host.v / geom_l1_span(s->g)));
	}
}

/* Keeps entries of one table, as far apart as the room for them demands. */
static qc_err sample_table(struct origin_search *s, uint32_t table, uint64_t most)
{
	uint64_t n = UINT64_C(1) << s->g->l2_bits, step = max_u64(1, n / most);
	qc_err r = 0;

	if (!read_origin_table(s, s->out->table[table].off))
		return 0;
	if (s->g->external) {
		tell_by_data_file(s, &s->out->table[table]);
		return 0;
	}
	for (uint64_t i = 0; !r && i < n; i += step) {
		uint64_t host = host_of_entry(s, i);

		if (!host)
			continue;
		r = array_reserve(&s->sample, &s->samples_room, s->samples + 1, sizeof(*s->sample));
		if (!r)
			s->sample[s->samples++] = (struct sample){ host, (uint32_t)i, table };
	}
	return r;
}

static int compare_samples(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;

	return compare_u64(&x->host, &y->host);
}

static qc_err sample_tables(struct origin_search *s)
{
	uint64_t most = max_u64(SAMPLES_MIN, SAMPLES_MAX / max_u64(1, s->out->n));
	qc_err r = 0;

	for (size_t i = 0; !r && i < s->out->n; i++)
		r = sample_table(s, (uint32_t)i, most);
	if (!r && s->samples)
		qsort(s->sample, s->samples, sizeof(*s->sample), compare_samples);
	return r;
}

/* ---- comparing tables of snapshots ------------------------------------------- */

static size_t find_sample(const struct origin_search *s, uint64_t host)
{
	size_t low = 0, high = s->samples;

	while (low < high) { /* the first one that is not before the cluster */
		size_t mid = low + (high - low) / 2;

		if (s->sample[mid].host < host)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Compares one entry of a table of a snapshot with all samples of the same cluster. */
static void compare_entry(struct origin_search *s, uint64_t host, uint64_t entry, uint32_t index)
{
	size_t first = find_sample(s, host);

	for (size_t i = first; i < s->samples && i < first + EQUAL_MAX; i++) {
		struct qc_l2_origin *o = &s->out->table[s->sample[i].table];

		if (s->sample[i].host != host)
			break;
		if (s->sample[i].entry == entry)
			tell_origin(o, index);
		else
			o->disputed = true;
	}
}

static void compare_snapshots(struct origin_search *s)
{
	const struct qc_l1_reference *last = NULL;

	for (size_t k = 0; s->samples && k < s->out->refs; k++) {
		const struct qc_l1_reference *ref = &s->out->ref[k];

		if (!ref->in_snapshot || !is_lost_entry(s, ref->index) ||
		    (last && last->table == ref->table && last->index == ref->index))
			continue;
		last = ref;
		if (!read_origin_table(s, ref->table))
			continue;
		for (uint64_t i = 0; i < UINT64_C(1) << s->g->l2_bits; i++) {
			uint64_t host = host_of_entry(s, i);

			if (host)
				compare_entry(s, host, i, ref->index);
		}
	}
}

/* ---- L1 tables that nothing references ----------------------------------------- */

static struct qc_l2_origin *find_origin(const struct qc_l2_origins *o, uint64_t off)
{
	size_t low = 0, high = o->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (o->table[mid].off < off)
			low = mid + 1;
		else
			high = mid;
	}
	return low < o->n && o->table[low].off == off ? &o->table[low] : NULL;
}

static void read_old_l1(struct origin_search *s, uint64_t off)
{
	size_t got;

	if (qc_file_read(s->md->file, off, s->l2, geom_cluster(s->g), &got))
		return;
	for (uint32_t i = 0; i < geom_cluster(s->g) / 8; i++) {
		struct qc_l2_origin *o;
		struct hoff table;

		if (l1_decode(s->g, be64_at(s->l2 + 8 * i), &table) || !table.v)
			continue;
		o = find_origin(s->out, table.v);
		if (o)
			tell_origin(o, i);
	}
}

static bool is_old_l1(const struct qc_lost_tables *lost, size_t i)
{
	return i < lost->n && lost->table[i].kind == QC_LOST_L1_TABLE;
}

/* Of clusters of L1 tables one behind the other nothing tells whether they are one table. */
static void read_old_l1_tables(struct origin_search *s, const struct qc_lost_tables *lost)
{
	uint64_t cluster = geom_cluster(s->g);

	for (size_t i = 0; i < lost->n; i++) {
		bool joined = (i && is_old_l1(lost, i - 1) &&
			       lost->table[i - 1].off + cluster == lost->table[i].off) ||
			      (is_old_l1(lost, i + 1) &&
			       lost->table[i].off + cluster == lost->table[i + 1].off);

		if (is_old_l1(lost, i) && !joined)
			read_old_l1(s, lost->table[i].off);
	}
}

/* ---------------------------------------------------------------------------------- */

static qc_err list_l2_tables(struct qc_l2_origins *o, const struct qc_lost_tables *lost,
			     bool counted)
{
	qc_err r = 0;

	for (size_t i = 0; !r && i < lost->n; i++) {
		if (lost->table[i].kind != QC_LOST_L2_TABLE || (counted && !lost->table[i].refcount))
			continue;
		r = array_reserve(&o->table, &o->room, o->n + 1, sizeof(*o->table));
		if (!r)
			o->table[o->n++] = (struct qc_l2_origin){ lost->table[i].off, UINT32_MAX,
								  false };
	}
	return r;
}

qc_err qc_l2_origin_find(const struct qc_metadata *md, const struct qc_lost_tables *lost,
			 const uint8_t *is_lost, uint32_t entries, struct qc_l2_origins *out)
{
	struct origin_search s = { .md = md, .g = &md->head->geom, .is_lost = is_lost,
				   .entries = entries, .out = out };
	qc_err r;

	*out = (struct qc_l2_origins){ 0 };
	r = list_l2_tables(out, lost, md->refcounts);
	if (r || !md->refcounts) /* without refcounts nothing can be proved */
		return r;
	s.l2 = malloc(max_u64(geom_l2_bytes(s.g), geom_cluster(s.g)));
	r = s.l2 ? collect_references(&s) : -ENOMEM;
	if (!r)
		r = sample_tables(&s);
	if (!r) {
		compare_snapshots(&s);
		read_old_l1_tables(&s, lost);
	}
	free(s.sample);
	free(s.l2);
	return r;
}

void qc_l2_origin_free(struct qc_l2_origins *o)
{
	free(o->table);
	free(o->ref);
	*o = (struct qc_l2_origins){ 0 };
}
