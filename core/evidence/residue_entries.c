/* SPDX-License-Identifier: MIT */
#include "evidence/residue_entries.h"

#include <string.h>

#include "base/byteorder.h"
#include "base/range.h"
#include "qcow_array.h"

enum {
	ENTRIES_MAX = 1 << 14,
	AHEAD = 4096, /* an entry may end behind the range */
	ID_MAX = 20,
};

static bool is_decimal(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] < '0' || text[i] > '9')
			return false;
	return len && len <= ID_MAX;
}

/* Decodes an entry, if the bytes are one as a sound program writes them. */
static bool parse_residue_entry(const struct qc_tables *t, const uint8_t *p, size_t len,
				struct qc_snapshot_entry *e)
{
	const struct qc_header *h = t->md.head;
	uint64_t l1 = be64_at(p), cluster = geom_cluster(&h->geom);

	if (!l1 || l1 & (cluster - 1) || l1 >= t->file_bytes)
		return false; /* almost all bytes that are no entry end here */
	return !qc_snapshot_table_parse(p, len, 1, h->size, e) && e->s.l1_entries &&
	       e->s.date_ns < 1000000000 && is_decimal(e->s.id, e->s.id_len) &&
	       qc_snapshot_entry_is_valid(&e->s, cluster, t->file_bytes) &&
	       e->s.size <= INT64_MAX && geom_l1_need(&h->geom, e->s.size) <= e->s.l1_entries &&
	       e->s.vmstate_bytes <= (uint64_t)INT64_MAX - e->s.size - geom_l1_span(&h->geom);
}

static qc_err keep_entry(struct qc_residue_entries *all, const struct qc_snapshot_entry *e,
			 uint64_t host, uint64_t table)
{
	struct qc_residue_entry *x;
	qc_err r;

	if (all->n == ENTRIES_MAX) {
		all->left_out = true;
		return 0;
	}
	r = array_reserve(&all->at, &all->room, all->n + 1, sizeof(*all->at));
	if (r)
		return r;
	x = &all->at[all->n];
	*x = (struct qc_residue_entry){ .s = e->s, .host = host, .len = e->len, .table = table };
	x->text = calloc(e->s.id_len + e->s.name_len + 2, 1);
	if (!x->text)
		return -ENOMEM;
	x->s.id = memcpy(x->text, e->s.id, e->s.id_len);
	x->s.name = memcpy(x->text + e->s.id_len + 1, e->s.name, e->s.name_len);
	all->n++;
	return 0;
}

/* Finds the entries that begin in the first @n of @len bytes. */
static qc_err find_entries(const struct qc_tables *t, const uint8_t *bytes, size_t n, size_t len,
			   uint64_t host, struct qc_residue_entries *out)
{
	size_t at = 0, next = SIZE_MAX;
	uint64_t table = 0;
	qc_err r = 0;

	while (!r && at < n && len - at >= 8) {
		struct qc_snapshot_entry e;

		if (!parse_residue_entry(t, bytes + at, len - at, &e)) {
			at += 8;
			continue;
		}
		if (next != at)
			table = host + at;
		r = keep_entry(out, &e, host + at, table);
		at += (size_t)round_up(e.len, 8);
		next = at;
	}
	return r;
}

qc_err qc_residue_entries_read(struct qc_tables *t, uint64_t host, uint64_t len,
			       struct qc_residue_entries *out)
{
	size_t want = (size_t)range_clamp(host, len + AHEAD, t->file_bytes), got = 0;
	AUTO_FREE uint8_t *buf = malloc(want + 1);

	if (!buf)
		return -ENOMEM;
	if (qc_file_read(t->md.file, host, buf, want, &got))
		return 0; /* what cannot be read is no entry */
	return find_entries(t, buf, (size_t)min_u64(len, got), got, host, out);
}

void qc_residue_entries_free(struct qc_residue_entries *e)
{
	for (size_t i = 0; i < e->n; i++)
		free(e->at[i].text);
	free(e->at);
	*e = (struct qc_residue_entries){ 0 };
}

bool qc_residue_entries_match(const struct qc_snapshot *a, const struct qc_snapshot *b)
{
	return a->id_len == b->id_len && !memcmp(a->id, b->id, a->id_len) &&
	       a->l1_offset == b->l1_offset && a->date_s == b->date_s && a->date_ns == b->date_ns;
}

bool qc_residue_entries_coexisted(const struct qc_residue_entries *e, const struct qc_snapshot *a,
			  const struct qc_snapshot *b)
{
	bool has_a = false, has_b = false;

	for (size_t i = 0; i < e->n; i++) {
		if (!i || e->at[i].table != e->at[i - 1].table)
			has_a = has_b = false;
		has_a = has_a || qc_residue_entries_match(&e->at[i].s, a);
		has_b = has_b || qc_residue_entries_match(&e->at[i].s, b);
		if (has_a && has_b)
			return true;
	}
	return false;
}
