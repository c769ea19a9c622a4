/* SPDX-License-Identifier: MIT */
/*
 * context.h - what all images of a program share: the user's choices, decoders,
 * unpacked clusters, the budget of the table caches, and the shelf of open
 * layers (layer_table.h).
 */
#ifndef QC_CONTEXT_H
#define QC_CONTEXT_H

#include "metadata/table_cache.h"
#include "compress/decompress.h"
#include "crypto/key_cache.h"
#include "base/lock.h"
#include "base/log.h"
#include "io/external_file.h"
#include "compress/cluster_cache.h"

enum { SHELF_BUCKETS = 256 };

struct qc_flusher;
struct qc_layer;
struct qc_busy_file;

struct qc_context {
	struct qc_log log;
	qc_progress_fn *progress; /* NULL: nobody looks */
	struct qc_external_policy policy;
	enum qc_locking locking;
	enum qc_verifying verify;
	bool noatime;	 /* files are read without a trace */
	atomic_bool noatime_failed; /* and that was said */
	bool unmap;	 /* give the space of discarded clusters back */
	char *data_file; /* that may be written; NULL */
	size_t cache_bytes;
	struct qc_budget budget;
	struct qc_decoder_pool *codec;
	struct qc_cluster_cache *unpack;
	qc_key_fn *key;		/* NULL: there are none */
	void *key_arg;
	struct qc_key_cache *keyring; /* where there is `key` */
	atomic_bool said_unlocked;
	_Atomic uint64_t images, layers, layers_opened, unpacked;

	struct qc_mutex open_lock; /* starting the flusher */
	struct qc_flusher *flusher; /* open_lock; once somebody has written */
	struct qc_mutex layer_table_lock;
	struct qc_layer *shelf[SHELF_BUCKETS]; /* layer_table_lock; by device and inode */
	struct qc_busy_file *busy; /* layer_table_lock; files being opened or closed */
	pthread_cond_t idle;  /* one of them is that no more */
};

#endif
