/* SPDX-License-Identifier: MIT */
#include "layer/context_fields.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "image/flusher.h"
#include "image/found_headers.h"
#include "rescue/plan.h"

#define CACHE_BYTES_DEFAULT (32 * MIB)

static char *without_slashes(const char *path)
{
	char *copy = strdup(path);

	for (size_t n = copy ? strlen(copy) : 0; n > 1 && copy[n - 1] == '/'; n--)
		copy[n - 1] = 0;
	return copy;
}

static qc_err copy_remaps(struct qc_external_policy *p, const struct qc_path_map *from, size_t n)
{
	p->path_maps = calloc(n + 1, sizeof(*p->path_maps));
	if (!p->path_maps)
		return -ENOMEM;
	for (; p->npath_maps < n; p->npath_maps++, from++) {
		struct qc_path_map *to = &p->path_maps[p->npath_maps];

		to->old_prefix = without_slashes(from->old_prefix);
		to->new_prefix = without_slashes(from->new_prefix);
		if (!to->old_prefix || !to->new_prefix)
			return -ENOMEM;
	}
	return 0;
}

qc_err qc_context_new(const struct qc_config *config, struct qc_context **out)
{
	struct qc_context *ctx = calloc(1, sizeof(*ctx));
	qc_err r;

	if (!ctx)
		return -ENOMEM;
	ctx->log = (struct qc_log){ config->log, config->log_arg, config->log_max };
	ctx->progress = config->progress;
	ctx->interrupted = config->interrupted;
	ctx->policy.refs = config->refs;
	ctx->locking = config->locking;
	ctx->verify = config->verify;
	ctx->noatime = config->noatime;
	ctx->no_sync = config->no_sync;
	ctx->direct_writes = config->direct_writes;
	ctx->drop_bitmaps = config->drop_bitmaps;
	ctx->unmap = !config->keep_discarded;
	ctx->data_file = config->data_file ? strdup(config->data_file) : NULL;
	ctx->rescue = config->rescue;
	ctx->find_header = qc_found_headers_get;
	ctx->apply_plan = qc_plan_apply;
	ctx->doubtful_is_lost = config->doubtful_is_lost;
	ctx->lost = config->lost;
	ctx->unread = config->unread;
	ctx->unread_arg = config->unread_arg;
	ctx->key = config->key;
	ctx->key_arg = config->key_arg;
	ctx->cache_bytes = config->cache_bytes ? config->cache_bytes : CACHE_BYTES_DEFAULT;
	ctx->budget.limit = ctx->cache_bytes;
	qc_mutex_init(&ctx->layer_table_lock, QC_RANK_LAYER_TABLE);
	pthread_cond_init(&ctx->idle, NULL);
	pthread_mutex_init(&ctx->gathers.lock, NULL);
	pthread_cond_init(&ctx->gathers.stored, NULL);
	qc_mutex_init(&ctx->open_lock, QC_RANK_OPEN);
	r = copy_remaps(&ctx->policy, config->path_maps, config->npath_maps);
	if (!r)
		r = qc_decoder_pool_new(&ctx->decoders);
	if (!r)
		r = qc_encoder_pool_new(config->compress_level, &ctx->encoders);
	if (!r)
		r = qc_cluster_cache_new(&ctx->cluster_cache);
	if (!r && ctx->rescue)
		r = qc_found_headers_new(&ctx->found);
	if (!r && ctx->key)
		r = qc_key_cache_new(&ctx->key_cache);
	if (r)
		qc_context_free(ctx);
	else
		*out = ctx;
	return r;
}

qc_err qc_rescue_set_plan(struct qc_context *ctx, const char *text, size_t len,
			  struct qc_reason *why)
{
	qc_err r = ctx->rescue && !ctx->plan ? 0 : -EINVAL;

	if (r)
		return qc_fail(why, r, "plan: there is one, or nothing is to be rescued");
	r = qc_plan_parse(text, len, &ctx->plan, why);
	ctx->plan_is_complete = !r && qc_plan_is_complete(ctx->plan);
	return r;
}

void qc_context_free(struct qc_context *ctx)
{
	qc_flusher_stop(ctx->flusher);
	assert(!ctx->layers);
	for (size_t i = 0; ctx->policy.path_maps && i <= ctx->policy.npath_maps; i++) {
		free((char *)ctx->policy.path_maps[i].old_prefix);
		free((char *)ctx->policy.path_maps[i].new_prefix);
	}
	free(ctx->policy.path_maps);
	qc_found_headers_free(ctx->found);
	qc_plan_free(ctx->plan);
	qc_cluster_cache_free(ctx->cluster_cache);
	qc_decoder_pool_free(ctx->decoders);
	qc_encoder_pool_free(ctx->encoders);
	qc_key_cache_free(ctx->key_cache);
	qc_mutex_destroy(&ctx->open_lock);
	pthread_cond_destroy(&ctx->gathers.stored);
	pthread_mutex_destroy(&ctx->gathers.lock);
	pthread_cond_destroy(&ctx->idle);
	qc_mutex_destroy(&ctx->layer_table_lock);
	free(ctx->data_file);
	free(ctx);
}

void qc_get_counters(struct qc_context *ctx, struct qc_counters *out)
{
	*out = (struct qc_counters){
		.layers_open = ctx->layers,
		.layers_opened = ctx->layers_opened,
		.table_loads = ctx->budget.loads,
		.table_bytes = ctx->budget.used,
		.clusters_decompressed = ctx->clusters_decompressed,
	};
}
