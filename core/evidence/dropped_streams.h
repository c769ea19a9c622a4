/* SPDX-License-Identifier: MIT */
/*
 * dropped_streams.h - finds compressed clusters that no table references any more.
 *
 * QEMU packs compressed clusters one behind the other, and never punches one of them.  So they
 * are in the gaps between live ones, and in clusters that nothing references.
 */
#ifndef QC_DROPPED_STREAMS_H
#define QC_DROPPED_STREAMS_H

#include "evidence/cluster_use.h"
#include "layer/layer.h"

struct qc_dropped_stream {
	uint64_t host;
	uint32_t len; /* bytes of compressed data */
};

struct qc_dropped_streams {
	struct qc_dropped_stream *at; /* ascending */
	size_t n, room;
	bool left_out; /* there are more than 65,536, or more than 4 Mi live ones */
};

/*
 * qc_dropped_streams_find() - try to decompress bytes where a dropped cluster may begin
 *
 * Tried are the ends of live streams and of found ones, and beginnings of clusters: not every
 * byte.  A stream is found if it ends by itself, makes exactly one cluster, and overlaps nothing
 * that is in use.
 * Return: 0; -ENOMEM; -EFBIG; an errno of the file
 */
qc_err qc_dropped_streams_find(struct qc_layer *l, struct qc_tables *t,
			       const struct qc_cluster_use *u, struct qc_dropped_streams *out);
void qc_dropped_streams_free(struct qc_dropped_streams *s);

/* Decompresses the stream at a host offset into @out, a cluster.  *len: its bytes.
 * Return: 0; -EIO it is none; -ENOMEM */
qc_err qc_dropped_streams_read(struct qc_layer *l, uint64_t host, uint8_t *out, uint32_t *len);

#endif
