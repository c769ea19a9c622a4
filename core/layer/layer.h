/* SPDX-License-Identifier: MIT */
/*
 * layer.h - one open file of a chain: an image, or the raw file at its bottom.
 *
 * A layer knows its own header and tables, and no other layer.  Images that have a file
 * in common share its layer (image/layer_table.h), so that it is opened and cached once.
 */
#ifndef QC_LAYER_H
#define QC_LAYER_H

#include "layer/layer_fields.h"
#include "layer/layer_key.h"

/*
 * qc_layer_open() - open one file of a chain
 * @at   :      the file; its descriptor belongs to the layer from then on
 * @format:     raw, or QCOW of any version
 * @may_refer:  an external data file may be opened
 * @flags:      QC_OPEN_HEADERS_ONLY, QC_OPEN_INSPECT, and QC_OPEN_METADATA
 * @out:        with QC_OPEN_INSPECT also set on failure, if the file could be opened
 *
 * Takes QEMU's locks for reading, and asks for the key of an encrypted image.
 * Return: 0; as qc_open().
 */
qc_err qc_layer_open(struct qc_context *ctx, struct qc_file_location *at, enum qc_format format,
		     bool may_refer, unsigned int flags, struct qc_layer **out,
		     struct qc_reason *why);

/* Replaces the reason in *@why, which says that another program has locked @file, if an image that
 * is open in this context has locked it.  @l itself is not meant. */
void qc_layer_explain_lock(const struct qc_layer *l, struct qc_file *file, struct qc_reason *why);

/* A flag for qc_layer_open() beside enum qc_open_flag: guest data is not accessed, so
 * neither the external data file nor a key is needed. */
#define QC_OPEN_METADATA (1u << 16)

/* The plan of the context, if it has one, is for this file. */
#define QC_OPEN_PLANNED (1u << 17)

void qc_layer_close(struct qc_layer *l);

/* Makes all later reads of the file see another L1 table; NULL: that of the file.  Only with
 * qc_config.rescue, before a table is read.  The caller keeps @patch until the layer is closed. */
void qc_layer_set_patch(struct qc_layer *l, const struct qc_file_patch *patch);

/* Returns true if the user lets the data file that an image records be written.  *path: where it is
 * now, absolute; NULL: where the image says. */
bool qc_layer_may_write_data_file(const struct qc_context *ctx, const char *recorded,
				  const char **path);

/* Returns -EACCES, and why, if the image has an external data file that must not be opened
 * because the format of the image was probed. */
qc_err qc_layer_check_probed(const struct qc_layer *l, bool may_refer,
			      struct qc_reason *why);

/* Returns true if another program has written to a file of the layer since it was opened.
 * A new name or mode of the file is no change. */
bool qc_layer_file_changed(const struct qc_layer *l);

/* Logs that an image file is damaged or cannot be used, and where.  Every report of damage ends
 * here; a lookup that only finds damage returns it as an extent.  Logs only the first errors of
 * each layer.
 * Return: -EIO. */
qc_err qc_layer_report_damage(struct qc_layer *l, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Logs that a request could not change a guest range, with the reason @r.  Counts among the
 * first errors of the layer, too. */
void qc_layer_report_write_error(struct qc_layer *l, uint64_t off, uint64_t len, qc_err r);

#endif
