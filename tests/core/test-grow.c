/* SPDX-License-Identifier: MIT */
/* A new disk grows while it is written: qc_grow() in random steps, with a model beside it. */
#include "write.h"

#define G (K * M)
#define MOST (6 * M)

static uint64_t seed;

static uint64_t pick(uint64_t n)
{
	return random_below(&seed, n);
}

static struct qc_context *ctx;

static qc_err give_key(void *arg, const char *path, unsigned int attempt, void *buf, size_t room,
		       size_t *len)
{
	(void)arg, (void)path, (void)room;
	*(char *)buf = 'x';
	*len = 1;
	return attempt ? -ENOENT : 0;
}

static void make(const struct qc_create_options *o)
{
	struct qc_reason why = { 0 };
	int fd = open("image", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || qc_create(fd, o, &why)) {
		printf("# create: %s\n", why.text);
		exit(1);
	}
	close(fd);
}

static uint64_t size_in_file(void)
{
	return peek64("image", 24);
}

struct model {
	struct qc_image *img;
	uint8_t *bytes;
	uint64_t size;
};

static uint64_t to_sector(uint64_t size)
{
	return (size + 511) / 512 * 512;
}

/* Writes a range that may begin behind the end. */
static bool write_step(struct model *m)
{
	uint64_t off = pick(10) ? m->size - m->size % (1 + pick(3)) :
					  pick(m->size + 1);
	uint64_t len = 1 + pick(pick(4) ? 5000 : 300000);
	uint8_t byte = (uint8_t)(1 + pick(255));

	off += pick(5) ? 0 : pick(200000);
	if (off + len > MOST)
		return true;
	if (qc_grow(m->img, to_sector(off + len)) || fill(m->img, off, len, byte))
		return false;
	memset(m->bytes + off, byte, len);
	m->size = to_sector(off + len) > m->size ? to_sector(off + len) : m->size;
	return qc_size(m->img) == m->size;
}

static bool shrink_step(struct model *m)
{
	uint64_t size = to_sector(pick(m->size + 1));

	if (qc_resize(m->img, size))
		return false;
	if (size < m->size)
		memset(m->bytes + size, 0, m->size - size);
	m->size = size;
	return true;
}

static bool steps_follow_the_model(const struct qc_create_options *o)
{
	struct model m = { .bytes = calloc(1, MOST) };
	bool good = true;

	make(o);
	m.img = image_write(ctx, "image");
	for (int i = 0; good && i < 150; i++) {
		good = pick(12) ? write_step(&m) : shrink_step(&m);
		if (good && !pick(15))
			good = !qc_flush(m.img) && size_in_file() == m.size;
		if (good && m.size && !pick(5)) {
			uint64_t off = pick(m.size);
			size_t len = (size_t)(m.size - off < 100000 ? m.size - off : 100000);

			good = reads_as(m.img, off, len, m.bytes);
		}
	}
	good = good && (!m.size || reads_as(m.img, 0, m.size, m.bytes));
	qc_close(m.img);
	good = good && size_in_file() == m.size;
	if (good && o->encryption == QC_CREATE_PLAIN) {
		good = is_sound("image") && qemu_reads("image", "qcow2", m.bytes, m.size);
	} else if (good) {
		m.img = image_write(ctx, "image");
		good = !m.size || reads_as(m.img, 0, m.size, m.bytes);
		qc_close(m.img);
	}
	free(m.bytes);
	return good;
}

static void a_disk_grows_by_being_written(void)
{
	static const struct qc_create_options kinds[] = {
		{ .version = 3 },
		{ .version = 2 },
		{ .version = 2, .cluster_size = 512 },
		{ .version = 3, .cluster_size = 512 },
		{ .version = 3, .cluster_size = 4096, .refcount_bits = 1 },
		{ .version = 3, .cluster_size = 2 * M },
		{ .version = 3, .extended_l2 = true },
		{ .version = 3, .extended_l2 = true, .cluster_size = 16384 },
		{ .version = 3, .cluster_size = 4096, .encryption = QC_CREATE_LUKS,
		  .iter_time_ms = 10, .passphrase = "x", .passphrase_len = 1 },
	};

	for (size_t i = 0; i < COUNT(kinds); i++) {
		bool good = steps_follow_the_model(&kinds[i]);

		if (!good)
			printf("# kind %zu\n", i);
		CHECK(good);
	}
}

/* One that lives on in the daemon's memory would be lost with the daemon. */
static void flush_and_writeback_write_the_size(void)
{
	struct qc_image *img;

	make(&(struct qc_create_options){ 0 });
	img = image_write(ctx, "image");
	CHECK(!qc_grow(img, 4096) && qc_size(img) == 4096);
	CHECK(!qc_grow(img, 1024) && qc_size(img) == 4096);
	CHECK(!qc_grow(img, 8192) && qc_size(img) == 8192 && size_in_file() == 4096);
	CHECK(!qc_writeback(img) && size_in_file() == 8192);
	CHECK(!qc_grow(img, 20 * G) && !qc_flush(img) && size_in_file() == 20 * G);
	CHECK(!qc_snapshot_take(img, "one", 3) && !qc_grow(img, 21 * G));
	CHECK(qc_grow(img, 1000) == 0 && qc_grow(img, 21 * G + 1) == -EINVAL);
	CHECK(qc_grow(img, UINT64_C(1) << 62) == -EFBIG);
	qc_close(img);
	CHECK(size_in_file() == 21 * G && is_sound("image"));
}

static void few_steps_touch_the_file(void)
{
	struct qc_image *img;
	uint64_t moves = 0, at = 0;

	make(&(struct qc_create_options){ .cluster_size = 512 });
	img = image_write(ctx, "image");
	for (uint64_t size = 512; size <= 4 * M; size += 512) {
		CHECK(!qc_grow(img, size));
		moves += at != l1_at("image");
		at = l1_at("image");
	}
	CHECK(moves <= 6);
	qc_close(img);
	CHECK(is_sound("image"));
}

static void a_backing_file_does_not_show_behind_the_end(void)
{
	struct qc_image *img;

	sh("rm -f image && qemu-img create -q -f raw base 3M && qemu-io -f raw -c 'write -P 7 0 3M' base >/dev/null"
	   " && qemu-img create -q -f qcow2 -b base -F raw image 1M");
	img = image_write(ctx, "image");
	CHECK(!qc_grow(img, 2 * M) && reads_byte(img, 0, M, 7) && reads_byte(img, M, M, 0));
	CHECK(!qc_grow(img, 3 * M) && reads_byte(img, M, 2 * M, 0));
	qc_close(img);
	CHECK(is_sound("image"));
}

int main(void)
{
	begin();
	seed = random_seed();
	ctx = context_of(&(struct qc_config){ .verify = QC_VERIFY_ON, .key = give_key });
	RUN(a_disk_grows_by_being_written);
	RUN(flush_and_writeback_write_the_size);
	RUN(few_steps_touch_the_file);
	RUN(a_backing_file_does_not_show_behind_the_end);
	context_end(ctx);
	return DONE();
}
