/* SPDX-License-Identifier: MIT */
/* findings_compressed.c - compressed clusters that cannot be decompressed. */
#include "evidence/findings.h"

#include <errno.h>
#include <inttypes.h>

#include "base/range.h"
#include "layer/context_fields.h"

struct compressed_findings {
	struct qc_finding_list *l;
	uint8_t *cluster;
};

static qc_err try_cluster(struct qc_layer *l, const struct l2_entry *e, uint8_t *out)
{
	struct qc_decoder *d = qc_decoder_get(l->ctx->decoders, e->compressed_len);
	size_t got;
	qc_err r;

	if (!d)
		return -ENOMEM;
	r = qc_file_read(l->file, e->host.v, d->in, e->compressed_len, &got);
	if (!r)
		r = qc_decode(d, l->head.compression, e->compressed_len, out,
			      geom_cluster(&l->head.geom));
	qc_decoder_put(l->ctx->decoders, d);
	return r;
}

static bool is_hole(struct qc_layer *l, const struct l2_entry *e)
{
	struct qc_extent x;

	return !qc_file_extent(l->file, e->host.v, &x) && !x.data && x.len >= e->compressed_len;
}

static qc_err check_compressed_entry(struct compressed_findings *p, const struct l2_entry *e, uint64_t guest)
{
	struct qc_layer *l = p->l->img->layer[0];
	json_t *j;
	qc_err r = try_cluster(l, e, p->cluster);

	if (!r || r == -ENOMEM)
		return r;
	j = qc_finding_list_add(p->l, is_hole(l, e) ? QC_CODE_PUNCHED_NAMED : QC_CODE_COMPRESSED_BROKEN,
				e->host.v, e->compressed_len, "the compressed cluster at 0x%" PRIx64
				" %s", e->host.v, is_hole(l, e) ? "is a hole of the file system" :
								  "cannot be decompressed");
	if (j)
		json_object_set_new(j, "guest-offset", json_integer((json_int_t)guest));
	return 0;
}

/* A qc_metadata_fn. */
static qc_err check_compressed_table(void *arg, struct qc_metadata_item *item)
{
	struct compressed_findings *p = arg;
	const struct geom *g = &p->l->t->md.head->geom;
	qc_err r = 0;

	if (item->invalid || item->in_snapshot || item->kind != QC_METADATA_L2_TABLE)
		return 0;
	for (uint64_t i = 0; !r && i < UINT64_C(1) << g->l2_bits; i++) {
		struct l2_entry e;

		if (!l2_entry_at(g, item->bytes, i, &e) && e.kind == QC_COMPRESSED &&
		    e.host.v < p->l->t->file_bytes)
			r = check_compressed_entry(p, &e, item->index * geom_l1_span(g) +
						      (i << g->cluster_bits));
	}
	return r;
}

qc_err qc_findings_compressed_find(struct qc_finding_list *l)
{
	AUTO_FREE uint8_t *cluster = malloc(geom_cluster(&l->t->md.head->geom));
	struct compressed_findings p = { l, cluster };

	return cluster ? qc_metadata_for_each(&l->t->md, QC_WALK_READ_L2, check_compressed_table, &p) :
			 -ENOMEM;
}
