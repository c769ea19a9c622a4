/* SPDX-License-Identifier: MIT */
/*
 * layer.h - one open file of a chain: an image, or the raw file at its bottom.
 *
 * A layer knows its own header and tables and nothing of the layers below it.
 * All images that name the same file share its layer; it is opened once.
 */
#ifndef QC_LAYER_H
#define QC_LAYER_H

#include "metadata/table_cache.h"
#include "base/inflight.h"
#include "format/header.h"
#include "base/log.h"
#include "io/external_file.h"
#include "layer/io_stats.h"
#include "layer/unlock.h"

struct qc_context;
struct qc_writer;

enum qc_format { QC_FORMAT_RAW, QC_FORMAT_QCOW };

/* A snapshot that somebody reads; it is not deleted meanwhile. */
struct qc_pin {
	uint64_t l1_offset;
	struct qc_pin *next;
};

struct qc_layer {
	/* Set at open, never changed. */
	struct qc_context *ctx;
	char *path; /* for messages */
	char *data_path; /* of an external data file; else NULL */
	enum qc_format format;
	struct qc_header head; /* of a raw file: zeros */
	_Atomic uint64_t size; /* of the disk; changed by a resize only */
	struct qc_file *file;
	struct qc_file *data; /* where guest data is: `file`, or the data file */
	struct qc_file_stat facts, data_facts; /* as they were at open */
	bool settled; /* the files had not been changed just before */
	bool headers_only;  /* its headers only, by one user */
	bool refused; /* headers_only at all the same: `head` is as far as it was read */
	uint32_t slice_bytes;
	struct qc_cache *tables; /* NULL: raw, or only headers_only at */
	struct qc_crypt_state *crypt; /* NULL: not encrypted, or only headers_only at */

	struct qc_mutex open_lock; /* making it writable; held across I/O */
	struct qc_inflight gate; /* requests on images of which it is the top */
	struct qc_io_stats io_stats; /* of the same requests */
	struct qc_writer *_Atomic writer; /* NULL: nobody writes; set once */
	atomic_bool stale;   /* somebody changed the file under us */
	atomic_uint errors_logged;

	/* The shelf's, and under its lock. */
	struct qc_layer *next;
	unsigned int users;
	unsigned int overlays; /* users to whom it is a backing file */
	bool written; /* it has a writer, or is about to */
	bool shelved;
	bool flushing; /* by the flusher: who is the last user waits */
	unsigned int flush_round;
	struct qc_pin *pins;
};

/* Opens the file at `place`, whose descriptor is the layer's from now on.
 * may_refer: an external data file may be opened.  flags: enum qc_open_flag; with
 * QC_OPEN_INSPECT *out is, on failure, what could be read, or untouched. */
qc_err qc_layer_open(struct qc_context *ctx, struct qc_file_location *place, enum qc_format format,
		     bool may_refer, unsigned int flags, struct qc_layer **out,
		     struct qc_reason *why);
void qc_layer_close(struct qc_layer *l);

/* -EACCES if it has a data file, but its format was only guessed. */
qc_err qc_layer_check_probed(const struct qc_layer *l, bool may_refer,
			      struct qc_reason *why);

/* Whether somebody has written to the files of the layer since they were
 * opened.  (A new name or mode is no change.) */
bool qc_layer_file_changed(const struct qc_layer *l);

/* The one door for damage: logs where it is and returns -EIO.  Of each layer
 * only the first few are logged. */
qc_err qc_layer_report_damage(struct qc_layer *l, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
