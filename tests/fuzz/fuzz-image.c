/* SPDX-License-Identifier: MIT */
/*
 * fuzz-image.c - the input is an image file; it is opened and read.
 *
 * Reads must return the same bytes in requests of any length, and a hole must read
 * as zeros.  No other file may be opened.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz_context.h"
#include "image/chain_walk.h"

enum {
	CACHE_BYTES = 64 << 10, /* so that slices are evicted */
	READS = 24,
	READ_MAX = 128 << 10,
	STEPS = 4000,
	CLUSTERS_MAX = 1 << 15, /* for calls that look at all of the disk */
};

static uint8_t whole[READ_MAX], part[READ_MAX];

static int file_of(const uint8_t *data, size_t size)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	MUST(fd >= 0);
	MUST(pwrite(fd, data, size, 0) == (ssize_t)size);
	return fd;
}

static bool is_zero(const uint8_t *p, size_t n)
{
	return !n || (!*p && !memcmp(p, p + 1, n - 1));
}

/* One request, and the same in two. */
static void read_twice(struct qc_image *img, uint64_t off, size_t len, size_t cut)
{
	qc_err all = qc_read(img, off, whole, len), head, tail;

	memset(part, 0xa5, len);
	head = qc_read(img, off, part, cut);
	tail = qc_read(img, off + cut, part + cut, len - cut);
	MUST(!all == (!head && !tail));
	if (!all)
		MUST(!memcmp(whole, part, len));
}

static void read_about(struct qc_image *img, uint64_t *random)
{
	uint64_t size = qc_size(img);

	for (int i = 0; size && i < READS; i++) {
		/* Near the beginning, near the end, anywhere. */
		uint64_t r = random_u64(random);
		uint64_t near = min_u64(size, 1 << (9 + r % 12));
		uint64_t off = random_u64(random) % (i % 3 ? near : size);
		size_t len;

		if (i % 3 == 2)
			off += size - near;
		len = (size_t)min_u64(size - off, 1 + random_u64(random) % (r & 8 ? READ_MAX : 2000));
		read_twice(img, off, len, (size_t)(random_u64(random) % (len + 1)));
	}
	MUST(qc_read(img, size, whole, 1) == -EINVAL);
	MUST(qc_read(img, UINT64_MAX, whole, 2) == -EINVAL);
	MUST(size == INT64_MAX || qc_read(img, size / 2, whole, SIZE_MAX - 5) == -EINVAL);
}

static void walk(struct qc_image *img, uint64_t from)
{
	uint64_t size = qc_size(img);
	struct qc_walk w;

	qc_walk_begin(&w, img, from, size);
	for (int i = 0; w.at < size && i < STEPS; i++) {
		uint64_t at = w.at;
		struct qc_step s;

		if (qc_walk_step(&w, &s))
			break;
		MUST(s.x.len && w.at == at + s.x.len && w.at <= size);
		MUST(s.x.kind != QC_UNALLOCATED);
		if (s.x.kind == QC_DATA)
			MUST(range_inside(s.x.host.v, s.x.len, INT64_MAX));
	}
}

static void extents(struct qc_image *img)
{
	uint64_t off = 0, size = qc_size(img);

	for (int i = 0; off < size && i < STEPS; i++) {
		struct qc_extent e;
		size_t n;

		if (qc_block_status(img, off, &e)) {
			off += qc_cluster_size(img);
			continue;
		}
		MUST(e.len && e.len <= size - off);
		n = (size_t)min_u64(e.len, 4096);
		if (!e.data) {
			MUST(!qc_read(img, off, whole, n));
			MUST(is_zero(whole, n));
		}
		off += e.len;
	}
}

static void use(struct qc_image *img, const uint8_t *data, size_t size)
{
	uint64_t random = feed_seed(data, size);

	walk(img, 0);
	if (qc_size(img))
		walk(img, random_u64(&random) % qc_size(img));
	read_about(img, &random);
	if (qc_size(img) / qc_cluster_size(img) < CLUSTERS_MAX)
		extents(img);
}

static void must_be_text(const char *text, size_t len)
{
	MUST(strlen(text) <= len);
}

/* Of an image that can be used, and of one that cannot. */
static void facts(int fd, int dirfd)
{
	struct qc_image *img = NULL;
	struct qc_snapshots snapshots;
	struct qc_layer_info f;
	struct qc_bitmaps bitmaps;
	struct qc_luks_info luks;

	open_input(CACHE_BYTES, fd, dirfd, QC_OPEN_HEADERS_ONLY | QC_OPEN_INSPECT, &img);
	if (!img)
		return;
	MUST(qc_depth(img) == 1 && !qc_get_layer_info(img, 0, &f));
	for (size_t i = 0; i < f.nfeatures; i++)
		must_be_text(f.feature[i].name, sizeof(f.feature[i].name) - 1);
	if (!f.refused && !qc_list_snapshots(img, &snapshots))
		qc_snapshots_free(&snapshots);
	qc_list_bitmaps(img, &bitmaps);
	for (size_t i = 0; i < bitmaps.n; i++)
		must_be_text(bitmaps.at[i].name, bitmaps.at[i].name_len);
	qc_bitmaps_free(&bitmaps);
	if (!qc_get_luks_info(img, &luks))
		must_be_text(luks.mode, sizeof(luks.mode) - 1);
	qc_layer_info_free(&f);
	qc_close(img);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = file_of(data, size), dirfd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct qc_image *img, *headers_only;
	struct qc_counters count;

	MUST(dirfd >= 0);
	if (!open_input(CACHE_BYTES, fd, dirfd, 0, &img)) {
		MUST(qc_depth(img) == 1);
		MUST(!open_input(CACHE_BYTES, fd, dirfd, QC_OPEN_HEADERS_ONLY, &headers_only));
		MUST(qc_size(headers_only) == qc_size(img));
		qc_close(headers_only);
		use(img, data, size);
		qc_close(img);
	}
	facts(fd, dirfd);
	close(dirfd);
	close(fd);
	qc_get_counters(context(CACHE_BYTES), &count);
	MUST(!count.layers_open && !count.table_bytes);
	return 0;
}
