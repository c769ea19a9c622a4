/* SPDX-License-Identifier: MIT */
#include "evidence/unallocated.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/outcome.h"
#include "rescue/table_test.h"
#include "evidence/text.h"

/* Returns the clusters that the file has as a whole. */
static uint64_t whole_clusters(const struct qc_tables *t)
{
	return t->file_bytes >> t->shift;
}

qc_err qc_unallocated_pieces(struct qc_tables *t, const struct qc_cluster_use *u,
			     struct qc_pieces *out)
{
	uint64_t n = whole_clusters(t), cluster = UINT64_C(1) << t->shift;
	qc_err r = 0;

	for (uint64_t c = 0; !r && c < n; c++) {
		unsigned int use = qc_cluster_use_of(u, c);

		if (!(use & QC_USE_REFERENCED))
			r = qc_pieces_add_data(out, t->md.file, c << t->shift, cluster,
					       use & QC_USE_COUNTED ? QC_PIECE_LEAKED : QC_PIECE_FREE,
					       true);
	}
	return r;
}

/* ---- the report ----------------------------------------------------------------- */

/* Writes the runs of one piece, each of clusters of the same kind. */
static qc_err write_runs(struct qc_text *text, struct qc_tables *t, const struct qc_pieces *p,
			 size_t i, uint8_t *buf)
{
	uint64_t cluster = UINT64_C(1) << t->shift, len = qc_pieces_len(p, i), start = 0;
	const char *kind = NULL;

	for (uint64_t at = 0; at <= len; at += cluster) {
		const char *next = NULL;
		size_t got;

		if (at < len && qc_file_read(t->md.file, p->piece[i].host + at, buf, cluster, &got))
			return -ENOMEM;
		if (at < len)
			next = qc_table_test_name(&t->md.head->geom, t->file_bytes, buf, cluster);
		if (kind && kind != next) {
			qc_text_add(text, "%s\n {\"offset\": %" PRIu64 ", \"image-offset\": %" PRIu64
				    ", \"length\": %" PRIu64 ", \"counted\": %d, \"kind\": \"%s\"}",
				    text->bytes[text->len - 1] == '[' ? "" : ",",
				    p->piece[i].at + start, p->piece[i].host + start, at - start,
				    p->piece[i].kind == QC_PIECE_LEAKED, kind);
			start = at;
		}
		kind = next;
	}
	return text->failed ? -ENOMEM : 0;
}

qc_err qc_unallocated_report(struct qc_image *img, char **text, size_t *len)
{
	struct qc_text all = { 0 };
	AUTO_FREE uint8_t *buf = NULL;
	struct qc_pieces p;
	struct qc_tables t;
	qc_err r = img->headers_only ? -EINVAL :
				       qc_piece_search_run(img, qc_unallocated_pieces, &p, &t);

	if (r)
		return qc_no_outcome(r);
	buf = malloc(UINT64_C(1) << t.shift);
	r = buf ? 0 : -ENOMEM;
	qc_text_add(&all, "{\"size\": %" PRIu64 ", \"runs\": [", p.end);
	for (size_t i = 0; !r && i < p.n; i++)
		r = write_runs(&all, &t, &p, i, buf);
	qc_text_add(&all, "]}\n");
	qc_tables_close(&t);
	qc_pieces_free(&p);
	if (!r)
		return qc_text_end(&all, text, len);
	free(all.bytes);
	return qc_no_outcome(r);
}
