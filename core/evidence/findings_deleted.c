/* SPDX-License-Identifier: MIT */
/* findings_deleted.c - deleted snapshots and old tables, and clusters of which nothing is left. */
#include "evidence/findings.h"

#include <errno.h>
#include <inttypes.h>

#include "base/range.h"
#include "evidence/residue.h"

static json_t *json_of_name(const char *text, size_t len)
{
	json_t *s = json_stringn(text, len);

	return s ? s : json_string("(no UTF-8)");
}

static void add_deleted_snapshot(struct qc_finding_list *l, const struct qc_residue_entry *e)
{
	json_t *f = qc_finding_list_add(l, QC_CODE_DELETED_SNAPSHOT, e->host, e->len,
					"an entry of a snapshot table that the header does not "
					"locate: id %s, \"%s\"; NAME.deleted has what is left of it",
					e->s.id, e->s.name);

	if (f)
		json_object_set_new(f, "snapshot",
				    json_pack("{s:o, s:o, s:I, s:I, s:I, s:I}", "id",
					      json_of_name(e->s.id, e->s.id_len), "name",
					      json_of_name(e->s.name, e->s.name_len),
					      "vm-state-size", (json_int_t)e->s.vmstate_bytes,
					      "date-sec", (json_int_t)e->s.date_s, "date-nsec",
					      (json_int_t)e->s.date_ns, "l1-offset",
					      (json_int_t)e->s.l1_offset));
}

static void add_disks(struct qc_finding_list *l, const struct qc_residue *r)
{
	const struct qc_header *h = l->t->md.head;

	for (size_t i = 0; i < r->entries.n; i++)
		if (!r->entries.at[i].repeated)
			add_deleted_snapshot(l, &r->entries.at[i]);
	for (size_t i = 0; i < r->nl1; i++)
		qc_finding_list_add(l, QC_CODE_OLD_L1, r->l1[i].l1_offset,
				    r->l1[i].l1_entries * UINT64_C(8),
				    "an L1 table that nothing references; "
				    "NAME.deleted has l1@0x%" PRIx64, r->l1[i].l1_offset);
	if (*h->backing && (r->entries.n || r->nl1))
		qc_finding_list_add(l, QC_CODE_BASE_THEN_UNKNOWN, h->backing_offset, h->backing_len,
				    "deleted disks are shown with the backing file of today: which "
				    "one they had is not recorded");
	l->left_out += r->entries.left_out;
}

struct punched {
	uint64_t clusters, first; /* host offset of the first */
};

/* Counts the clusters of a range that are holes of the file system as a whole. */
static void count_punched(const struct qc_tables *t, uint64_t off, uint64_t end,
			  struct punched *p)
{
	uint64_t cluster = UINT64_C(1) << t->shift;
	struct qc_extent e;

	for (; off < end; off += e.len) {
		uint64_t first = round_up(off, cluster);

		if (qc_file_extent(t->md.file, off, &e) || !e.len)
			return;
		e.len = min_u64(e.len, end - off);
		if (e.data || off + e.len < first + cluster)
			continue;
		p->first = p->clusters ? p->first : first;
		p->clusters += (off + e.len - first) >> t->shift;
	}
}

static void find_punched(struct qc_finding_list *l, const struct qc_cluster_use *u)
{
	uint64_t whole = min_u64(l->t->file_bytes >> l->t->shift, u->n);
	struct punched p = { 0 };

	for (uint64_t c = 0, end; c < whole; c = end) {
		end = min_u64(qc_cluster_use_end(u, c), whole);
		if (!qc_cluster_use_of(u, c))
			count_punched(l->t, c << l->t->shift, end << l->t->shift, &p);
	}
	if (p.clusters)
		qc_finding_list_add(l, QC_CODE_PUNCHED, 0, 0,
				    "%" PRIu64 " clusters were freed, and are holes of the file "
				    "system, the first at 0x%" PRIx64 ": nothing is left of them",
				    p.clusters, p.first);
}

qc_err qc_findings_deleted_find(struct qc_finding_list *l, const struct qc_cluster_use *u)
{
	struct qc_residue res;
	qc_err r = qc_residue_find(l->t, u, &res);

	if (!r)
		add_disks(l, &res);
	qc_residue_free(&res);
	if (r == -EFBIG) {
		l->left_out++;
		r = 0;
	}
	if (!r && l->t->md.head->version > 1)
		find_punched(l, u);
	return r;
}
