/* SPDX-License-Identifier: MIT */
/* layer_fields.h - the fields of a layer, and when they change. */
#ifndef QC_LAYER_FIELDS_H
#define QC_LAYER_FIELDS_H

#include "base/inflight.h"
#include "base/lock.h"
#include "base/log.h"
#include "format/header.h"
#include "io/external_file.h"
#include "io/patched_file.h"
#include "io/unread_areas.h"
#include "io/watched_file.h"
#include "layer/io_stats.h"
#include "metadata/table_cache.h"

struct qc_crypt_state;
struct qc_context;
struct qc_layer_rescue;
struct qc_writer;

enum qc_format { QC_FORMAT_RAW, QC_FORMAT_QCOW };

/* A snapshot or a bitmap that is open: it cannot be deleted or renamed. */
struct qc_pin {
	uint64_t l1_offset; /* of a bitmap: an odd number for its name */
	struct qc_pin *next;
};

/* State of a layer in the table of open layers (image/layer_table.c), under its lock. */
struct qc_layer_entry {
	struct qc_layer *next; /* in the same bucket */
	unsigned int users;    /* images that the layer is part of */
	unsigned int backing_users; /* those of them in which it is a backing file */
	bool has_writer;       /* it has a writer, or is about to get one */
	bool listed;	       /* qc_layer_get() finds it */
	bool flushing;	       /* the flusher uses it: the last user waits before closing it */
	unsigned int flush_round; /* of the flusher, in which it was flushed last */
	struct qc_pin *pins;
};

struct qc_layer {
	/* Set when the layer is opened, and constant from then on. */
	struct qc_context *ctx;
	char *path;	 /* for messages */
	char *data_path; /* of an external data file; else NULL */
	enum qc_format format;
	struct qc_file *file;
	struct qc_file *data; /* holds the guest data: `file`, or the external data file */
	struct qc_file_stat stat_at_open, data_stat_at_open;
	struct qc_watch watch, data_watch; /* of both files, and of the writer's */
	/* Areas of both files that could not be read when they were copied; NULL: none. */
	struct qc_unread_areas *unread, *data_unread;
	struct qc_file *filled; /* `file` with zeros there, for graded tables; NULL */
	/* With qc_config.rescue: `file` and `filled` as files whose L1 table may be mended. */
	struct qc_patched_file *patched, *patched_filled;
	bool header_found;   /* the header is lost, and was found by content */
	bool planned;	     /* the plan of the context tells where the tables are */
	bool times_reliable; /* a later change of a file is seen by its times */
	bool headers_only;   /* QC_OPEN_HEADERS_ONLY: not in the table of open layers */
	bool refused;	     /* QC_OPEN_INSPECT: opening failed, and `head` is incomplete */
	uint32_t slice_bytes;
	struct qc_cache *tables;      /* L1 and L2; NULL: a raw file, or headers only */
	struct qc_crypt_state *crypt; /* NULL: not encrypted, or headers only */

	/* Changed by the writer, in a drained section. */
	struct qc_header head; /* of a raw file: zeros */
	_Atomic uint64_t size; /* of the disk */

	/* A slice that is dirty may have a link to a cluster that was not allocated, or not
	 * written, before the last sync.  Set under the lock of the slot with the link. */
	atomic_bool has_new_links;
	_Atomic uint64_t map_version; /* raised after each change of an L1 or L2 entry */

	struct qc_mutex open_lock;   /* one thread makes the layer writable; held across I/O */
	struct qc_layer_rescue *rescue; /* open_lock; of rescue/grade.c; NULL: not made yet */
	struct qc_inflight inflight; /* requests on images of which it is the top */
	struct qc_io_stats io_stats; /* of these requests */
	struct qc_writer *_Atomic writer; /* NULL: read-only; set once */
	atomic_bool stale; /* another program changed the file: reads fail */
	atomic_uint errors_logged;
	atomic_int preallocation; /* of file_holes.c */

	struct qc_layer_entry table;
};

#endif
