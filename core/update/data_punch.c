/* SPDX-License-Identifier: MIT */
#include "update/data_punch.h"

#include "base/range.h"
#include "qcow_array.h"
#include "update/writer_fields.h"

/* The range that is punched under one range lock: allocating writes there wait for so long. */
enum { PUNCH_BYTES_MAX = 64 * 1024 * 1024 };

void qc_data_punch_init(struct qc_data_punch *p)
{
	pthread_mutex_init(&p->lock, NULL);
	p->pending = p->taken = (struct qc_punch_queue){ 0 };
}

void qc_data_punch_destroy(struct qc_data_punch *p)
{
	free(p->pending.extent);
	free(p->taken.extent);
	pthread_mutex_destroy(&p->lock);
}

/* ---- queues --------------------------------------------------------------- */

/* Adds an extent, merged with the last one if they are adjacent. */
static void add_to_punch_queue(struct qc_punch_queue *q, uint64_t off, uint64_t len)
{
	struct qc_punch_extent *last = q->n ? &q->extent[q->n - 1] : NULL;

	if (!len)
		return;
	if (last && last->len && last->off + last->len == off)
		last->len += len;
	else if (!array_reserve(&q->extent, &q->capacity, q->n + 1, sizeof(*q->extent)))
		q->extent[q->n++] = (struct qc_punch_extent){ off, len };
}

/* Removes [off, end) from all extents.  The rest behind @end becomes a new extent. */
static void cut_from_punch_queue(struct qc_punch_queue *q, uint64_t off, uint64_t end)
{
	for (size_t i = 0, n = q->n; i < n; i++) {
		struct qc_punch_extent x = q->extent[i];
		uint64_t x_end = x.off + x.len;

		if (x.off >= end || x_end <= off)
			continue;
		if (x.off >= off) { /* nothing is left before the range */
			q->extent[i].off = min_u64(end, x_end);
			q->extent[i].len = x_end - q->extent[i].off;
			continue;
		}
		q->extent[i].len = off - x.off;
		if (x_end > end)
			add_to_punch_queue(q, end, x_end - end);
	}
}

void qc_data_punch_later(struct qc_writer *w, uint64_t off, uint64_t len)
{
	pthread_mutex_lock(&w->data_punch.lock);
	add_to_punch_queue(&w->data_punch.pending, off, len);
	pthread_mutex_unlock(&w->data_punch.lock);
}

void qc_data_punch_cancel(struct qc_writer *w, uint64_t off, uint64_t len)
{
	pthread_mutex_lock(&w->data_punch.lock);
	cut_from_punch_queue(&w->data_punch.pending, off, off + len);
	cut_from_punch_queue(&w->data_punch.taken, off, off + len);
	pthread_mutex_unlock(&w->data_punch.lock);
}

bool qc_data_punch_is_pending(struct qc_writer *w)
{
	bool pending;

	pthread_mutex_lock(&w->data_punch.lock);
	pending = w->data_punch.pending.n;
	pthread_mutex_unlock(&w->data_punch.lock);
	return pending;
}

/* ---- checkpoints ---------------------------------------------------------- */

void qc_data_punch_take(struct qc_writer *w)
{
	struct qc_data_punch *p = &w->data_punch;

	pthread_mutex_lock(&p->lock);
	free(p->taken.extent);
	p->taken = p->pending;
	p->pending = (struct qc_punch_queue){ 0 };
	pthread_mutex_unlock(&p->lock);
}

void qc_data_punch_requeue(struct qc_writer *w)
{
	struct qc_data_punch *p = &w->data_punch;

	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < p->taken.n; i++)
		add_to_punch_queue(&p->pending, p->taken.extent[i].off, p->taken.extent[i].len);
	p->taken.n = 0;
	pthread_mutex_unlock(&p->lock);
}

bool qc_data_punch_is_taken(struct qc_writer *w)
{
	bool taken;

	pthread_mutex_lock(&w->data_punch.lock);
	taken = w->data_punch.taken.n;
	pthread_mutex_unlock(&w->data_punch.lock);
	return taken;
}

/* Returns the front piece of the taken extent @i, up to PUNCH_BYTES_MAX; of length 0 if there is
 * none.  With @remove the piece is no longer queued. */
static struct qc_punch_extent front_of_taken_extent(struct qc_data_punch *p, size_t i, bool remove)
{
	struct qc_punch_extent x = { 0 };

	pthread_mutex_lock(&p->lock);
	if (i < p->taken.n) {
		x = p->taken.extent[i];
		x.len = min_u64(x.len, PUNCH_BYTES_MAX);
		if (remove) {
			p->taken.extent[i].off += x.len;
			p->taken.extent[i].len -= x.len;
		}
	}
	pthread_mutex_unlock(&p->lock);
	return x;
}

/* Punches the front piece of a taken extent.  Writers that link clusters wait meanwhile, or have
 * removed them from the extent before. */
static void punch_front(struct qc_writer *w, size_t i, struct qc_punch_extent front)
{
	uint64_t cs = geom_cluster(&w->layer->head.geom);
	struct qc_locked_range range;
	struct qc_punch_extent x;

	qc_range_lock(&w->range_locks, &range, front.off / cs * cs,
		      round_up(front.off + front.len, cs));
	x = front_of_taken_extent(&w->data_punch, i, false);
	if (x.off == front.off && x.len <= front.len) {
		x = front_of_taken_extent(&w->data_punch, i, true);
		if (x.len)
			qc_file_punch(w->data, x.off, x.len);
	}
	qc_range_unlock(&w->range_locks, &range);
}

void qc_data_punch_run(struct qc_writer *w)
{
	struct qc_data_punch *p = &w->data_punch;
	struct qc_punch_extent front;
	bool more = true;

	/* A writer that removes a range in the middle adds extents behind. */
	for (size_t i = 0; more; i++) {
		while ((front = front_of_taken_extent(p, i, false)).len)
			punch_front(w, i, front);
		pthread_mutex_lock(&p->lock);
		more = i + 1 < p->taken.n;
		if (!more)
			p->taken.n = 0;
		pthread_mutex_unlock(&p->lock);
	}
}
