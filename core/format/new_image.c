/* SPDX-License-Identifier: MIT */
#include "format/new_image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/byteorder.h"
#include "base/log.h"
#include "base/range.h"

enum {
	CLUSTER_BITS = 16, /* unless the disk is larger than 2 PiB */
	HEADER_BYTES = 112,
	REFTABLE_CLUSTER = 1,
	BLOCK_CLUSTER,
	L1_CLUSTER,
};

/* The L1 table of a disk that has no size could not be told from none. */
static qc_err lay_out(uint64_t size, struct geom *g)
{
	*g = (struct geom){ .layout = LAYOUT_V3, .cluster_bits = CLUSTER_BITS, .entry_bits = 3 };
	for (;; g->cluster_bits++) {
		if (g->cluster_bits > CLUSTER_BITS_MAX)
			return -EFBIG;
		g->l2_bits = g->cluster_bits - g->entry_bits;
		if (geom_l1_need(g, size) <= L1_ENTRIES_MAX)
			break;
	}
	g->l1_entries = (uint32_t)max_u64(geom_l1_need(g, size), 1);
	g->l1_offset = L1_CLUSTER * geom_cluster(g);
	return 0;
}

/* Its end. */
static uint64_t put_extension(uint8_t *buf, uint64_t at, uint32_t magic, const char *text)
{
	size_t n = strlen(text);

	be32_to(buf + at, magic);
	be32_to(buf + at + 4, (uint32_t)n);
	memcpy(buf + at + 8, text, n);
	return round_up(at + 8 + n, 8);
}

static void put_header(uint8_t *buf, const struct geom *g, uint64_t size, const char *backing,
		       const char *format)
{
	uint64_t at;

	be32_to(buf + HEAD_MAGIC, QCOW_MAGIC);
	be32_to(buf + HEAD_VERSION, 3);
	be32_to(buf + HEAD_CLUSTER_BITS, g->cluster_bits);
	be64_to(buf + HEAD_SIZE, size);
	be32_to(buf + HEAD_L1_ENTRIES, g->l1_entries);
	be64_to(buf + HEAD_L1_OFFSET, g->l1_offset);
	be64_to(buf + HEAD_REFTABLE_OFFSET, REFTABLE_CLUSTER * geom_cluster(g));
	be32_to(buf + HEAD_REFTABLE_CLUSTERS, 1);
	be32_to(buf + HEAD_REFCOUNT_ORDER, REFCOUNT_ORDER_V2);
	be32_to(buf + HEAD_LENGTH, HEADER_BYTES);
	at = put_extension(buf, HEADER_BYTES, EXT_BACKING_FORMAT, format);
	at = put_extension(buf, at, EXT_END, "");
	be64_to(buf + HEAD_BACKING_OFFSET, at);
	be32_to(buf + HEAD_BACKING_LEN, (uint32_t)strlen(backing));
	memcpy(buf + at, backing, strlen(backing));
}

/* The first clusters of the file are counted once; one block is enough for the
 * largest L1 table. */
static void put_counts(uint8_t *block, uint64_t clusters)
{
	for (uint64_t i = 0; i < clusters; i++)
		be16_to(block + i * 2, 1);
}

/* All but the L1 table, which is zeros as the file grows. */
static qc_err write_clusters(struct qc_file *f, const struct geom *g, uint8_t *head,
			     uint8_t *buf)
{
	uint64_t cs = geom_cluster(g);
	uint64_t clusters = L1_CLUSTER + div_up(g->l1_entries * UINT64_C(8), cs);
	qc_err r = qc_file_resize(f, 0);

	if (!r)
		r = qc_file_resize(f, clusters * cs);
	put_counts(buf, clusters);
	if (!r)
		r = qc_file_write(f, BLOCK_CLUSTER * cs, buf, cs);
	be64_to(buf, BLOCK_CLUSTER * cs);
	if (!r)
		r = qc_file_write(f, REFTABLE_CLUSTER * cs, buf, 8);
	return r ? r : qc_file_write(f, 0, head, cs);
}

qc_err qc_new_image_write(struct qc_file *f, uint64_t size, const char *backing,
			const char *format)
{
	AUTO_FREE uint8_t *head = NULL;
	AUTO_FREE uint8_t *buf = NULL;
	struct geom g;
	qc_err r;

	if (strlen(backing) > NAME_MAX_LEN)
		return -ENAMETOOLONG;
	if (!*backing || strlen(format) > FORMAT_NAME_MAX)
		return -EINVAL;
	if (size > INT64_MAX - SECTOR)
		return -EFBIG;
	size = round_up(size, SECTOR);
	r = lay_out(size, &g);
	if (r)
		return r;
	head = calloc(1, geom_cluster(&g));
	buf = calloc(1, geom_cluster(&g));
	if (!head || !buf)
		return -ENOMEM;
	put_header(head, &g, size, backing, format);
	return write_clusters(f, &g, head, buf);
}

/* ---- of a descriptor -------------------------------------------------------- */

static qc_err file_of(int fd, struct qc_file **out)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	qc_err r = own < 0 ? -errno : qc_file_of_fd(own, out);

	if (r && own >= 0)
		close(own);
	return r;
}

qc_err qc_create_overlay(int fd, uint64_t size, const char *backing, const char *format)
{
	struct qc_file *f;
	qc_err r = file_of(fd, &f);

	if (r)
		return r;
	r = qc_new_image_write(f, size, backing, format);
	qc_file_close(f);
	return r;
}

qc_err qc_read_backing_info(int fd, struct qc_backing_info *out, struct qc_reason *why)
{
	struct qc_header *h = malloc(sizeof(*h));
	struct qc_file *f = NULL;
	qc_err r = h ? file_of(fd, &f) : -ENOMEM;

	if (r)
		qc_fail_errno(why, r, NULL);
	else
		r = qc_header_read(f, h, why);
	if (!r) {
		snprintf(out->backing, sizeof(out->backing), "%s", h->backing);
		snprintf(out->format, sizeof(out->format), "%s", h->backing_format);
	}
	qc_file_close(f);
	free(h);
	return r;
}
