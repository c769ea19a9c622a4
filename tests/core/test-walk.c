/* SPDX-License-Identifier: MIT */
/*
 * Random requests, from many threads, on images of every kind; at each stop
 * we and QEMU must read the written bytes, and no cluster may leak.
 *
 * Each thread owns stripes of odd lengths, so that clusters have many owners, and
 * knows their content at any time.  $OPS is the number of requests of a variant.
 */
#include <stdatomic.h>

#include "write.h"

enum { THREADS = 8, STOPS = 3, STRIPE_MAX = 23, LONGEST = 200000 };
#define SIZE (M + 512 * K + 3 * 512)
#define ROOM (4 * M)

static const struct variant {
	const char *make, *format;
	bool resizes; /* in all directions */
} variants[] = {
	{ "qemu-img create -q -f qcow image SIZE", "qcow", true },
	{ "qemu-img create -q -f qcow -b base.raw -F raw image SIZE", "qcow", false },
	{ "qemu-img create -q -f qcow2 -o compat=0.10,cluster_size=512 image SIZE", "qcow2",
	  true },
	{ "qemu-img create -q -f qcow2 -o compat=0.10 -b base.raw -F raw image SIZE", "qcow2",
	  false },
	{ "qemu-img create -q -f qcow2 -o cluster_size=512,refcount_bits=64 image SIZE",
	  "qcow2", true },
	{ "qemu-img create -q -f qcow2 -o cluster_size=512,refcount_bits=1 image SIZE",
	  "qcow2", true },
	{ "qemu-img create -q -f qcow2 -o cluster_size=4k,refcount_bits=2 -b base.raw -F raw"
	  " image SIZE", "qcow2", true },
	{ "qemu-img create -q -f qcow2 image SIZE", "qcow2", true },
	{ "qemu-img create -q -f qcow2 -o cluster_size=2M image SIZE", "qcow2", true },
	{ "qemu-img create -q -f qcow2 -o extended_l2=on,cluster_size=16k image SIZE", "qcow2",
	  true },
	{ "qemu-img create -q -f qcow2 -o extended_l2=on -b base.raw -F raw image SIZE",
	  "qcow2", true },
	{ "qemu-img convert -q -c -f raw -O qcow2 -o cluster_size=4k base.raw image", "qcow2",
	  true },
	{ "qemu-img convert -q -c -f raw -O qcow2 -o extended_l2=on,cluster_size=16k base.raw"
	  " image", "qcow2", true },
	{ "qemu-img create -q -f qcow image 1536k && qemu-io -t unsafe -f qcow -c"
	  " 'write -c -P 1 0 4096' -c 'write -c -P 2 64k 4096' -c 'write -c -P 3 1M 4096' image"
	  " >/dev/null", "qcow", true },
	{ "qemu-img convert -q -f raw -O qcow2 -o cluster_size=4k base.raw image &&"
	  " qemu-img snapshot -c one image && qemu-img snapshot -c two image", "qcow2", true },
	{ "qemu-img convert -q -c -f raw -O qcow2 -o compat=0.10,cluster_size=4k base.raw image"
	  " && qemu-img snapshot -c one image", "qcow2", false },
	{ "qemu-img convert -q -f raw -O qcow2 -o extended_l2=on,cluster_size=16k base.raw"
	  " image && qemu-img snapshot -c one image", "qcow2", true },
};

static struct qc_context *ctx;
static struct qc_image *img;
static uint64_t seed, size;
static unsigned int ops;
static uint8_t model[ROOM], owner[ROOM / 512];
static atomic_uint wrong;

/* ---- one request ------------------------------------------------------------ */

static void complain(const char *what, uint64_t off, uint64_t len, qc_err r)
{
	if (atomic_fetch_add(&wrong, 1) < 5)
		printf("# %s of %" PRIu64 " at %" PRIu64 ": %d\n", what, len, off, r);
}

/* A thread checks its own stripes of a read; UINT8_MAX checks all. */
static void read_some(uint64_t off, uint64_t len, uint8_t me)
{
	uint8_t *buf = malloc(len + 1);
	qc_err r = qc_read(img, off, buf, len);

	for (uint64_t i = 0; !r && i < len; i++) {
		if (me != UINT8_MAX && owner[(off + i) / 512] != me)
			continue;
		if (buf[i] != model[off + i]) {
			printf("# %02x and not %02x at %" PRIu64 "\n", buf[i], model[off + i],
			       off + i);
			r = -EILSEQ;
		}
	}
	if (r)
		complain("read", off, len, r);
	free(buf);
}

static void write_some(uint64_t *s, uint64_t off, uint64_t len)
{
	qc_err r;

	if (random_below(s, 4))
		random_fill(random_u64(s), model + off, len);
	else
		memset(model + off, (int)random_below(s, 3), len);
	r = qc_write(img, off, model + off, len);
	if (r)
		complain("write", off, len, r);
}

static void clear_some(qc_err (*fn)(struct qc_image *i, uint64_t off, uint64_t len),
		       const char *what, uint64_t off, uint64_t len)
{
	qc_err r = fn(img, off, len);

	memset(model + off, 0, len);
	if (r)
		complain(what, off, len, r);
}

static void change_some(uint64_t *s, uint64_t off, uint64_t len)
{
	qc_err r = 0;

	switch (random_below(s, 16)) {
	case 0: case 1: case 2:
		clear_some(qc_write_zeroes, "zero", off, len);
		break;
	case 3: case 4: case 5:
		clear_some(qc_discard, "discard", off, len);
		break;
	case 6:
		r = qc_allocate(img, off, len);
		break;
	case 7:
		if (!random_below(s, 4))
			r = qc_flush(img);
		break;
	default:
		write_some(s, off, len);
	}
	if (r)
		complain("allocate or flush", off, len, r);
}

/* ---- many threads ----------------------------------------------------------- */

/* Each thread has at least one sector, however small the disk becomes. */
static void share_out(void)
{
	uint64_t at = 0;

	for (; at < THREADS; at++)
		owner[at] = (uint8_t)at;
	while (at < ROOM / 512) {
		uint64_t n = 1 + random_below(&seed, STRIPE_MAX);
		uint8_t who = (uint8_t)random_below(&seed, THREADS);

		/* Now and then one that has whole clusters. */
		if (!random_below(&seed, 8))
			n *= 16;
		for (; n && at < ROOM / 512; n--)
			owner[at++] = who;
	}
}

/* A part of one of my stripes. */
static uint64_t pick(uint64_t *s, uint8_t me, uint64_t *len)
{
	uint64_t n = size / 512, a = random_below(s, n), b, off;

	while (owner[a] != me)
		a = (a + 1) % n;
	while (a && owner[a - 1] == me)
		a--;
	for (b = a; b < n && owner[b] == me;)
		b++;
	off = a * 512;
	*len = (b - a) * 512;
	if (random_below(s, 2)) {
		uint64_t skip = random_below(s, *len);

		off += skip;
		*len = 1 + random_below(s, *len - skip);
	}
	return off;
}

static void *walk(void *arg)
{
	uint8_t me = (uint8_t)(uintptr_t)arg;
	uint64_t s = seed + me;

	for (unsigned int i = 0; i < ops / THREADS / STOPS; i++) {
		uint64_t len, off = pick(&s, me, &len);

		if (random_below(&s, 3)) {
			change_some(&s, off, len);
			continue;
		}
		off = random_below(&s, size);
		read_some(off, 1 + random_below(&s, size - off) % LONGEST, me);
	}
	return NULL;
}

static void run_threads(void)
{
	pthread_t t[THREADS];

	seed++;
	for (uintptr_t i = 0; i < THREADS; i++)
		t[i] = start(walk, (void *)i);
	for (int i = 0; i < THREADS; i++)
		end(t[i]);
	random_u64(&seed);
}

/* ---- one thread, which may resize ------------------------------------------- */

static void resize_some(bool grows_freely)
{
	uint64_t to = random_below(&seed, 3 * M / 512) * 512;
	qc_err r = qc_resize(img, to);

	if (r == -EOPNOTSUPP && !grows_freely)
		return;
	if (r) {
		if (to || r != -EINVAL)
			complain("resize", size, to, r);
		return;
	}
	if (to < size)
		memset(model + to, 0, size - to);
	size = to;
	CHECK(qc_size(img) == to);
}

static void run_alone(const struct variant *v)
{
	for (unsigned int i = 0; i < ops / STOPS; i++) {
		uint64_t off, len;

		if (!random_below(&seed, 30))
			resize_some(v->resizes);
		if (!size)
			continue;
		off = random_below(&seed, size);
		len = 1 + random_below(&seed, size - off) % (random_below(&seed, 3) ? 9000 :
									LONGEST);
		if (random_below(&seed, 3))
			change_some(&seed, off, len);
		else
			read_some(off, len, UINT8_MAX);
	}
	while (!size || (v->format[4] == 0 && size < 1024)) /* QEMU has no such */
		resize_some(v->resizes);
}

/* ---- variants --------------------------------------------------------------- */

static void make(const struct variant *v)
{
	const char *at = strstr(v->make, "SIZE");
	uint8_t *was;
	size_t n;

	sh("rm -f image");
	if (at)
		sh("%.*s%" PRIu64 " 2>/dev/null", (int)(at - v->make), v->make, (uint64_t)SIZE);
	else
		sh("%s", v->make);
	was = reference("image", v->format, &n);
	memset(model, 0, sizeof(model));
	memcpy(model, was, n);
	size = n;
	free(was);
}

static bool stop(const struct variant *v)
{
	if (size)
		read_some(0, size, UINT8_MAX);
	if (random_below(&seed, 2))
		CHECK(!qc_writeback(img));
	qc_close(img);
	if (strcmp(v->format, "qcow"))
		CHECK(is_sound("image"));
	CHECK(qemu_reads("image", v->format, model, size));
	return !wrong;
}

static void go(const struct variant *v, bool alone)
{
	int before = tap_failed;

	make(v);
	wrong = 0;
	for (int i = 0; i < STOPS && tap_failed == before; i++) {
		img = image_write(ctx, "image");
		if (alone)
			run_alone(v);
		else
			run_threads();
		CHECK(stop(v));
	}
	if (tap_failed != before)
		printf("# %s: %s\n", alone ? "alone" : "threads", v->make);
}

static void make_base(void)
{
	uint8_t *bytes = calloc(1, SIZE);

	for (uint64_t at = 0; at + 8192 < SIZE; at += 8192)
		if (random_below(&seed, 3))
			memset(bytes + at, (int)random_below(&seed, 256), 8192 - 511);
	spill("base.raw", bytes, SIZE);
	free(bytes);
}

static void from_many_threads(void)
{
	for (size_t i = 0; i < COUNT(variants); i++) {
		share_out();
		go(&variants[i], false);
	}
}

static void from_one_with_resizes(void)
{
	for (size_t i = 0; i < COUNT(variants); i++)
		go(&variants[i], true);
}

/* The same, with the smallest memory for tables. */
static void with_few_tables_in_memory(void)
{
	struct qc_config config = { .cache_bytes = 4096 };
	struct qc_context *was = ctx;

	ctx = context_of(&config);
	ops /= 4;
	for (size_t i = random_below(&seed, 3); i < COUNT(variants); i += 3) {
		share_out();
		go(&variants[i], false);
		go(&variants[i], true);
	}
	ops *= 4;
	context_end(ctx);
	ctx = was;
}

int main(void)
{
	const char *given = getenv("OPS");

	begin();
	ops = given ? (unsigned int)atoi(given) : 200;
	seed = random_seed();
	ctx = context_new(NULL);
	make_base();
	RUN(from_many_threads);
	RUN(from_one_with_resizes);
	RUN(with_few_tables_in_memory);
	context_end(ctx);
	return DONE();
}
