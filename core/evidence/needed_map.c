/* SPDX-License-Identifier: MIT */
/*
 * needed_map.c - which clusters of the image file the disk needs: all metadata, and the data that
 * the active tables reference.
 *
 * Tables that cannot be read are in the map, but not the clusters that they reference.  After another
 * attempt has read them, the map has more.
 */
#include <errno.h>

#include "base/outcome.h"
#include "base/range.h"
#include "evidence/map_text.h"
#include "evidence/tables.h"
#include "image/image.h"

struct needed_clusters {
	const struct geom *g;
	uint8_t *bits; /* one for each cluster; in version 1 for each sector */
	uint64_t n;
	unsigned int shift; /* log2 of the bytes of one */
};

static void need_extent(struct needed_clusters *n, uint64_t off, uint64_t len)
{
	uint64_t end = min_u64(div_up(off + len, UINT64_C(1) << n->shift), n->n);

	for (uint64_t c = off >> n->shift; len && c < end; c++)
		n->bits[c / 8] |= (uint8_t)(1u << c % 8);
}

static void need_entry(struct needed_clusters *n, const uint8_t *l2, uint64_t i)
{
	struct l2_entry e;

	if (l2_entry_at(n->g, l2, i, &e))
		return;
	if (e.kind == QC_COMPRESSED)
		need_extent(n, e.host.v, e.compressed_len);
	else if (e.kind == QC_DATA || e.alloc)
		need_extent(n, e.host.v, n->g->external ? 0 : geom_cluster(n->g));
}

/* A qc_metadata_fn. */
static qc_err need_item(void *arg, struct qc_metadata_item *item)
{
	struct needed_clusters *n = arg;

	if (item->invalid)
		return 0;
	need_extent(n, item->off, item->len);
	if (item->kind != QC_METADATA_L2_TABLE || item->in_snapshot)
		return 0;
	for (uint64_t i = 0; i < UINT64_C(1) << n->g->l2_bits; i++)
		need_entry(n, item->bytes, i);
	return 0;
}

static qc_err write_needed(const struct needed_clusters *n, uint64_t file_bytes, char **text,
			   size_t *len)
{
	struct qc_map_text m = { 0 };
	struct qc_text head = { 0 };
	qc_err r;

	qc_text_add(&head, "# + what the disk needs of the image file: the domain of a second pass, "
		    "ddrescue -m\n");
	for (uint64_t c = 0; c < n->n; c++)
		qc_map_text_add(&m, range_clamp(c << n->shift, UINT64_C(1) << n->shift, file_bytes),
				n->bits[c / 8] >> c % 8 & 1 ? '+' : '?');
	r = qc_map_text_end(&m, &head, text, len);
	free(head.bytes);
	return r;
}

qc_err qc_rescue_needed_map(struct qc_image *img, char **text, size_t *len)
{
	struct qc_layer *l = img->layer[0];
	struct needed_clusters n = { .g = &l->head.geom };
	struct qc_tables t;
	qc_err r = img->headers_only ? -EINVAL : qc_tables_open(&t, l);

	if (r)
		return r;
	n.shift = t.shift;
	n.n = t.n;
	n.bits = calloc(n.n / 8 + 1, 1);
	r = n.bits ? qc_metadata_for_each(&t.md, QC_WALK_READ_L2, need_item, &n) : -ENOMEM;
	if (!r)
		need_extent(&n, l->head.backing_offset, l->head.backing_len);
	if (!r)
		r = write_needed(&n, t.file_bytes, text, len);
	free(n.bits);
	qc_tables_close(&t);
	return qc_no_outcome(r);
}
