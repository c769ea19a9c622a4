/* SPDX-License-Identifier: MIT */
/*
 * findings_tables.c - faults of tables and refcounts: those of the check, each with its bytes.
 *
 * Leaked clusters that follow each other are one finding.  If COPIED is wrong because the refcount
 * or the entry is, only that is a finding.
 */
#include "evidence/findings.h"

#include <errno.h>
#include <inttypes.h>

#include "base/range.h"
#include "base/util.h"
#include "check/full_check.h"
#include "qcow_array.h"

enum { SHARED_MAX = 256, LEAKS_MANY = 64, LEAKS_FEW = 8, COPIED_MAX = 10001 };

struct table_findings {
	struct qc_finding_list *l;
	uint64_t leak_start, leak_end; /* of the run of leaks that is still open */
	uint64_t leaks;		       /* clusters */
	uint64_t shared[SHARED_MAX];   /* host offsets of clusters with several names */
	json_t *finding[SHARED_MAX];   /* of each; gets its guest offsets */
	size_t nshared;
	uint64_t *bad; /* host offsets of clusters with another finding */
	size_t nbad, bad_room;
	struct qc_finding *copied; /* findings about COPIED, until all others are known */
	size_t ncopied, copied_room;
	bool failed; /* no memory */
};

static void note_bad_cluster(struct table_findings *f, uint64_t host)
{
	if (array_reserve(&f->bad, &f->bad_room, f->nbad + 1, sizeof(*f->bad)))
		f->failed = true;
	else
		f->bad[f->nbad++] = host;
}

static void defer_copied(struct table_findings *f, const struct qc_finding *x)
{
	if (f->ncopied == COPIED_MAX)
		return;
	if (array_reserve(&f->copied, &f->copied_room, f->ncopied + 1, sizeof(*f->copied)))
		f->failed = true;
	else
		f->copied[f->ncopied++] = *x;
}

static void end_leak_run(struct table_findings *f)
{
	uint64_t len = f->leak_end - f->leak_start;

	if (len)
		qc_finding_list_add(f->l, QC_CODE_COUNT_HIGH, f->leak_start, len,
				    "%" PRIu64 " clusters are counted, and nothing references them",
				    len >> f->l->t->shift);
	f->leak_start = f->leak_end = 0;
}

static void add_leak(struct table_findings *f, const struct qc_finding *x)
{
	uint64_t cluster = UINT64_C(1) << f->l->t->shift;

	f->leaks++;
	if (x->references) { /* it has one name too few */
		note_bad_cluster(f, x->host_offset);
		qc_finding_list_add(f->l, QC_CODE_COUNT_HIGH, x->host_offset, cluster,
				    "refcount %" PRIu64 ", and %" PRIu64 " references", x->refcount,
				    x->references);
		return;
	}
	if (f->leak_end != x->host_offset)
		end_leak_run(f);
	if (f->leak_start == f->leak_end)
		f->leak_start = x->host_offset;
	f->leak_end = x->host_offset + cluster;
}

static void add_low_refcount(struct table_findings *f, const struct qc_finding *x)
{
	uint64_t cluster = UINT64_C(1) << f->l->t->shift;
	json_t *j;

	note_bad_cluster(f, x->host_offset);
	if (!x->refcount) {
		qc_finding_list_add(f->l, QC_CODE_COUNT_LOW, x->host_offset, cluster,
				    "refcount 0, and %" PRIu64 " references", x->references);
		return;
	}
	j = qc_finding_list_add(f->l, QC_CODE_TWO_NAMES, x->host_offset, cluster,
				"%" PRIu64 " references, and the refcount is %" PRIu64,
				x->references, x->refcount);
	if (!j || f->nshared == SHARED_MAX)
		return;
	json_object_set_new(j, "guest-offsets", json_array());
	f->shared[f->nshared] = x->host_offset;
	f->finding[f->nshared++] = j;
}

static void add_entry_finding(struct table_findings *f, const struct qc_finding *x,
			      enum qc_finding_code code, const char *what)
{
	json_t *j;

	if (x->table_offset == QC_NO_OFFSET) {
		j = qc_finding_list_add(f->l, code, 0, 0, "%s%s%s", x->table, *x->table ? ": " : "", what);
	} else {
		bool is_l2 = x->table == qc_finding_table(QC_METADATA_L2_TABLE);
		unsigned int bits = is_l2 ? f->l->t->md.head->geom.entry_bits : 3;

		j = qc_finding_list_add(f->l, code, x->table_offset + (x->index << bits),
					UINT64_C(1) << bits, "entry %" PRIu64 " of the %s at 0x%" PRIx64
					" is 0x%" PRIx64 ": %s", x->index, x->table,
					x->table_offset, x->entry, what);
	}
	if (j && x->guest_offset != QC_NO_OFFSET)
		json_object_set_new(j, "guest-offset", json_integer((json_int_t)x->guest_offset));
	if (j && x->host_offset != QC_NO_OFFSET)
		json_object_set_new(j, "host-offset", json_integer((json_int_t)x->host_offset));
}

/* A qc_finding_fn. */
static void add_finding_of_check(void *arg, const struct qc_finding *x)
{
	struct table_findings *f = arg;

	switch (x->kind) {
	case QC_FINDING_LEAK:
		add_leak(f, x);
		return;
	case QC_FINDING_REFCOUNT_LOW:
		add_low_refcount(f, x);
		return;
	case QC_FINDING_COPIED:
		defer_copied(f, x);
		return;
	case QC_FINDING_INVALID_ENTRY:
		add_entry_finding(f, x, QC_CODE_ENTRY_IMPOSSIBLE, "no program writes it");
		return;
	case QC_FINDING_BEYOND_END:
		note_bad_cluster(f, x->host_offset);
		add_entry_finding(f, x, QC_CODE_ENTRY_BEHIND_END, "behind the end of the file");
		return;
	case QC_FINDING_OVERLAP:
		qc_finding_list_add(f->l, QC_CODE_TABLE_OVERLAP, x->host_offset,
				    UINT64_C(1) << f->l->t->shift, "a table is also something else");
		return;
	case QC_FINDING_INVALID_TABLE:
		add_entry_finding(f, x, QC_CODE_TABLE_DAMAGED, "it cannot be read as such a table");
		return;
	}
}

static void add_copied_findings(struct table_findings *f)
{
	if (f->nbad)
		qsort(f->bad, f->nbad, sizeof(*f->bad), compare_u64);
	for (size_t i = 0; i < f->ncopied; i++) {
		const struct qc_finding *x = &f->copied[i];

		if (!f->nbad || !bsearch(&x->host_offset, f->bad, f->nbad, sizeof(*f->bad),
					 compare_u64))
			add_entry_finding(f, x, QC_CODE_COPIED_WRONG,
					  "COPIED is not \"the refcount is 1\"");
	}
}

/* ---- the guest offsets of clusters with several names ---------------------------- */

static void name_guest_offset(struct table_findings *f, uint64_t host, uint64_t guest)
{
	for (size_t i = 0; i < f->nshared; i++)
		if (f->shared[i] == host)
			json_array_append_new(json_object_get(f->finding[i], "guest-offsets"),
					      json_integer((json_int_t)guest));
}

/* A qc_metadata_fn. */
static qc_err name_guest_offsets(void *arg, struct qc_metadata_item *item)
{
	struct table_findings *f = arg;
	const struct geom *g = &f->l->t->md.head->geom;

	if (item->invalid || item->in_snapshot || item->kind != QC_METADATA_L2_TABLE)
		return 0;
	for (uint64_t i = 0; i < UINT64_C(1) << g->l2_bits; i++) {
		struct l2_entry e;

		if (!l2_entry_at(g, item->bytes, i, &e) && e.host.v)
			name_guest_offset(f, e.host.v - (e.host.v & (geom_cluster(g) - 1)),
					  item->index * geom_l1_span(g) + (i << g->cluster_bits));
	}
	return 0;
}

static qc_err find_guest_offsets(struct table_findings *f)
{
	return f->nshared ? qc_metadata_for_each(&f->l->t->md, QC_WALK_READ_L2,
						 name_guest_offsets, f) : 0;
}

qc_err qc_findings_tables_find(struct qc_finding_list *l)
{
	struct table_findings f = { .l = l };
	struct qc_check_result result;
	struct qc_full_check check = {
		.md = &l->t->md,
		.out = { .fn = add_finding_of_check, .arg = &f, .result = &result },
		.path = l->img->layer[0]->path,
	};
	qc_err r = qc_full_check(&check);

	end_leak_run(&f);
	add_copied_findings(&f);
	free(f.bad);
	free(f.copied);
	if (!r && f.failed)
		r = -ENOMEM;
	if (!r)
		r = find_guest_offsets(&f);
	if (!r && (f.leaks > LEAKS_MANY || (f.leaks >= LEAKS_FEW && f.leaks * 100 > l->t->n)))
		qc_finding_list_add(l, QC_CODE_LOST_MAPPING, 0, 0,
				    "%" PRIu64 " clusters are counted that nothing references: a table may "
				    "have been emptied or overwritten", f.leaks);
	return r;
}
