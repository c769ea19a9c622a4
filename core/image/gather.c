/* SPDX-License-Identifier: MIT */
#include "image/gather.h"

#include "base/range.h"
#include "layer/context_fields.h"

/* Which gathered clusters to store. */
struct gather_wish {
	struct qc_image *img;
	uint64_t off, len;
	struct qc_gather *own; /* for a part at `off` of this gatherer; NULL */
	bool ended;
};

static uint64_t cluster_of(const struct qc_gather *g)
{
	return geom_cluster(&g->img->layer[0]->head.geom);
}

/* A backing file that is open for writing is no layer of another image (layer_table.h). */
static bool is_of_image(const struct qc_gather *g, const struct qc_image *img)
{
	return g->img->layer[0] == img->layer[0];
}

static bool overlaps_range(const struct qc_gather *g, uint64_t off, uint64_t len)
{
	if (off >= g->start + cluster_of(g))
		return false;
	return off >= g->start || len > g->start - off;
}

bool qc_gather_continues(const struct qc_gather *g, uint64_t off)
{
	uint64_t at = off - g->start;

	if (g->state != QC_GATHER_FILLING || off < g->start || at >= cluster_of(g))
		return false;
	return at == g->passed ||
	       (at > g->passed && g->gaps_are_zeros && g->nparts < GATHER_PARTS_MAX);
}

bool qc_gather_is_elsewhere(const struct qc_gather *g, uint64_t start)
{
	for (const struct qc_gather *o = g->img->ctx->gathers.first; o; o = o->next)
		if (o != g && o->state != QC_GATHER_EMPTY && o->start == start && is_of_image(o, g->img))
			return true;
	return false;
}

static bool is_wished_for(const struct gather_wish *w, const struct qc_gather *g, uint64_t last)
{
	if (g->state == QC_GATHER_EMPTY || g->serial > last)
		return false;
	if (g == w->own)
		return !qc_gather_continues(g, w->off);
	return is_of_image(g, w->img) && overlaps_range(g, w->off, w->len);
}

/* Stores a gathered cluster.  The lock is released meanwhile. */
static qc_err store_one(struct qc_gather_list *list, const struct gather_wish *w, struct qc_gather *g)
{
	bool ended = w->ended || (g == w->own && w->off >= g->start + cluster_of(g));
	qc_err r;

	g->state = QC_GATHER_STORING;
	pthread_mutex_unlock(&list->lock);
	r = g->store(g, ended);
	free(g->buf);
	g->buf = NULL;
	pthread_mutex_lock(&list->lock);
	g->state = QC_GATHER_EMPTY;
	g->error = g->error ? g->error : r;
	atomic_fetch_sub(&list->filled, 1);
	pthread_cond_broadcast(&list->stored);
	return r;
}

/* Stores the clusters that the wish is for, and waits for those that other threads store. */
static qc_err store_wished_for(const struct gather_wish *w)
{
	struct qc_gather_list *list = &w->img->ctx->gathers;
	struct qc_gather *g;
	uint64_t last;
	qc_err r = 0;

	if (!atomic_load(&list->filled))
		return 0;
	pthread_mutex_lock(&list->lock);
	last = list->serial;
	g = list->first;
	while (g) {
		if (!is_wished_for(w, g, last)) {
			g = g->next;
			continue;
		}
		if (g->state == QC_GATHER_STORING) {
			pthread_cond_wait(&list->stored, &list->lock);
		} else {
			qc_err one = store_one(list, w, g);

			r = r ? r : one;
		}
		g = list->first; /* the list may have changed */
	}
	pthread_mutex_unlock(&list->lock);
	return r;
}

qc_err qc_gather_store_range(struct qc_image *img, uint64_t off, uint64_t len)
{
	const struct gather_wish w = { .img = img, .off = off, .len = len };

	return store_wished_for(&w);
}

qc_err qc_gather_store_for_part(struct qc_gather *g, uint64_t off)
{
	const struct gather_wish w = { .img = g->img, .off = off, .len = 1, .own = g };

	return store_wished_for(&w);
}

qc_err qc_gather_take_error(struct qc_gather *g)
{
	struct qc_gather_list *list = &g->img->ctx->gathers;
	qc_err r;

	pthread_mutex_lock(&list->lock);
	r = g->error;
	g->error = 0;
	pthread_mutex_unlock(&list->lock);
	return r;
}

/* Returns an error of the layer that an image was not told yet.  That of @img is told now. */
static qc_err find_error(struct qc_image *img)
{
	struct qc_gather_list *list = &img->ctx->gathers;
	qc_err r = 0;

	pthread_mutex_lock(&list->lock);
	for (struct qc_gather *g = list->first; g; g = g->next) {
		if (!g->error || !is_of_image(g, img))
			continue;
		r = g->error;
		if (g->img == img)
			g->error = 0;
	}
	pthread_mutex_unlock(&list->lock);
	return r;
}

qc_err qc_gather_flush(struct qc_image *img, bool ended)
{
	const struct gather_wish w = { .img = img, .len = UINT64_MAX, .ended = ended };
	qc_err r, told;

	if (!atomic_load(&img->ctx->gathers.any))
		return 0;
	r = store_wished_for(&w);
	told = find_error(img);
	return r ? r : told;
}

void qc_gather_block(struct qc_image *img)
{
	struct qc_gather_list *list = &img->ctx->gathers;

	pthread_mutex_lock(&list->lock);
	list->blocks++;
	pthread_mutex_unlock(&list->lock);
	qc_gather_store_range(img, 0, UINT64_MAX);
}

void qc_gather_unblock(struct qc_image *img)
{
	struct qc_gather_list *list = &img->ctx->gathers;

	pthread_mutex_lock(&list->lock);
	list->blocks--;
	pthread_mutex_unlock(&list->lock);
}

struct qc_gather *qc_gather_of(struct qc_image *img, qc_gather_store_fn *store)
{
	struct qc_gather_list *list = &img->ctx->gathers;

	pthread_mutex_lock(&list->lock);
	if (!img->gather) {
		img->gather = calloc(1, sizeof(*img->gather));
		if (img->gather) {
			*img->gather = (struct qc_gather){ .img = img, .store = store,
							   .next = list->first };
			list->first = img->gather;
			atomic_store(&list->any, true);
		}
	}
	pthread_mutex_unlock(&list->lock);
	return img->gather;
}

void qc_gather_close(struct qc_image *img)
{
	struct qc_gather_list *list = &img->ctx->gathers;
	struct qc_gather **p = &list->first;

	if (!img->gather)
		return;
	qc_gather_flush(img, true); /* which logs its failure */
	pthread_mutex_lock(&list->lock);
	while (img->gather->state != QC_GATHER_EMPTY)
		pthread_cond_wait(&list->stored, &list->lock);
	while (*p != img->gather)
		p = &(*p)->next;
	*p = img->gather->next;
	pthread_mutex_unlock(&list->lock);
	free(img->gather);
}
