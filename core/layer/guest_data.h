/* SPDX-License-Identifier: MIT */
/*
 * guest_data.h - reads and writes guest data at its host offset, encrypted or not.
 *
 * All plain clusters of a layer are read and written through these two functions.
 * Without encryption each is one call of the file.
 */
#ifndef QC_GUEST_DATA_H
#define QC_GUEST_DATA_H

#include "layer/layer.h"

/*
 * qc_guest_data_read() - read guest data that is in one piece in the layer's data file
 * @guest:  guest offset of the first byte
 * @host:   its offset in l->data
 * @got:    out: bytes that came from the file; the rest is zeros
 *
 * Return: 0; -errno as qc_file_read() and qc_encrypted_read()
 */
static inline qc_err qc_guest_data_read(struct qc_layer *l, struct goff guest, struct hoff host,
					void *buf, size_t len, size_t *got)
{
	if (l->crypt)
		return qc_encrypted_read(l->crypt, l->data, guest, host, buf, len, got);
	return qc_file_read(l->data, host.v, buf, len, got);
}

/*
 * qc_guest_data_write() - write guest data in one piece
 * @data:  l->data, but open for writing (qc_writer.data)
 *
 * Return: 0; -errno as qc_file_write() and qc_encrypted_write()
 */
static inline qc_err qc_guest_data_write(struct qc_layer *l, struct qc_file *data,
					 struct goff guest, struct hoff host, const void *buf,
					 size_t len)
{
	if (l->crypt)
		return qc_encrypted_write(l->crypt, data, guest, host, buf, len);
	return qc_file_write(data, host.v, buf, len);
}

#endif
