/* SPDX-License-Identifier: MIT */
/* writer_fields.h - the fields of a writer (writer.h), and the locks that guard them. */
#ifndef QC_WRITER_FIELDS_H
#define QC_WRITER_FIELDS_H

#include <stdatomic.h>

#include "layer/layer.h"
#include "metadata/metadata.h"
#include "metadata/pending_free.h"
#include "update/data_punch_fields.h"
#include "update/range_lock.h"

struct qc_bitmap_set;
struct qc_overlap_map;
struct qc_writer_client_ops;

enum { QC_WRITER_CLIENTS = 4 }; /* most that a writer can have */

struct qc_writer_client {
	const struct qc_writer_client_ops *ops;
	void *state;
};

struct qc_writer_clients {
	struct qc_writer_client client[QC_WRITER_CLIENTS]; /* constant once requests begin */
	unsigned int n;
	atomic_bool any_for_ranges; /* one of them wants range_changed() */
	atomic_bool first_change; /* first_change() of all has succeeded */
	atomic_bool urgent;	  /* relieve() is to be called */
};

struct qc_writer {
	struct qc_layer *layer;
	struct qc_file *file; /* the image file, open for writing */
	struct qc_file *data; /* file of the guest data: `file`, or the external data file */
	struct qc_metadata metadata; /* for functions that only read it */
	bool unmap;	      /* discard=unmap: punch clusters that become free */
	struct qc_range_locks range_locks;
	struct qc_mutex table_lock;	   /* making an L2 table; held across its I/O */
	struct qc_mutex resize_lock;	   /* one resize at a time; held across I/O */
	struct qc_mutex pending_free_lock; /* freeing pending extents; held across all of that */
	struct qc_mutex checkpoint_lock;   /* one checkpoint at a time; held across I/O */
	struct qc_alloc alloc;
	struct qc_data_punch data_punch;   /* empty without an external data file */
	struct qc_writer_clients clients;
	struct qc_overlap_map *overlap_map; /* NULL: the refcounts were checked and are right */
	struct qc_bitmap_set *_Atomic bitmaps; /* of bitmap/; NULL before the first change */
	atomic_bool aborted;		    /* see abort.h */
	atomic_bool frees_many;		    /* a checkpoint frees more extents than a program waits for */
	atomic_bool size_dirty;	   /* the size of the disk in the file is an older one */
	atomic_bool zeros_behind;  /* bytes behind the end of the disk read as zeros if it grows */
};

#endif
