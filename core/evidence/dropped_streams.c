/* SPDX-License-Identifier: MIT */
#include "evidence/dropped_streams.h"

#include <errno.h>
#include <string.h>

#include "base/range.h"
#include "evidence/unallocated.h"
#include "layer/context_fields.h"
#include "qcow_array.h"

enum { LIVE_MAX = 1 << 22, FOUND_MAX = 1 << 16 };

struct stream_search {
	struct qc_layer *l;
	struct qc_tables *t;
	const struct qc_cluster_use *u;
	struct qc_dropped_stream *live; /* ascending; len as the entry says, in sectors */
	size_t n, room;
	uint8_t *cluster; /* to decompress into */
	struct qc_dropped_streams *out;
	bool too_many; /* live streams */
};

/* ---- one stream ---------------------------------------------------------------- */

qc_err qc_dropped_streams_read(struct qc_layer *l, uint64_t host, uint8_t *out, uint32_t *len)
{
	size_t cluster = (size_t)geom_cluster(&l->head.geom), most = cluster + cluster / 8 + 512;
	struct qc_decoder *d = qc_decoder_get(l->ctx->decoders, most);
	size_t got = 0, used = 0;
	qc_err r = d ? qc_file_read(l->file, host, d->in, most, &got) : -ENOMEM;

	if (!r)
		r = qc_decode_whole(d, l->head.compression, got, out, cluster, &used);
	if (d)
		qc_decoder_put(l->ctx->decoders, d);
	*len = (uint32_t)used;
	return r == -ENOMEM ? r : r ? -EIO : 0;
}

/* ---- live streams -------------------------------------------------------------- */

static qc_err add_live(struct stream_search *s, const struct l2_entry *e)
{
	qc_err r;

	if (s->n == LIVE_MAX) {
		s->too_many = true;
		return 0;
	}
	r = array_reserve(&s->live, &s->room, s->n + 1, sizeof(*s->live));
	if (!r)
		s->live[s->n++] = (struct qc_dropped_stream){ e->host.v, e->compressed_len };
	return r;
}

/* A qc_metadata_fn. */
static qc_err add_live_of_table(void *arg, struct qc_metadata_item *item)
{
	struct stream_search *s = arg;
	const struct geom *g = &s->t->md.head->geom;
	qc_err r = 0;

	if (item->invalid || item->kind != QC_METADATA_L2_TABLE || !item->bytes)
		return 0;
	for (uint64_t i = 0; !r && i < UINT64_C(1) << g->l2_bits; i++) {
		struct l2_entry e;

		if (!l2_entry_at(g, item->bytes, i, &e) && e.kind == QC_COMPRESSED &&
		    e.host.v < s->t->file_bytes)
			r = add_live(s, &e);
	}
	return r;
}

static int compare_streams(const void *a, const void *b)
{
	uint64_t x = ((const struct qc_dropped_stream *)a)->host;
	uint64_t y = ((const struct qc_dropped_stream *)b)->host;

	return (x > y) - (x < y);
}

/* Sorts the live streams.  A stream of the disk and of snapshots is one. */
static void sort_live(struct stream_search *s)
{
	size_t n = 0;

	if (!s->n)
		return;
	qsort(s->live, s->n, sizeof(*s->live), compare_streams);
	for (size_t i = 0; i < s->n; i++)
		if (!n || s->live[n - 1].host != s->live[i].host)
			s->live[n++] = s->live[i];
	s->n = n;
}

/* Returns the index of the first live stream at or behind a host offset. */
static size_t find_live_stream(const struct stream_search *s, uint64_t host)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->live[mid].host < host)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* ---- trials -------------------------------------------------------------------- */

static uint64_t end_of_search(const struct stream_search *s, size_t next)
{
	return next < s->n ? s->live[next].host : s->t->file_bytes;
}

/* Returns true if a cluster has live compressed data, and so its other bytes may be dropped. */
static bool has_live_stream(const struct stream_search *s, uint64_t cluster)
{
	uint64_t at = cluster << s->t->shift, end = at + (UINT64_C(1) << s->t->shift);
	size_t i = find_live_stream(s, at);

	return (i < s->n && s->live[i].host < end) ||
	       (i && s->live[i - 1].host + s->live[i - 1].len > at);
}

/* Returns true if none of the clusters of a stream has anything but compressed data. */
static bool is_free_of_plain_data(const struct stream_search *s, uint64_t host, uint64_t len)
{
	for (uint64_t c = host >> s->t->shift; c <= (host + len - 1) >> s->t->shift; c++)
		if (c >= s->u->n || (qc_cluster_use_of(s->u, c) & QC_USE_REFERENCED &&
				     !has_live_stream(s, c)))
			return false;
	return true;
}

static qc_err keep_stream(struct stream_search *s, uint64_t host, uint32_t len)
{
	struct qc_dropped_streams *out = s->out;
	qc_err r;

	if (out->n == FOUND_MAX) {
		out->left_out = true;
		return 0;
	}
	r = array_reserve(&out->at, &out->room, out->n + 1, sizeof(*out->at));
	if (!r)
		out->at[out->n++] = (struct qc_dropped_stream){ host, len };
	return r;
}

/* Tries a host offset, and then the end of each stream that is found. */
static qc_err try_from(struct stream_search *s, uint64_t host, uint64_t end)
{
	qc_err r = 0;

	while (!r && host < end && !s->out->left_out) {
		uint32_t len;

		r = qc_dropped_streams_read(s->l, host, s->cluster, &len);
		if (r || !len || len > end - host || !is_free_of_plain_data(s, host, len))
			break;
		r = keep_stream(s, host, len);
		host += len;
	}
	return r == -EIO ? 0 : r;
}

/* Tries the end of a live stream, and the beginning of its first cluster. */
static qc_err try_beside_live(struct stream_search *s, size_t i)
{
	uint64_t first = s->live[i].host >> s->t->shift << s->t->shift;
	const struct qc_dropped_stream *prev = i ? &s->live[i - 1] : NULL;
	uint32_t len;
	qc_err r = 0;

	if (first < s->live[i].host && first && (!prev || prev->host + prev->len <= first))
		r = try_from(s, first, s->live[i].host);
	if (r)
		return r;
	r = qc_dropped_streams_read(s->l, s->live[i].host, s->cluster, &len);
	if (r)
		return r == -EIO ? 0 : r;
	return try_from(s, s->live[i].host + len, end_of_search(s, i + 1));
}

/* Removes streams that begin in another one: a trial began inside of it. */
static void drop_overlaps(struct qc_dropped_streams *out)
{
	uint64_t end = 0;
	size_t n = 0;

	if (out->n)
		qsort(out->at, out->n, sizeof(*out->at), compare_streams);
	for (size_t i = 0; i < out->n; i++) {
		if (out->at[i].host < end)
			continue;
		end = out->at[i].host + out->at[i].len;
		out->at[n++] = out->at[i];
	}
	out->n = n;
}

/* Tries the beginning of each cluster of a piece, but for those inside of found streams. */
static qc_err try_piece(struct stream_search *s, uint64_t host, uint64_t len)
{
	uint64_t cluster = geom_cluster(&s->t->md.head->geom);
	size_t found = s->out->n;
	qc_err r = 0;

	for (uint64_t at = round_up(host, cluster); !r && at < host + len; at += cluster) {
		const struct qc_dropped_stream *last = s->out->n > found ? &s->out->at[s->out->n - 1] : NULL;

		if (last && at < last->host + last->len)
			continue;
		r = try_from(s, at, end_of_search(s, find_live_stream(s, at)));
	}
	return r;
}

static qc_err try_unallocated(struct stream_search *s)
{
	struct qc_pieces p = { 0 };
	qc_err r = qc_unallocated_pieces(s->t, s->u, &p);

	for (size_t i = 0; !r && i < p.n && !s->out->left_out; i++)
		r = try_piece(s, p.piece[i].host, qc_pieces_len(&p, i));
	qc_pieces_free(&p);
	return r;
}

/* --------------------------------------------------------------------------------- */

qc_err qc_dropped_streams_find(struct qc_layer *l, struct qc_tables *t,
			       const struct qc_cluster_use *u, struct qc_dropped_streams *out)
{
	struct stream_search s = {
		.l = l, .t = t, .u = u, .cluster = malloc(geom_cluster(&t->md.head->geom)), .out = out
	};
	qc_err r = s.cluster ? 0 : -ENOMEM;

	*out = (struct qc_dropped_streams){ 0 };
	if (!r && !t->md.head->geom.external)
		r = qc_metadata_for_each(&t->md, QC_WALK_READ_L2, add_live_of_table, &s);
	sort_live(&s);
	for (size_t i = 0; !r && i < s.n && !out->left_out; i++)
		r = try_beside_live(&s, i);
	drop_overlaps(out);
	if (!r && !t->md.head->geom.external)
		r = try_unallocated(&s);
	drop_overlaps(out);
	out->left_out = out->left_out || s.too_many;
	free(s.live);
	free(s.cluster);
	return r;
}

void qc_dropped_streams_free(struct qc_dropped_streams *s)
{
	free(s->at);
	*s = (struct qc_dropped_streams){ 0 };
}
