/* SPDX-License-Identifier: MIT */
#include "image/found_headers.h"

#include <errno.h>

#include "rescue/find_header.h"
#include "rescue/plan.h"

struct found_header {
	struct qc_file_stat of; /* the file then */
	qc_err result;
	struct qc_header head;
	struct qc_reason why;
	struct found_header *next;
};

struct qc_found_headers {
	pthread_mutex_t lock; /* a leaf; held over the search */
	struct found_header *first;
};

static bool is_same_state(const struct qc_file_stat *a, const struct qc_file_stat *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

/* Searches a file, and remembers the result.  NULL: no memory. */
static struct found_header *search_file(struct qc_layer *l, const struct qc_file_stat *now)
{
	struct qc_context *ctx = l->ctx;
	struct qc_found_headers *all = ctx->found;
	struct found_header *x = calloc(1, sizeof(*x));
	struct qc_scan_progress progress = { ctx->progress, ctx->log.arg, l->path };

	if (!x)
		return NULL;
	x->of = *now;
	x->result = qc_find_header(l->file, &ctx->budget, l->planned && ctx->plan->has[QC_PLAN_CLUSTER_SIZE] ?
				   ctx->plan->head.geom.cluster_bits : 0, &progress, &x->head, &x->why);
	x->next = all->first;
	all->first = x;
	return x;
}

qc_err qc_found_headers_get(struct qc_layer *l, struct qc_reason *why)
{
	struct qc_found_headers *all = l->ctx->found;
	struct found_header *x;
	struct qc_file_stat now;
	qc_err r = qc_file_stat(l->file, &now);

	if (r)
		return qc_fail_errno(why, r, NULL);
	pthread_mutex_lock(&all->lock);
	for (x = all->first; x && !is_same_state(&x->of, &now); x = x->next)
		;
	if (!x)
		x = search_file(l, &now);
	if (x) {
		r = x->result;
		*why = x->why;
		if (!r)
			l->head = x->head;
	}
	pthread_mutex_unlock(&all->lock);
	return x ? r : qc_fail(why, -ENOMEM, "out of memory");
}

qc_err qc_found_headers_new(struct qc_found_headers **out)
{
	struct qc_found_headers *all = calloc(1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	pthread_mutex_init(&all->lock, NULL);
	*out = all;
	return 0;
}

void qc_found_headers_free(struct qc_found_headers *all)
{
	if (!all)
		return;
	while (all->first) {
		struct found_header *x = all->first;

		all->first = x->next;
		free(x);
	}
	pthread_mutex_destroy(&all->lock);
	free(all);
}
