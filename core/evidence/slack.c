/* SPDX-License-Identifier: MIT */
/*
 * slack.c - structures are walked, and the rest of their last cluster is noted.  Then the notes are
 * sorted, since the walk is not in the order of the file.
 *
 * Compressed clusters cover sectors: their entries tell no more.  A window of the file has a bit for
 * each sector, so memory does not grow with the file.
 */
#include "evidence/slack.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/outcome.h"
#include "base/range.h"
#include "evidence/extension_walk.h"
#include "evidence/text.h"
#include "qcow_array.h"

#define WINDOW_BYTES (UINT64_C(64) << 30) /* 16 MiB of bits for sectors */

struct slack_note {
	uint64_t host, len;
	enum qc_slack_of of;
};

struct slack_search {
	struct qc_tables *t;
	struct slack_note *note;
	size_t n, room;
	uint64_t window;     /* host offset of the window */
	uint8_t *covered;    /* a bit for each sector: of a compressed cluster */
	uint8_t *compressed; /* a bit for each cluster of the window: has a compressed cluster */
	bool has_compressed; /* in any window */
};

const char *qc_slack_name(enum qc_slack_of of)
{
	static const char *const names[] = {
		[QC_SLACK_HEADER] = "header",
		[QC_SLACK_L1_TABLE] = "l1-table",
		[QC_SLACK_SNAPSHOT_TABLE] = "snapshot-table",
		[QC_SLACK_LUKS_HEADER] = "luks-header",
		[QC_SLACK_BITMAP_DIRECTORY] = "bitmap-directory",
		[QC_SLACK_BITMAP_TABLE] = "bitmap-table",
		[QC_SLACK_COMPRESSED] = "compressed",
		[QC_SLACK_FILE_END] = "file-end",
	};

	return names[of];
}

static qc_err add_note(struct slack_search *s, uint64_t host, uint64_t end, enum qc_slack_of of)
{
	uint64_t len = end > host ? range_clamp(host, end - host, s->t->file_bytes) : 0;
	qc_err r;

	if (!len)
		return 0;
	r = array_reserve(&s->note, &s->room, s->n + 1, sizeof(*s->note));
	if (!r)
		s->note[s->n++] = (struct slack_note){ host, len, of };
	return r;
}

static uint64_t cluster_end(const struct slack_search *s, uint64_t off)
{
	return round_up(off, UINT64_C(1) << s->t->shift);
}

/* ---- the header ------------------------------------------------------------- */

/* Returns the end of the header extensions; qc_header_read() has checked them. */
static uint64_t end_of_extensions(struct slack_search *s)
{
	struct qc_extension_walk w;

	qc_extension_walk_begin(&w, s->t);
	while (qc_extension_walk_next(&w))
		;
	return min_u64(w.at, w.limit);
}

static qc_err note_header_slack(struct slack_search *s)
{
	const struct qc_header *h = s->t->md.head;
	uint64_t end = geom_cluster(&h->geom), at;
	qc_err r = 0;

	if (h->version == 1)
		return 0;
	at = end_of_extensions(s);
	if (h->backing_offset && h->backing_offset >= at) {
		r = add_note(s, at, h->backing_offset, QC_SLACK_HEADER);
		at = h->backing_offset + h->backing_len;
	}
	return r ? r : add_note(s, at, end, QC_SLACK_HEADER);
}

/* ---- tables ----------------------------------------------------------------- */

static void cover_sectors(struct slack_search *s, uint64_t off, uint64_t len)
{
	uint64_t end = min_u64(off + len, s->window + WINDOW_BYTES);

	s->has_compressed = true;
	for (uint64_t at = max_u64(off - off % SECTOR, s->window); at < end; at += SECTOR) {
		uint64_t sector = (at - s->window) / SECTOR;
		uint64_t cluster = (at - s->window) >> s->t->shift;

		s->covered[sector / 8] |= (uint8_t)(1u << sector % 8);
		s->compressed[cluster / 8] |= (uint8_t)(1u << cluster % 8);
	}
}

static void cover_compressed(struct slack_search *s, const struct qc_metadata_item *l2)
{
	const struct geom *g = &s->t->md.head->geom;

	for (uint64_t i = 0; i < UINT64_C(1) << g->l2_bits; i++) {
		struct l2_entry e;

		if (!l2_entry_at(g, l2->bytes, i, &e) && e.kind == QC_COMPRESSED &&
		    e.host.v < s->t->file_bytes)
			cover_sectors(s, e.host.v, e.compressed_len);
	}
}

/* Returns true if the structure need not fill its last cluster. */
static bool find_slack_kind(enum qc_metadata_kind kind, enum qc_slack_of *of)
{
	static const struct {
		enum qc_metadata_kind kind;
		enum qc_slack_of of;
	} kinds[] = {
		{ QC_METADATA_L1_TABLE, QC_SLACK_L1_TABLE },
		{ QC_METADATA_SNAPSHOT_TABLE, QC_SLACK_SNAPSHOT_TABLE },
		{ QC_METADATA_LUKS_HEADER, QC_SLACK_LUKS_HEADER },
		{ QC_METADATA_BITMAP_DIRECTORY, QC_SLACK_BITMAP_DIRECTORY },
		{ QC_METADATA_BITMAP_TABLE, QC_SLACK_BITMAP_TABLE },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		*of = kinds[i].of;
		if (kinds[i].kind == kind)
			return true;
	}
	return false;
}

/* A qc_metadata_fn. */
static qc_err note_item_slack(void *arg, struct qc_metadata_item *item)
{
	struct slack_search *s = arg;
	enum qc_slack_of of;

	if (item->invalid || s->t->md.head->version == 1)
		return 0;
	if (item->kind == QC_METADATA_L2_TABLE)
		cover_compressed(s, item);
	if (s->window || !find_slack_kind(item->kind, &of))
		return 0;
	return add_note(s, item->off + item->len, cluster_end(s, item->off + item->len), of);
}

/* Notes the sectors of one cluster that no compressed cluster covers. */
static qc_err note_gaps(struct slack_search *s, uint64_t cluster)
{
	uint64_t at = s->window + (cluster << s->t->shift), end = at + (UINT64_C(1) << s->t->shift);
	uint64_t start = at;
	qc_err r = 0;

	for (; !r && at <= end; at += SECTOR) {
		uint64_t sector = (at - s->window) / SECTOR;

		if (at < end && !(s->covered[sector / 8] >> sector % 8 & 1))
			continue;
		r = add_note(s, start, at, QC_SLACK_COMPRESSED);
		start = at + SECTOR;
	}
	return r;
}

static qc_err search_window(struct slack_search *s)
{
	uint64_t bytes = min_u64(WINDOW_BYTES, s->t->file_bytes - s->window);
	uint64_t n = div_up(bytes, UINT64_C(1) << s->t->shift);
	qc_err r;

	memset(s->covered, 0, WINDOW_BYTES / SECTOR / 8);
	memset(s->compressed, 0, n / 8 + 1);
	r = qc_metadata_for_each(&s->t->md, QC_WALK_READ_L2, note_item_slack, s);
	for (uint64_t c = 0; !r && s->has_compressed && c < n; c++)
		if (s->compressed[c / 8] >> c % 8 & 1)
			r = note_gaps(s, c);
	return r;
}

static qc_err search_all(struct slack_search *s)
{
	uint64_t bits = WINDOW_BYTES / SECTOR / 8;
	qc_err r = note_header_slack(s);

	s->covered = malloc(bits);
	s->compressed = malloc((WINDOW_BYTES >> s->t->shift) / 8 + 1);
	if (!s->covered || !s->compressed)
		r = -ENOMEM;
	for (; !r && s->window < s->t->file_bytes; s->window += WINDOW_BYTES) {
		r = search_window(s);
		if (!s->has_compressed)
			break;
	}
	free(s->covered);
	free(s->compressed);
	return r;
}

/* ---- pieces ----------------------------------------------------------------- */

static int compare_notes(const void *a, const void *b)
{
	uint64_t x = ((const struct slack_note *)a)->host, y = ((const struct slack_note *)b)->host;

	return (x > y) - (x < y);
}

/* Appends notes in the order of the file.  In a damaged image they may overlap: each byte comes
 * once. */
static qc_err append_notes(struct slack_search *s, struct qc_pieces *out)
{
	uint64_t end = 0;
	qc_err r = 0;

	if (s->n)
		qsort(s->note, s->n, sizeof(*s->note), compare_notes);
	for (size_t i = 0; !r && i < s->n; i++) {
		uint64_t from = max_u64(s->note[i].host, end);
		uint64_t to = s->note[i].host + s->note[i].len;

		if (from >= to)
			continue;
		r = qc_pieces_add_data(out, s->t->md.file, from, to - from, s->note[i].of, false);
		end = to;
	}
	return r;
}

qc_err qc_slack_pieces(struct qc_tables *t, const struct qc_cluster_use *u, struct qc_pieces *out)
{
	struct slack_search s = { .t = t };
	uint64_t whole = t->file_bytes >> t->shift;
	qc_err r = search_all(&s);

	if (!r && whole < t->n && !(qc_cluster_use_of(u, whole) & QC_USE_REFERENCED))
		r = add_note(&s, whole << t->shift, t->file_bytes, QC_SLACK_FILE_END);
	if (!r)
		r = append_notes(&s, out);
	free(s.note);
	return r;
}

/* ---- the report ------------------------------------------------------------- */

qc_err qc_slack_report(struct qc_image *img, char **text, size_t *len)
{
	struct qc_text all = { 0 };
	struct qc_pieces p;
	struct qc_tables t;
	qc_err r = img->headers_only ? -EINVAL : qc_piece_search_run(img, qc_slack_pieces, &p, &t);

	if (r)
		return qc_no_outcome(r);
	qc_tables_close(&t);
	qc_text_add(&all, "{\"size\": %" PRIu64 ", \"pieces\": [", p.end);
	for (size_t i = 0; i < p.n; i++)
		qc_text_add(&all, "%s\n {\"offset\": %" PRIu64 ", \"image-offset\": %" PRIu64
			    ", \"length\": %" PRIu64 ", \"of\": \"%s\"}", i ? "," : "",
			    p.piece[i].at, p.piece[i].host, qc_pieces_len(&p, i),
			    qc_slack_name((enum qc_slack_of)p.piece[i].kind));
	qc_text_add(&all, "]}\n");
	qc_pieces_free(&p);
	return qc_text_end(&all, text, len);
}
