/* SPDX-License-Identifier: MIT */
/* Clusters that are written compressed read back, and QEMU finds the image sound. */
#include <pthread.h>
#include <stdatomic.h>

#include "base/util.h"
#include "write.h"

enum { SIZE = 2 * M + 3 * 512 };

static struct qc_context *ctx;

/* ---- guest data --------------------------------------------------------------- */

/* Lines of text, with a part that no method compresses. */
static uint8_t *make_data(uint64_t seed)
{
	static const char words[] = "the quick brown fox jumps over the lazy dog again and again";
	uint8_t *data = malloc(SIZE);

	for (size_t i = 0; i < SIZE; i++)
		data[i] = (uint8_t)words[i * 7 / (9 + i / 4000 % 5) % (sizeof(words) - 1)];
	for (size_t i = 0; i < SIZE; i += 30 + random_below(&seed, 60))
		data[i] = (uint8_t)random_u64(&seed);
	for (size_t i = M; i < M + 200 * K; i++)
		data[i] = (uint8_t)random_u64(&seed);
	return data;
}

/* ---- layouts -------------------------------------------------------------------- */

struct layout {
	const char *name, *create;
	bool v1, plain; /* plain: such an image has no compressed clusters */
};

static const struct layout layouts[] = {
	{ "v1", "-f qcow", true, false },
	{ "v2", "-f qcow2 -o compat=0.10", false, false },
	{ "v2-4k", "-f qcow2 -o compat=0.10,cluster_size=4k", false, false },
	{ "v3-512", "-f qcow2 -o cluster_size=512", false, false },
	{ "v3-1k", "-f qcow2 -o cluster_size=1k", false, false },
	{ "v3", "-f qcow2", false, false },
	{ "v3-2M", "-f qcow2 -o cluster_size=2M", false, false },
	{ "zstd", "-f qcow2 -o compression_type=zstd", false, false },
	{ "zstd-4k", "-f qcow2 -o compression_type=zstd,cluster_size=4k", false, false },
	{ "extended", "-f qcow2 -o extended_l2=on", false, false },
	{ "refcount-1", "-f qcow2 -o refcount_bits=1,cluster_size=4k", false, false },
	{ "refcount-2", "-f qcow2 -o refcount_bits=2,cluster_size=4k", false, false },
	{ "refcount-64", "-f qcow2 -o refcount_bits=64", false, false },
	{ "data-file", "-f qcow2 -o data_file=d.data", false, true },
};

static void make_image(const struct layout *l)
{
	sh("rm -f image d.data && qemu-img create -q %s image %d", l->create, SIZE);
}

/* Returns true if QEMU reads @data, and finds no damage and no leak. */
static bool qemu_agrees(const struct layout *l, const uint8_t *data)
{
	if (!qemu_reads("image", l->v1 ? "qcow" : "qcow2", data, SIZE))
		return false;
	return l->v1 || is_sound("image");
}

/* Returns the compressed clusters that QEMU counts. */
static unsigned int count_compressed(void)
{
	size_t n;
	uint8_t *text;
	unsigned int count = 0;
	const char *at;

	sh("qemu-img check --output=json image >check.json");
	text = slurp("check.json", &n);
	text[n] = 0;
	at = strstr((char *)text, "\"compressed-clusters\":");
	if (at)
		sscanf(at, "\"compressed-clusters\": %u", &count);
	free(text);
	return count;
}

static uint64_t length_of(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		fatal(path);
	return (uint64_t)st.st_size;
}

/* Returns true if the image is at most 3 % longer than the one that QEMU makes of @data. */
static bool is_as_short_as_of_qemu(const struct layout *l, const uint8_t *data)
{
	uint64_t ours = length_of("image"), theirs;

	spill("disk.raw", data, SIZE);
	sh("qemu-img convert -q -c -f raw -O %s disk.raw theirs 2>/dev/null || %s", l->create + 3,
	   l->v1 ? "true" : "false");
	theirs = length_of("theirs");
	if (ours > theirs + theirs / 33)
		printf("# %" PRIu64 " bytes, of QEMU %" PRIu64 "\n", ours, theirs);
	return ours <= theirs + theirs / 33;
}

/* ---- tests ------------------------------------------------------------------------ */

static void writes_whole_disk(const struct layout *l)
{
	struct qc_config config = { .refs = QC_REFS_ANY };
	struct qc_context *own = context_of(&config);
	uint8_t *data = make_data(1);
	struct qc_image *img;

	make_image(l);
	img = image_write(own, "image");
	CHECK(qc_image_can_compress(img) == !l->plain);
	CHECK(!qc_write_compressed(img, 0, data, SIZE));
	CHECK(reads_as(img, 0, SIZE, data));
	qc_close(img);
	context_end(own);
	CHECK(qemu_agrees(l, data));
	if (l->plain)
		CHECK(!count_compressed());
	else if (!l->v1)
		CHECK(count_compressed() >= 1);
	if (!l->plain)
		CHECK(is_as_short_as_of_qemu(l, data));
	free(data);
}

/* Compressed, plain and discarded ranges over each other, against a model. */
static void mixes_with_plain_writes(const struct layout *l)
{
	struct qc_config config = { .refs = QC_REFS_ANY };
	struct qc_context *own = context_of(&config);
	uint8_t *data = make_data(2), *model = calloc(1, SIZE);
	struct qc_image *img;
	uint64_t seed = 3;

	make_image(l);
	img = image_write(own, "image");
	for (int i = 0; i < 60; i++) {
		uint64_t off = random_below(&seed, SIZE / 512) * 512;
		uint64_t len = min_u64(SIZE - off, 1 + random_below(&seed, 400 * K));

		if (i % 4 == 3) {
			off -= off % (64 * K);
			len = min_u64(SIZE - off, 512 * K);
		}
		if (i % 5 == 2) {
			CHECK(!qc_discard(img, off, len));
			memset(model + off, 0, len);
			continue;
		}
		memcpy(model + off, data + off, len);
		if (i % 3)
			CHECK(!qc_write_compressed(img, off, data + off, len));
		else
			CHECK(!qc_write(img, off, data + off, len));
		if (i % 10 == 9)
			CHECK(!qc_flush(img));
	}
	CHECK(reads_as(img, 0, SIZE, model));
	qc_close(img);
	context_end(own);
	CHECK(qemu_agrees(l, model));
	free(model);
	free(data);
}

/* What is rewritten gives its space back: the file does not grow with each round. */
static void frees_old_data(void)
{
	uint8_t *data = make_data(4);
	struct qc_image *img;
	uint64_t once;

	sh("rm -f image && qemu-img create -q -f qcow2 image %d", SIZE);
	img = image_write(ctx, "image");
	CHECK(!qc_write_compressed(img, 0, data, SIZE) && !qc_flush(img));
	once = length_of("image");
	for (int i = 0; i < 6; i++)
		CHECK(!qc_write_compressed(img, 0, data, SIZE) && !qc_flush(img));
	CHECK(reads_as(img, 0, SIZE, data));
	qc_close(img);
	CHECK(length_of("image") < 3 * once);
	CHECK(qemu_agrees(&layouts[5], data));
	free(data);
}

/* A snapshot keeps the compressed clusters that are rewritten. */
static void snapshot_keeps_old_data(void)
{
	uint8_t *old = make_data(5), *new = make_data(6);
	struct qc_image *img;
	size_t n;
	uint8_t *snap;

	sh("rm -f image && qemu-img create -q -f qcow2 -o cluster_size=4k image %d", SIZE);
	img = image_write(ctx, "image");
	CHECK(!qc_write_compressed(img, 0, old, SIZE));
	CHECK(!qc_snapshot_take(img, "s", 1));
	CHECK(!qc_write_compressed(img, 0, new, SIZE));
	qc_close(img);
	CHECK(qemu_agrees(&layouts[5], new));
	sh("qemu-img convert -l s -O raw image snap.raw");
	snap = slurp("snap.raw", &n);
	CHECK(n == SIZE && !memcmp(snap, old, SIZE));
	free(snap);
	free(old);
	free(new);
}

/* ---- threads ------------------------------------------------------------------------ */

static struct {
	struct qc_image *img;
	const uint8_t *data;
	atomic_uint next;
	atomic_uint failed;
} job;

static void *write_chunks(void *arg)
{
	unsigned int i;

	(void)arg;
	while ((i = atomic_fetch_add(&job.next, 1)) < 64) {
		uint64_t off = i % 16 * (128 * K);
		uint64_t len = min_u64(SIZE - off, 128 * K + 512);

		if (i % 7 == 6 ? qc_flush(job.img) :
				 qc_write_compressed(job.img, off, job.data + off, len))
			atomic_fetch_add(&job.failed, 1);
	}
	return NULL;
}

/* Several threads compress at once, and their clusters share host clusters. */
static void threads_share_clusters(void)
{
	uint8_t *data = make_data(7);
	pthread_t t[4];

	sh("rm -f image && qemu-img create -q -f qcow2 -o cluster_size=4k image %d", SIZE);
	job.img = image_write(ctx, "image");
	job.data = data;
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, write_chunks, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	CHECK(!job.failed);
	CHECK(!qc_write_compressed(job.img, 0, data, SIZE));
	CHECK(reads_as(job.img, 0, SIZE, data));
	qc_close(job.img);
	CHECK(qemu_agrees(&layouts[5], data));
	free(data);
}

int main(void)
{
	begin();
	ctx = context_new(NULL);
	for (size_t i = 0; i < COUNT(layouts); i++) {
		int before = tap_failed;

		writes_whole_disk(&layouts[i]);
		mixes_with_plain_writes(&layouts[i]);
		if (tap_failed != before)
			printf("# layout %s\n", layouts[i].name);
	}
	RUN(frees_old_data);
	RUN(snapshot_keeps_old_data);
	RUN(threads_share_clusters);
	context_end(ctx);
	return DONE();
}
