/* SPDX-License-Identifier: MIT */
/*
 * guest_data.h - bytes of the guest, where the file of a layer holds them.
 *
 * All that is neither table nor compressed goes through here, since it may be
 * encrypted.  Where it is not, it is one call to the file.
 */
#ifndef QC_GUEST_DATA_H
#define QC_GUEST_DATA_H

#include "update/writer.h"

qc_err qc_encrypted_read(struct qc_layer *l, struct goff at, struct hoff host, void *buf,
			      size_t len, size_t *got);
qc_err qc_encrypted_write(struct qc_writer *w, struct goff at, struct hoff host,
			       const void *buf, size_t len);

/* The bytes at guest offset `at` stand at `host`, in one piece.  As qc_file_read:
 * *got says how much came from the file. */
static inline qc_err qc_guest_data_read(struct qc_layer *l, struct goff at, struct hoff host,
				  void *buf, size_t len, size_t *got)
{
	if (l->unlocked)
		return qc_encrypted_read(l, at, host, buf, len, got);
	return qc_file_read(l->data, host.v, buf, len, got);
}

static inline qc_err qc_guest_data_write(struct qc_writer *w, struct goff at, struct hoff host,
				   const void *buf, size_t len)
{
	if (w->layer->unlocked)
		return qc_encrypted_write(w, at, host, buf, len);
	return qc_file_write(w->data, host.v, buf, len);
}

#endif
