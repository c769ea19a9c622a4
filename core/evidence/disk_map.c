/* SPDX-License-Identifier: MIT */
#include "evidence/disk_map.h"

#include <errno.h>
#include <inttypes.h>

#include "base/outcome.h"
#include "evidence/map_text.h"
#include "request/request.h"

/* Steps of one request in flight: a drain waits for no more. */
enum { STEPS_IN_FLIGHT = 256 };

/* ---- the walk --------------------------------------------------------------- */

/* Returns the reason for a compressed cluster after an attempt to decompress it. */
static enum qc_grade_reason try_compressed(const struct qc_step *s, uint8_t *cluster)
{
	qc_err r = qc_read_step(s, cluster);

	if (r == -EIO)
		return QC_REASON_NOT_DECOMPRESSED;
	return s->reason;
}

/* Returns the reason for a step whose tables are damaged, and that no grade withholds. */
static enum qc_grade_reason reason_of_damage(const struct qc_step *s)
{
	if (s->reason != QC_REASON_NONE && qc_grade_map_grade(s->reason) != QC_GRADE_DOUBTFUL)
		return s->reason;
	switch (s->x.damage) {
	case QC_DAMAGE_L1_UNREADABLE:
	case QC_DAMAGE_L2_UNREADABLE:
		return QC_REASON_UNREAD_TABLE;
	case QC_DAMAGE_NO_L1_ENTRY:
		return s->reason != QC_REASON_NONE ? s->reason : QC_REASON_NO_L1_ENTRY;
	case QC_DAMAGE_L1_ENTRY:
		return QC_REASON_L1_ENTRY;
	case QC_DAMAGE_L2_ENTRY:
		break;
	}
	return QC_REASON_L2_ENTRY;
}

static enum qc_grade_reason reason_of_step(const struct qc_step *s, uint8_t *cluster)
{
	if (s->x.kind == QC_DAMAGED)
		return reason_of_damage(s);
	if (s->x.kind == QC_COMPRESSED)
		return try_compressed(s, cluster);
	return s->reason;
}

static qc_err walk_steps(struct qc_image *img, uint64_t *at, uint8_t *cluster, qc_disk_area_fn *fn,
			 void *arg)
{
	struct qc_walk w;
	qc_err r = 0;

	qc_walk_begin(&w, img, *at, qc_size(img));
	for (unsigned int i = 0; !r && i < STEPS_IN_FLIGHT && w.at < qc_size(img); i++) {
		struct qc_step s;

		r = qc_walk_step(&w, &s);
		if (!r)
			r = fn(arg, s.x.len, reason_of_step(&s, cluster));
	}
	*at = w.at;
	return r;
}

static size_t largest_cluster(const struct qc_image *img)
{
	size_t most = 1;

	for (unsigned int i = 0; i < img->depth; i++)
		if (img->layer[i]->format == QC_FORMAT_QCOW)
			most = max_u64(most, geom_cluster(&img->layer[i]->head.geom));
	return most;
}

qc_err qc_disk_map_for_each(struct qc_image *img, qc_disk_area_fn *fn, void *arg)
{
	AUTO_FREE uint8_t *cluster = malloc(largest_cluster(img));
	qc_err r = cluster ? 0 : -ENOMEM;

	for (uint64_t at = 0; !r && at < qc_size(img);) {
		struct qc_inflight_token token = qc_inflight_begin(&img->layer[0]->inflight);

		r = walk_steps(img, &at, cluster, fn, arg);
		qc_inflight_end(&img->layer[0]->inflight, token);
	}
	return r;
}

uint64_t qc_disk_map_sum(const struct qc_disk_sums *s, enum qc_grade grade)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < QC_REASONS; i++)
		if (qc_grade_map_grade((enum qc_grade_reason)i) == grade)
			sum += s->bytes[i];
	return sum;
}

/* ---- the mapfile ------------------------------------------------------------ */

struct disk_map {
	struct qc_map_text text;
	struct qc_disk_sums sums;
};

static char status_of(enum qc_grade grade)
{
	static const char status[] = {
		[QC_GRADE_GOOD] = '+',	 [QC_GRADE_DOUBTFUL] = '?', [QC_GRADE_ELSEWHERE] = '*',
		[QC_GRADE_UNREAD] = '/', [QC_GRADE_LOST] = '-',
	};

	return status[grade];
}

/* A qc_disk_area_fn. */
static qc_err add_to_disk_map(void *arg, uint64_t len, enum qc_grade_reason reason)
{
	struct disk_map *m = arg;

	qc_map_text_add(&m->text, len, status_of(qc_grade_map_grade(reason)));
	m->sums.bytes[reason] += len;
	return m->text.areas.failed ? -ENOMEM : 0;
}

qc_err qc_rescue_map(struct qc_image *img, char **text, size_t *len)
{
	struct disk_map m = { 0 };
	struct qc_text head = { 0 };
	qc_err r;

	if (img->headers_only)
		return -EINVAL;
	r = qc_disk_map_for_each(img, add_to_disk_map, &m);
	for (unsigned int i = 0; i < QC_REASONS; i++) {
		enum qc_grade_reason reason = (enum qc_grade_reason)i;

		if (m.sums.bytes[i])
			qc_text_add(&head, "# %c %" PRIu64 " bytes: %s\n",
				    status_of(qc_grade_map_grade(reason)), m.sums.bytes[i],
				    qc_grade_map_text(reason));
	}
	if (!r)
		r = qc_map_text_end(&m.text, &head, text, len);
	else
		free(m.text.areas.bytes);
	free(head.bytes);
	return qc_no_outcome(r);
}
