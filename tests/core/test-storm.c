/* SPDX-License-Identifier: MIT */
/* Many threads read many images of all kinds at once, and open and close them. */
#include <stdatomic.h>

#include "make.h"

enum { IMAGES = 20, THREADS = 8, SECONDS = 3 };
#define SIZE (768 * K)

static struct disk {
	char path[20];
	const char *format;
	uint8_t *want;
	size_t size;
	struct qc_image *img; /* open all the time */
} disk[IMAGES];

static struct qc_context *ctx;
static uint64_t seed;
static time_t stop_at;
static atomic_ulong reads, opens, wrong, unopened;

/* ---- images ----------------------------------------------------------------- */

/* Runs of words, of noise and of nothing; differs from image to image. */
static void make_raw(const char *path)
{
	uint8_t *bytes = calloc(1, SIZE);

	for (size_t at = 0; at < SIZE; at += 4096) {
		uint64_t what = random_below(&seed, 3);

		if (what == 1)
			memset(bytes + at, (int)random_below(&seed, 256), 4096);
		if (what == 2)
			random_fill(random_u64(&seed), bytes + at, 4096);
		memcpy(bytes + at, what ? path : "", what ? strlen(path) : 0);
	}
	spill(path, bytes, SIZE);
	free(bytes);
}

static void convert(const char *path, const char *options)
{
	make_raw("source");
	sh("qemu-img convert -q -f raw %s source %s", options, path);
}

static void overlay(const char *path, const char *base, const char *base_format,
		    const char *options)
{
	unsigned int at = (unsigned int)random_below(&seed, 100) * 4096;

	sh("qemu-img create -q %s -b %s -F %s %s"
	   " && qemu-io -t unsafe %s -c 'write -P %u %u 100k'"
	   " -c 'write -P 7 %u 512' %s >/dev/null", options, base, base_format, path,
	   strstr(options, "-f qcow2") ? "-f qcow2" : "-f qcow", at % 250 + 1, at, at / 2,
	   path);
}

static const struct {
	const char *base, *base_format; /* or none */
	const char *options;
} recipe[IMAGES] = {
	{ NULL, NULL, "-O qcow2" },
	{ NULL, NULL, "-O qcow2 -o cluster_size=512" },
	{ NULL, NULL, "-O qcow2 -o compat=0.10,cluster_size=4k" },
	{ NULL, NULL, "-c -O qcow2" },
	{ NULL, NULL, "-c -O qcow2 -o cluster_size=4k" },
	{ NULL, NULL, "-c -O qcow2 -o cluster_size=2M" },
	{ NULL, NULL, "-c -O qcow2 -o compression_type=zstd" },
	{ NULL, NULL, "-c -O qcow2 -o compression_type=zstd,cluster_size=8k" },
	{ NULL, NULL, "-O qcow" },
	{ NULL, NULL, "-O qcow2 -o extended_l2=on" },
	{ NULL, NULL, "-c -O qcow2 -o extended_l2=on,cluster_size=16k" },
	{ NULL, NULL, "-O qcow2 -o data_file=disk.data" },
	{ "disk-3", "qcow2", "-f qcow2 -o cluster_size=4k" },
	{ "disk-3", "qcow2", "-f qcow2 -o extended_l2=on" },
	{ "disk-12", "qcow2", "-f qcow2 -o cluster_size=512" },
	{ "disk-12", "qcow2", "-f qcow2" },
	{ "disk-8", "qcow", "-f qcow2" },
	{ "disk-6", "qcow2", "-f qcow" },
	{ "source", "raw", "-f qcow2" },
	{ "disk-15", "qcow2", "-f qcow2 -o cluster_size=4k" },
};

static void make_disks(void)
{
	for (int i = 0; i < IMAGES; i++) {
		struct disk *d = &disk[i];

		snprintf(d->path, sizeof(d->path), "disk-%d", i);
		if (recipe[i].base)
			overlay(d->path, recipe[i].base, recipe[i].base_format,
				recipe[i].options);
		else
			convert(d->path, recipe[i].options);
		d->format = strstr(recipe[i].options, "qcow2") ? "qcow2" : "qcow";
	}
	for (int i = 0; i < IMAGES; i++) {
		disk[i].want = reference(disk[i].path, disk[i].format, &disk[i].size);
		disk[i].img = image_open(ctx, disk[i].path);
		CHECK(qc_size(disk[i].img) == disk[i].size);
	}
}

/* ---- readers ---------------------------------------------------------------- */

static size_t some_length(uint64_t *s)
{
	static const size_t most[] = { 16, 512, 4096, 4096, 65536, 65536, 300000 };

	return 1 + random_below(s, most[random_below(s, COUNT(most))]);
}

static void read_some(const struct disk *d, struct qc_image *img, uint64_t *s, uint8_t *buf)
{
	uint64_t off = random_below(s, d->size);
	size_t len = some_length(s);
	struct qc_extent e;

	if (len > d->size - off)
		len = d->size - off;
	if (!random_below(s, 3))
		off -= off % 512;
	if (qc_read(img, off, buf, len) || memcmp(buf, d->want + off, len))
		atomic_fetch_add(&wrong, 1);
	atomic_fetch_add(&reads, 1);
	if (!random_below(s, 16) && (qc_block_status(img, off, &e) || (!e.data && d->want[off])))
		atomic_fetch_add(&wrong, 1);
}

static struct qc_image *open_quietly(const char *path)
{
	struct qc_image *img = NULL;
	struct qc_reason why;

	if (image_try(ctx, path, 0, &img, &why)) {
		printf("# %s: %s\n", path, why.text);
		atomic_fetch_add(&unopened, 1);
		return NULL;
	}
	atomic_fetch_add(&opens, 1);
	return img;
}

static void *storm(void *arg)
{
	uint64_t s = (uintptr_t)arg;
	uint8_t *buf = malloc(300001);

	while (time(NULL) < stop_at) {
		struct disk *d = &disk[random_below(&s, IMAGES)];
		bool own = random_u64(&s) & 1;
		struct qc_image *img = own ? open_quietly(d->path) : d->img;

		for (int i = 0; img && i < 20; i++)
			read_some(d, img, &s, buf);
		if (own && img)
			qc_close(img);
	}
	free(buf);
	return NULL;
}

static void rage(void)
{
	pthread_t t[THREADS];

	reads = opens = wrong = unopened = 0;
	stop_at = time(NULL) + SECONDS;
	for (int i = 0; i < THREADS; i++)
		t[i] = start(storm, (void *)(uintptr_t)random_u64(&seed));
	for (int i = 0; i < THREADS; i++)
		end(t[i]);
	printf("# %lu reads, %lu opens, %" PRIu64 " table loads, %" PRIu64 " unpacked\n", reads,
	       opens, counters(ctx).table_loads, counters(ctx).clusters_decompressed);
	CHECK(reads > 0 && opens > 0);
	CHECK(!wrong);
	CHECK(!unopened);
}

static void all_at_once(void)
{
	/* Little room for tables: slices come and go all the time. */
	struct qc_config config = { .cache_bytes = 4096 };

	ctx = context_of(&config);
	make_disks();
	CHECK(counters(ctx).layers_open == IMAGES + 1);
	rage();
	for (int i = 0; i < IMAGES; i++) {
		qc_close(disk[i].img);
		free(disk[i].want);
	}
	context_end(ctx);
}

int main(void)
{
	begin();
	seed = random_seed();
	RUN(all_at_once);
	return DONE();
}
