/* SPDX-License-Identifier: MIT */
/* Parts of a cluster wait until it is whole, and each request on the disk finds them. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/failpoint.h"
#include "base/util.h"
#include "write.h"

enum { SIZE = 4 * M + 3 * 512 };

static struct qc_context *ctx;

static uint8_t *make_text(uint64_t seed, size_t n)
{
	static const char words[] = "the quick brown fox jumps over the lazy dog again and again";
	uint8_t *text = malloc(n);

	for (size_t i = 0; i < n; i++)
		text[i] = (uint8_t)words[i * 7 / (9 + i / 4000 % 5) % (sizeof(words) - 1)];
	for (size_t i = 0; i < n; i += 30 + random_below(&seed, 90))
		text[i] = (uint8_t)random_u64(&seed);
	return text;
}

static struct qc_image *make_image(const char *options)
{
	sh("rm -f image && qemu-img create -q %s image %d", options, SIZE);
	return image_write(ctx, "image");
}

static unsigned int count_compressed(void)
{
	unsigned int count = 0;
	uint8_t *text;
	const char *at;
	size_t n;

	sh("qemu-img check -U --output=json image >check.json");
	text = slurp("check.json", &n);
	text[n] = 0;
	at = strstr((char *)text, "\"compressed-clusters\":");
	if (at)
		sscanf(at, "\"compressed-clusters\": %u", &count);
	free(text);
	return count;
}

/* Writes a range in parts of at most @step bytes, none over the end of a cluster. */
static qc_err stream(struct qc_image *img, const uint8_t *disk, uint64_t off, uint64_t end, uint64_t step)
{
	uint64_t cluster = qc_cluster_size(img);
	qc_err r = 0;

	while (!r && off < end) {
		uint64_t n = min_u64(min_u64(step, end - off), cluster - off % cluster);

		r = qc_write_gathered(img, off, disk + off, n);
		off += n;
	}
	return r;
}

/* ---- streams --------------------------------------------------------------- */

static void streams_are_compressed(void)
{
	static const struct {
		const char *options;
		uint64_t step;
	} cases[] = {
		{ "-f qcow2 -o cluster_size=2M", 128 * K },
		{ "-f qcow2 -o cluster_size=2M", M - 1 },
		{ "-f qcow2", 10240 },
		{ "-f qcow2 -o compression_type=zstd", 7777 },
		{ "-f qcow2 -o compat=0.10,cluster_size=4k", 1000 },
		{ "-f qcow2 -o extended_l2=on", 4096 },
		{ "-f qcow2 -o cluster_size=512", 100 },
		{ "-f qcow", 999 },
	};
	uint8_t *disk = make_text(1, SIZE);

	for (size_t i = 0; i < COUNT(cases); i++) {
		bool v1 = !strcmp(cases[i].options, "-f qcow");
		struct qc_image *img = make_image(cases[i].options);
		uint64_t clusters = (SIZE + qc_cluster_size(img) - 1) / qc_cluster_size(img);

		CHECK(!stream(img, disk, 0, SIZE, cases[i].step));
		CHECK(!qc_writeback(img));
		CHECK(reads_as(img, 0, SIZE, disk));
		qc_close(img);
		CHECK(qemu_reads("image", v1 ? "qcow" : "qcow2", disk, SIZE));
		if (!v1) {
			CHECK(is_sound("image"));
			/* Small clusters may save no sector. */
			CHECK(count_compressed() == clusters || clusters > 2 * K);
		}
	}
	free(disk);
}

/* A writer of a sparse file leaves gaps; small writes stay plain. */
static void gaps_are_zeros(void)
{
	uint8_t *disk = make_text(2, SIZE);
	struct qc_image *img = make_image("-f qcow2");

	memset(disk + 8 * K, 0, 4 * K); /* in the middle of the first cluster */
	memset(disk + 64 * K, 0, 12 * K); /* the beginning of the second */
	memset(disk + 180 * K, 0, 12 * K); /* the end of the third */
	memset(disk + 192 * K, 0, SIZE - 192 * K);
	CHECK(!stream(img, disk, 0, 8 * K, 4 * K) && !stream(img, disk, 12 * K, 64 * K, 4 * K));
	CHECK(!stream(img, disk, 76 * K, 180 * K, 4 * K));
	memcpy(disk + M + 60 * K, "small", 5); /* the end of a cluster, and all that is written there */
	CHECK(!stream(img, disk, M + 60 * K, M + 64 * K, 4 * K));
	CHECK(!qc_writeback(img));
	CHECK(count_compressed() == 3);
	CHECK(reads_as(img, 0, SIZE, disk));
	qc_close(img);
	CHECK(qemu_reads("image", "qcow2", disk, SIZE) && is_sound("image"));
	free(disk);
}

/* ---- other requests ---------------------------------------------------------- */

enum request { READ, WRITE, WRITE_OTHER, ZERO, DISCARD, ALLOCATE, CLEAR, GROW, SHRINK, SNAPSHOT, STATUS,
	       FLUSH, FLUSH_OTHER, REQUESTS };

/* Runs one request while 40 KiB of a cluster wait, and changes @disk as it should be then. */
static void request_finds_parts(enum request what, uint8_t *disk)
{
	struct qc_image *img = make_image("-f qcow2"), *other = image_write(ctx, "image");
	uint8_t small[1000];
	struct qc_extent e;

	memset(small, 'x', sizeof(small));
	CHECK(!stream(img, disk, 0, 40 * K, 8 * K));
	memset(disk + 40 * K, 0, SIZE - 40 * K);
	switch (what) {
	case READ:
		CHECK(reads_as(other, 39 * K, 8 * K, disk));
		break;
	case WRITE:
	case WRITE_OTHER:
		CHECK(!qc_write(what == WRITE ? img : other, 39 * K + 500, small, sizeof(small)));
		memcpy(disk + 39 * K + 500, small, sizeof(small));
		break;
	case ZERO:
		CHECK(!qc_write_zeroes(other, 4 * K, 500));
		memset(disk + 4 * K, 0, 500);
		break;
	case DISCARD:
		CHECK(!qc_discard(other, 0, 64 * K));
		memset(disk, 0, 64 * K);
		break;
	case ALLOCATE:
		CHECK(!qc_allocate(img, 0, M));
		break;
	case CLEAR:
		CHECK(!qc_clear(other));
		memset(disk, 0, 40 * K);
		break;
	case GROW:
		CHECK(!qc_resize(other, SIZE + 512) && !qc_resize(img, SIZE));
		break;
	case SHRINK:
		CHECK(!qc_resize(img, 8 * K) && !qc_resize(other, SIZE));
		memset(disk + 8 * K, 0, 32 * K);
		break;
	case SNAPSHOT:
		CHECK(!qc_snapshot_take(other, "s", 1));
		break;
	case STATUS:
		CHECK(!qc_block_status(other, 0, &e) && e.data && e.len >= 40 * K);
		break;
	case FLUSH:
	case FLUSH_OTHER:
		CHECK(!qc_flush(what == FLUSH ? img : other));
		sh("cp image synced");
		CHECK(qemu_reads("synced", "qcow2", disk, SIZE));
		break;
	case REQUESTS:
		break;
	}
	CHECK(reads_as(img, 0, SIZE, disk));
	qc_close(img);
	qc_close(other);
	CHECK(qemu_reads("image", "qcow2", disk, SIZE) && is_sound("image"));
	if (what == SNAPSHOT) {
		sh("qemu-img convert -l s -O raw image snap.raw");
		sh("qemu-img convert -O raw image disk.raw && cmp snap.raw disk.raw");
	}
}

static void each_request_finds_parts(void)
{
	for (enum request what = READ; what < REQUESTS; what++) {
		uint8_t *disk = make_text(3, SIZE);
		int before = tap_failed;

		request_finds_parts(what, disk);
		if (tap_failed != before)
			printf("# request %d\n", what);
		free(disk);
	}
}

/* ---- failures ---------------------------------------------------------------- */

#ifdef QC_FAILPOINTS
/* A failure to store is reported once to the writer, and to others as long as it was not told. */
static void failure_is_reported(void)
{
	uint8_t *disk = make_text(5, SIZE), byte;
	struct qc_image *img = make_image("-f qcow2"), *other = image_write(ctx, "image");

	CHECK(!stream(img, disk, 0, 8 * K, 8 * K));
	qc_failpoint_once("write.before-link");
	CHECK(qc_read(other, 0, &byte, 1) == -EIO);
	CHECK(qc_flush(other) == -EIO && qc_flush(img) == -EIO);
	CHECK(!qc_flush(img) && !qc_flush(other));
	CHECK(!stream(img, disk, 0, 8 * K, 8 * K));
	qc_failpoint_once("write.before-link");
	CHECK(qc_write_gathered(img, M, disk, 512) == -EIO);
	CHECK(!stream(img, disk, 0, 64 * K, 16 * K) && !qc_writeback(img));
	CHECK(!stream(img, disk, 64 * K, 96 * K, 16 * K));
	qc_failpoint_once("write.before-link");
	CHECK(qc_writeback(img) == -EIO && !qc_writeback(img));
	CHECK(reads_as(img, 0, 64 * K, disk) && reads_byte(img, 64 * K, 64 * K, 0));
	qc_close(img);
	qc_close(other);
	CHECK(is_sound("image"));
	free(disk);
}
#endif

/* ---- a model ------------------------------------------------------------------- */

/* Two images of one file, and all requests at random. */
static void random_walk(const char *options, uint64_t seed)
{
	uint8_t *text = make_text(seed, SIZE), *disk = calloc(1, SIZE);
	struct qc_image *img[2];
	uint64_t at[2] = { 0, M }, cluster;


	img[0] = make_image(options);
	img[1] = image_write(ctx, "image");
	cluster = qc_cluster_size(img[0]);
	for (int i = 0; i < 400 && !tap_failed; i++) {
		unsigned int who = (unsigned int)random_below(&seed, 2);
		uint64_t off = random_below(&seed, SIZE), len = 1 + random_below(&seed, 100 * K);
		uint64_t what = random_below(&seed, 20);

		len = min_u64(len, SIZE - off);
		if (what == 0)
			at[who] = off;
		if (what < 14) { /* a stream, that sometimes leaves gaps */
			if (!random_below(&seed, 5))
				at[who] += random_below(&seed, 8 * K);
			at[who] = at[who] < SIZE ? at[who] : 0;
			len = min_u64(min_u64(len, 1 + cluster / 3), SIZE - at[who]);
			CHECK(!stream(img[who], text, at[who], at[who] + len, len));
			memcpy(disk + at[who], text + at[who], len);
			at[who] += len;
		} else if (what == 14) {
			CHECK(!qc_write(img[who], off, text, len));
			memcpy(disk + off, text, len);
		} else if (what == 15) {
			CHECK(!qc_write_compressed(img[who], off, text, len));
			memcpy(disk + off, text, len);
		} else if (what == 16) {
			CHECK(!qc_discard(img[who], off, len));
			memset(disk + off, 0, len);
		} else if (what == 17) {
			CHECK(!(len % 2 ? qc_flush(img[who]) : qc_writeback(img[who])));
		} else {
			CHECK(reads_as(img[who], off, len, disk));
		}
	}
	CHECK(reads_as(img[0], 0, SIZE, disk));
	qc_close(img[0]);
	qc_close(img[1]);
	CHECK(qemu_reads("image", "qcow2", disk, SIZE) && is_sound("image"));
	free(disk);
	free(text);
}

static void random_walks(void)
{
	static const char *const options[] = {
		"-f qcow2", "-f qcow2 -o cluster_size=2M", "-f qcow2 -o cluster_size=4k,compat=0.10",
		"-f qcow2 -o extended_l2=on,compression_type=zstd", "-f qcow2 -o cluster_size=512",
	};
	const char *given = getenv("SEED");
	uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);

	printf("# SEED=%" PRIu64 "\n", seed);
	for (size_t i = 0; i < COUNT(options); i++)
		random_walk(options[i], seed + i);
}

/* ---- threads --------------------------------------------------------------------- */

enum { THREADS = 4, STRIPE = 16 * K };

static struct {
	struct qc_image *img[THREADS];
	const uint8_t *text;
	atomic_uint failed;
} race;

/* Writes every fourth stripe, so that four threads share each cluster, and reads what it wrote. */
static void *write_stripes(void *arg)
{
	unsigned int me = (unsigned int)(uintptr_t)arg;
	uint8_t *got = malloc(STRIPE);

	for (uint64_t off = me * (uint64_t)STRIPE; off + STRIPE <= SIZE; off += THREADS * STRIPE) {
		/* Two threads use one image. */
		struct qc_image *img = race.img[me / 2];

		if (qc_write_gathered(img, off, race.text + off, STRIPE / 2) ||
		    qc_write_gathered(img, off + STRIPE / 2, race.text + off + STRIPE / 2, STRIPE / 2) ||
		    qc_read(race.img[2], off, got, STRIPE) || memcmp(got, race.text + off, STRIPE))
			atomic_fetch_add(&race.failed, 1);
		if (off / STRIPE % 16 == 5 && (qc_flush(img) || qc_resize(img, SIZE + 512 * (me + 1))))
			atomic_fetch_add(&race.failed, 1);
	}
	free(got);
	return NULL;
}

static void threads_share_clusters(void)
{
	uint8_t *text = make_text(6, SIZE);
	pthread_t t[THREADS];

	race.img[0] = make_image("-f qcow2");
	race.img[1] = image_write(ctx, "image");
	race.img[2] = image_open(ctx, "image");
	race.text = text;
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, write_stripes, (void *)i);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	CHECK(!race.failed);
	CHECK(reads_as(race.img[2], 0, SIZE / STRIPE * STRIPE, text));
	for (int i = 0; i < 3; i++)
		qc_close(race.img[i]);
	CHECK(is_sound("image"));
	free(text);
}

int main(void)
{
	begin();
	ctx = context_new(NULL);
	RUN(streams_are_compressed);
	RUN(gaps_are_zeros);
	RUN(each_request_finds_parts);
#ifdef QC_FAILPOINTS
	RUN(failure_is_reported);
#endif
	RUN(random_walks);
	RUN(threads_share_clusters);
	context_end(ctx);
	return DONE();
}
