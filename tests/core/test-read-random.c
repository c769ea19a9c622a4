/* SPDX-License-Identifier: MIT */
/* Images of every kind, written at random, read as qemu-img reads them. */
#include "make.h"

static uint64_t seed;

static const struct kind {
	const char *format, *options;
	uint64_t cluster;
	bool packs; /* qemu-io can write compressed clusters to it */
} kinds[] = {
	{ "qcow", "", 4096, false },
	{ "qcow2", "-o compat=0.10,cluster_size=512", 512, true },
	{ "qcow2", "-o compat=0.10,cluster_size=64k", 64 * 1024, true },
	{ "qcow2", "-o cluster_size=512", 512, true },
	{ "qcow2", "-o cluster_size=4k,refcount_bits=1", 4096, false },
	{ "qcow2", "-o cluster_size=64k", 64 * 1024, true },
	{ "qcow2", "-o cluster_size=2M", 2 << 20, true },
	{ "qcow2", "-o cluster_size=4k,compression_type=zstd", 4096, true },
	{ "qcow2", "-o cluster_size=64k,compression_type=zstd", 64 * 1024, true },
	{ "qcow2", "-o cluster_size=16k,extended_l2=on", 16 * 1024, true },
	{ "qcow2", "-o cluster_size=64k,extended_l2=on", 64 * 1024, true },
	{ "qcow2", "-o cluster_size=64k,data_file=NAME.data", 64 * 1024, false },
	{ "qcow2", "-o data_file=NAME.data,data_file_raw=on", 64 * 1024, false },
};

/* ---- making ----------------------------------------------------------------- */

static size_t one_write(char *cmd, size_t room, const struct kind *k, uint64_t size,
			bool packed)
{
	static const char *const how[] = { "", "", "", "-z ", "-z -u " };
	uint64_t off = random_below(&seed, size / 512) * 512;
	uint64_t most = size - off < 300 * K ? size - off : 300 * K;
	uint64_t len = (1 + random_below(&seed, most / 512)) * 512;
	const char *mode = how[random_below(&seed, COUNT(how))];
	int n;

	if (!(random_u64(&seed) & 3))
		len = 512;
	if (packed) {
		off -= off % k->cluster;
		len = k->cluster;
		if (off + len > size)
			return 0;
	}
	if (!packed && !random_below(&seed, 8))
		n = snprintf(cmd, room, " -c 'discard %" PRIu64 " %" PRIu64 "'", off, len);
	else if (!packed && *mode)
		n = snprintf(cmd, room, " -c 'write %s%" PRIu64 " %" PRIu64 "'", mode, off,
			     len);
	else
		n = snprintf(cmd, room, " -c 'write %s-P %u %" PRIu64 " %" PRIu64 "'",
			     packed ? "-c " : "", 1 + (unsigned int)random_below(&seed, 255),
			     off, len);
	return (size_t)n;
}

/* qemu-io says it where a write is not possible, and goes on. */
static void write_some(const char *name, const struct kind *k, uint64_t size)
{
	char cmd[7000];
	size_t at = 0;

	*cmd = 0;
	for (int i = 0; k->packs && i < 10; i++)
		at += one_write(cmd + at, sizeof(cmd) - at, k, size, true);
	for (int i = 0; i < 25; i++)
		at += one_write(cmd + at, sizeof(cmd) - at, k, size, false);
	(void)try_sh("qemu-io -t unsafe -f %s %s %s >/dev/null 2>&1", k->format, cmd, name);
}

static void options_for(const struct kind *k, const char *name, char *out, size_t size)
{
	const char *at = strstr(k->options, "NAME");

	if (at)
		snprintf(out, size, "%.*s%s%s", (int)(at - k->options), k->options, name,
			 at + 4);
	else
		snprintf(out, size, "%s", k->options);
}

static void make_top(const struct kind *k, const char *name, uint64_t size)
{
	char options[200];

	options_for(k, name, options, sizeof(options));
	sh("qemu-img create -q -f %s %s %s %" PRIu64, k->format, options, name, size);
	write_some(name, k, size);
}

/* ---- comparing -------------------------------------------------------------- */

static bool is_zero(const uint8_t *p, size_t n)
{
	for (; n; n--, p++)
		if (*p)
			return false;
	return true;
}

/* The extents cover the disk, take turns, and holes are zeros. */
static void walk_extents(struct qc_image *img, const uint8_t *want, size_t size)
{
	bool before = false;

	for (uint64_t at = 0; at < size;) {
		struct qc_extent e = { 0, false };

		CHECK(!qc_block_status(img, at, &e));
		CHECK(e.len > 0 && e.len <= size - at);
		if (!e.len)
			return;
		CHECK(at == 0 || e.data != before);
		CHECK(e.data || is_zero(want + at, e.len));
		before = e.data;
		at += e.len;
	}
}

/* From any offset, the rest of the same run. */
static void extents_anywhere(struct qc_image *img, size_t size)
{
	for (int i = 0; i < 50; i++) {
		uint64_t at = random_below(&seed, size);
		struct qc_extent a, b;

		CHECK(!qc_block_status(img, at, &a));
		if (a.len < 2)
			continue;
		CHECK(!qc_block_status(img, at + a.len / 2, &b));
		CHECK(b.data == a.data && b.len == a.len - a.len / 2);
	}
}

static void compare(struct qc_context *ctx, const char *name, const char *format)
{
	size_t size;
	uint8_t *want = reference(name, format, &size);
	struct qc_image *img = image_open(ctx, name);
	int before = tap_failed;

	CHECK(qc_size(img) == size);
	CHECK(reads_as(img, 0, size, want));
	for (int i = 0; i < 150; i++) {
		uint64_t off = random_below(&seed, size);
		size_t most = size - off < 200000 ? size - off : 200000;

		CHECK(reads_as(img, off, 1 + random_below(&seed, most), want));
	}
	walk_extents(img, want, size);
	extents_anywhere(img, size);
	if (tap_failed != before)
		printf("# %s\n", name);
	qc_close(img);
	free(want);
}

/* ---- stories ---------------------------------------------------------------- */

static uint64_t random_size(void)
{
	return (1 + random_below(&seed, 6 * K)) * 512 + M;
}

static void all_kinds(void)
{
	struct qc_context *ctx = context_new(NULL);
	char name[60];

	for (size_t i = 0; i < COUNT(kinds); i++) {
		snprintf(name, sizeof(name), "kind-%zu", i);
		make_top(&kinds[i], name, random_size());
		compare(ctx, name, kinds[i].format);
	}
	context_end(ctx);
}

static const char *make_base(unsigned int i)
{
	static const struct kind raw = { "raw", "", 512, false };
	const struct kind *k = i % 3 ? &kinds[i % 3 == 1 ? 2 : 8] : &raw;

	sh("rm -f base-%u", i);
	make_top(k, i == 0 ? "base-0" : i == 1 ? "base-1" : "base-2", random_size());
	return k->format;
}

/* Each overlay on a raw base, or a plain or a zstd one, shorter or longer. */
static void all_kinds_of_overlays(void)
{
	struct qc_context *ctx = context_new(NULL);
	const char *base_format[3];
	char name[60], options[200];

	for (unsigned int i = 0; i < 3; i++)
		base_format[i] = make_base(i);
	for (size_t i = 0; i < COUNT(kinds); i++) {
		const struct kind *k = &kinds[i];
		size_t b = !strcmp(k->format, "qcow") ? 1 + i % 2 : i % 3;
		uint64_t size = random_size();

		if (strstr(k->options, "data_file_raw"))
			continue; /* has no backing file */
		snprintf(name, sizeof(name), "overlay-%zu", i);
		options_for(k, name, options, sizeof(options));
		sh("qemu-img create -q -f %s %s -b base-%zu -F %s %s %" PRIu64, k->format,
		   options, b, base_format[b], name, size);
		write_some(name, k, size);
		compare(ctx, name, k->format);
	}
	context_end(ctx);
}

static void packed_throughout(void)
{
	static const char *const options[] = {
		"cluster_size=512", "cluster_size=64k", "cluster_size=2M,compression_type=zstd",
		"cluster_size=16k,extended_l2=on,compression_type=zstd",
	};
	struct qc_context *ctx = context_new(NULL);
	char name[60];

	make_top(&kinds[3], "plain", 4 * M + 512);
	for (size_t i = 0; i < COUNT(options); i++) {
		snprintf(name, sizeof(name), "packed-%zu", i);
		sh("qemu-img convert -q -c -f qcow2 -O qcow2 -o %s plain %s", options[i], name);
		compare(ctx, name, "qcow2");
	}
	CHECK(counters(ctx).clusters_decompressed > 0);
	context_end(ctx);
}

/* qemu-img cannot; and qemu-io only where there was nothing before. */
static void packed_version_1(void)
{
	struct qc_context *ctx = context_new(NULL);
	char cmd[7000];
	size_t at = 0;

	for (unsigned int i = 0; i < 100; i++)
		if (random_below(&seed, 4))
			at += (size_t)snprintf(cmd + at, sizeof(cmd) - at,
					       " -c 'write %s -P %u %u 4k'",
					       random_below(&seed, 3) ? "-c" : "", 1 + i % 255,
					       i * 4096);
	sh("qemu-img create -q -f qcow packed 512k"
	   " && qemu-io -t unsafe -f qcow %s packed >/dev/null", cmd);
	compare(ctx, "packed", "qcow");
	CHECK(counters(ctx).clusters_decompressed > 0);
	context_end(ctx);
}

int main(void)
{
	begin();
	seed = random_seed();
	RUN(all_kinds);
	RUN(all_kinds_of_overlays);
	RUN(packed_throughout);
	RUN(packed_version_1);
	return DONE();
}
