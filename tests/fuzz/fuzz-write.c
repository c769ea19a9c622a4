/* SPDX-License-Identifier: MIT */
/*
 * fuzz-write.c - the input is an image file, which is opened and changed at random.
 *
 * Written bytes read back, zeroed bytes are zeros, and neither a snapshot nor unwritten
 * bytes change, with any tables.  After the close, an image that can be opened can be
 * read.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz_context.h"

enum {
	CACHE_BYTES = 256 << 10,
	STEPS = 24,
	LEN_MAX = 96 << 10,
	FILE_MAX = 64 << 20, /* of the image, before somebody stops */
	SIZE_MAX_USED = 16 << 20, /* offsets are below this, or near the end */
	MODEL = 256 << 10,
	CHUNK = 4096,
};

/* The beginning of the disk, as far as it can be read. */
static struct {
	uint8_t byte[MODEL];
	bool known[MODEL];
} model;

static uint8_t bytes[LEN_MAX], got[LEN_MAX], before[4096], after[4096];

static bool is_large(int fd)
{
	struct stat st;

	return fstat(fd, &st) || st.st_size > FILE_MAX;
}

struct request {
	uint64_t off;
	size_t len;
};

/* ---- the model ------------------------------------------------------------- */

static void model_set(struct request q, int byte, bool known)
{
	size_t n = (size_t)range_clamp(q.off, q.len, MODEL);

	if (!n)
		return;
	memset(model.byte + q.off, byte, n);
	memset(model.known + q.off, known, n);
}

static size_t model_chunk(struct qc_image *img, uint64_t at)
{
	return (size_t)min_u64(range_clamp(at, CHUNK, MODEL), range_clamp(at, CHUNK, qc_size(img)));
}

static void model_read(struct qc_image *img)
{
	size_t n;

	model_set((struct request){ 0, MODEL }, 0, false);
	for (uint64_t at = 0; (n = model_chunk(img, at)); at += n) {
		if (qc_read(img, at, model.byte + at, n))
			continue;
		memset(model.known + at, true, n);
	}
}

static void model_compare(struct qc_image *img)
{
	size_t n;

	for (uint64_t at = 0; (n = model_chunk(img, at)); at += n) {
		if (qc_read(img, at, got, n))
			continue;
		for (size_t i = 0; i < n; i++)
			MUST(!model.known[at + i] || model.byte[at + i] == got[i]);
	}
}

/* ---- changes ----------------------------------------------------------------- */

static struct request pick(struct qc_image *img, uint64_t *random)
{
	uint64_t size = qc_size(img), near = min_u64(size, SIZE_MAX_USED);
	struct request q = { random_u64(random) % near, 0 };

	if (random_u64(random) % 4 == 0)
		q.off += size - near;
	if (random_u64(random) % 2)
		q.off -= q.off % 512;
	q.len = (size_t)min_u64(size - q.off, 1 + random_u64(random) % LEN_MAX);
	return q;
}

static void write_some(struct qc_image *img, struct request q, uint64_t *random)
{
	int byte = (int)random_u64(random);
	qc_err r;

	memset(bytes, byte, q.len);
	r = qc_write(img, q.off, bytes, q.len);
	model_set(q, byte, !r);
	if (r || qc_read(img, q.off, got, q.len))
		return;
	MUST(!memcmp(bytes, got, q.len));
}

static void zero_some(struct qc_image *img, struct request q, uint64_t *random)
{
	qc_err r = random_u64(random) % 2 ? qc_write_zeroes(img, q.off, q.len) :
					     qc_discard(img, q.off, q.len);

	model_set(q, 0, !r);
	if (r || qc_read(img, q.off, got, q.len))
		return;
	for (size_t i = 0; i < q.len; i++)
		MUST(!got[i]);
}

static void resize_some(struct qc_image *img, uint64_t *random)
{
	uint64_t size = random_u64(random) % (2 * SIZE_MAX_USED) / 512 * 512;

	if (!qc_resize(img, size))
		MUST(qc_size(img) == size);
	model_set((struct request){ min_u64(size, MODEL), MODEL }, 0, false);
}

/* The first bytes of the disk are in it, also when others are on the disk. */
static void snapshot_some(struct qc_image *img, uint64_t *random)
{
	size_t n = (size_t)min_u64(qc_size(img), sizeof(before));
	struct qc_snapshots list;
	struct qc_reason why;
	struct qc_image *v;

	if (!n || qc_read(img, 0, before, n) || qc_snapshot_take(img, "taken", 5))
		return;
	memset(bytes, (int)random_u64(random), n);
	MUST(!qc_list_snapshots(img, &list) && list.n);
	model_set((struct request){ 0, n }, bytes[0], !qc_write(img, 0, bytes, n));
	MUST(!qc_snapshot_open(img, &list.at[list.n - 1], QC_PART_DISK, &v, &why));
	MUST(!qc_read(v, 0, after, n) && !memcmp(before, after, n));
	qc_close(v);
	qc_snapshot_delete(img, &list.at[random_u64(random) % list.n]);
	qc_snapshots_free(&list);
}

static void clear_all(struct qc_image *img)
{
	qc_err r = qc_clear(img);

	model_set((struct request){ 0, MODEL }, 0, !r);
	if (r || qc_read(img, 0, got, 512))
		return;
	for (size_t i = 0; i < 512; i++)
		MUST(!got[i]);
}

static void change(struct qc_image *img, uint64_t *random)
{
	if (!qc_size(img)) {
		resize_some(img, random);
		return;
	}
	switch (random_u64(random) % 13) {
	case 0: case 1: case 2: case 3: case 4:
		write_some(img, pick(img, random), random);
		break;
	case 5: case 6:
		zero_some(img, pick(img, random), random);
		break;
	case 7: {
		struct request q = pick(img, random);

		qc_allocate(img, q.off, q.len);
		break;
	}
	case 8:
		resize_some(img, random);
		break;
	case 9: case 10:
		snapshot_some(img, random);
		break;
	case 11:
		if (qc_size(img) <= UINT64_C(1) << 30) /* there may be 4 Mi tables */
			clear_all(img);
		break;
	default:
		qc_flush(img);
	}
}

static void read_all(struct qc_image *img)
{
	uint64_t end = min_u64(qc_size(img), SIZE_MAX_USED);

	for (uint64_t off = 0; off < end; off += LEN_MAX)
		qc_read(img, off, got, (size_t)min_u64(LEN_MAX, end - off));
}

/* Returns whether all that was changed is in the file. */
static bool change_all(struct qc_image *img, int fd, uint64_t random)
{
	qc_err r;

	model_compare(img);
	for (int i = 0; i < STEPS && !is_large(fd); i++)
		change(img, &random);
	model_compare(img);
	r = qc_flush(img);
	qc_close(img);
	return !r;
}

static void use(int fd, int dirfd, uint64_t random)
{
	struct qc_image *img;
	bool kept = true;

	if (open_input(CACHE_BYTES, fd, dirfd, 0, &img))
		return;
	model_read(img);
	qc_close(img);
	if (!open_input(CACHE_BYTES, fd, dirfd, QC_OPEN_WRITE, &img))
		kept = change_all(img, fd, random);
	if (!open_input(CACHE_BYTES, fd, dirfd, 0, &img)) {
		if (kept)
			model_compare(img);
		read_all(img);
		qc_close(img);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("image", MFD_CLOEXEC);
	int dirfd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct qc_counters count;

	MUST(fd >= 0 && dirfd >= 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
	use(fd, dirfd, feed_seed(data, size));
	close(dirfd);
	close(fd);
	qc_get_counters(context(CACHE_BYTES), &count);
	MUST(!count.layers_open && !count.table_bytes);
	return 0;
}
