/* SPDX-License-Identifier: MIT */
/*
 * context_fields.h - state that all images of a program share.
 *
 * Only the struct: image/context.c, which fills and frees it, stands above the flusher.
 */
#ifndef QC_CONTEXT_FIELDS_H
#define QC_CONTEXT_FIELDS_H

#include <errno.h>

#include "metadata/table_cache.h"
#include "compress/compress.h"
#include "compress/decompress.h"
#include "crypto/key_cache.h"
#include "base/lock.h"
#include "base/log.h"
#include "io/external_file.h"
#include "compress/cluster_cache.h"

enum { LAYER_TABLE_BUCKETS = 256 };

struct qc_flusher;
struct qc_gather;
struct qc_found_headers;
struct qc_header;
struct qc_layer;
struct qc_plan;
struct qc_busy_file;

/* Clusters that open images gather (image/gather.h). */
struct qc_gather_list {
	pthread_mutex_t lock;	 /* a leaf */
	pthread_cond_t stored;	 /* signalled when a cluster was stored */
	struct qc_gather *first; /* lock; one for each image that gathers */
	uint64_t serial;	 /* lock */
	unsigned int blocks;	 /* lock; while not 0 no cluster begins to fill */
	atomic_uint filled;	 /* gatherers that are not empty */
	atomic_bool any;	 /* there is or was a gatherer */
};

struct qc_context {
	/* The user's choices, constant. */
	struct qc_log log;
	qc_progress_fn *progress; /* NULL: not reported */
	qc_interrupted_fn *interrupted; /* NULL: never */
	struct qc_external_policy policy;
	enum qc_locking locking;
	enum qc_verifying verify;
	bool noatime;	 /* reading changes no access time */
	bool no_sync;	 /* no file is synced */
	bool direct_writes; /* as in struct qc_config */
	bool drop_bitmaps; /* the first change of an image removes its dirty bitmaps */
	bool unmap;	 /* punch holes into the image file for freed clusters */
	char *data_file; /* external data file that may be written; NULL */
	size_t cache_bytes;
	bool rescue;	       /* serve what a damaged image still holds; nothing is written */
	/* With `rescue`: finds the lost header of a layer.  Return: as qc_find_header(). */
	qc_err (*find_header)(struct qc_layer *l, struct qc_reason *why);
	struct qc_found_headers *found; /* of image/found_headers.c */
	/* The user's plan for the image that is opened by name, and qc_plan_apply(); or NULL. */
	struct qc_plan *plan;
	qc_err (*apply_plan)(const struct qc_plan *p, struct qc_file *f, struct qc_header *h,
			     struct qc_reason *why);
	bool plan_is_complete; /* nothing needs to be searched */
	bool doubtful_is_lost; /* with `rescue` */
	enum qc_lost lost;     /* what is read where bytes are lost */
	qc_unread_fn *unread;  /* NULL: all files could be read */
	void *unread_arg;
	qc_key_fn *key; /* NULL: there are no keys */
	void *key_arg;

	struct qc_budget budget; /* of all table caches */
	struct qc_decoder_pool *decoders;
	struct qc_encoder_pool *encoders;
	struct qc_cluster_cache *cluster_cache;
	struct qc_key_cache *key_cache; /* NULL: there are no keys */
	atomic_bool warned_noatime, warned_swappable_keys; /* logged once */
	_Atomic uint64_t images, layers, layers_opened, clusters_decompressed;

	struct qc_mutex open_lock;  /* starting the flusher */
	struct qc_flusher *flusher; /* open_lock; NULL before the first writer */
	struct qc_mutex layer_table_lock;
	struct qc_layer *layer_table[LAYER_TABLE_BUCKETS]; /* layer_table_lock; by device and inode */
	struct qc_busy_file *busy; /* layer_table_lock; files that are being opened or closed */
	pthread_cond_t idle; /* signalled when an entry leaves `busy`, or a flush ends */
	struct qc_gather_list gathers;
};

/* Returns -ECANCELED if the user has interrupted the work, else 0. */
static inline qc_err qc_context_interrupted(const struct qc_context *ctx)
{
	return ctx->interrupted && ctx->interrupted(ctx->log.arg) ? -ECANCELED : 0;
}

#endif
