/* SPDX-License-Identifier: MIT */
/* Damage is -EIO where it is, a line with the offset, and no harm elsewhere. */
#include "image/chain_walk.h"
#include "image/image.h"
#include "make.h"

#define C63 (UINT64_C(1) << 63)
#define C62 (UINT64_C(1) << 62)

static struct logbook book = LOGBOOK;
static struct qc_context *ctx;

/* Four clusters of data; the second is the one to be damaged. */
static void make_plain(void)
{
	sh("rm -f img && qemu-img create -q -f qcow2 img 1M"
	   " && qemu-io -t unsafe -c 'write -P 1 0 64k' -c 'write -P 2 64k 64k'"
	   " -c 'write -P 3 128k 64k' -c 'write -P 4 192k 64k' img >/dev/null");
	logbook_clear(&book);
}

static void second_cluster_is_lost(const char *what, qc_err err, const char *word)
{
	struct qc_image *img = image_open(ctx, "img");
	int before = tap_failed;

	CHECK(reads_byte(img, 0, 64 * K, 1));
	CHECK(read_error(img, 64 * K, 512) == err);
	CHECK(logged(&book, word) && logged(&book, "/img: "));
	CHECK(logged(&book, "guest offset 0x10"));
	CHECK(read_error(img, 0, 256 * K) == err);
	CHECK(reads_byte(img, 128 * K, 64 * K, 3));
	CHECK(reads_byte(img, 192 * K, 64 * K, 4));
	if (tap_failed != before)
		printf("# %s\n", what);
	qc_close(img);
}

static void damaged_entries(void)
{
	static const struct {
		const char *what;
		uint64_t entry;
		const char *word;
	} t[] = {
		{ "reserved bit 1", C63 | 0x50002, "L2 entry 1 of the table at 0x40000" },
		{ "reserved bit 56", UINT64_C(1) << 56 | 0x50000, "is damaged" },
		{ "not aligned", C63 | 0x50200, "is damaged" },
		{ "beyond the end", C63 | 0x5000000, "beyond the end of the file" },
		{ "far beyond", C63 | UINT64_C(0x00ffffffffff0000), "beyond the end" },
		{ "packed, nothing there", C62 | 0x5000000, "cannot decompress" },
		{ "packed, not deflate", C62 | 0x50000, "cannot decompress" },
	};

	for (size_t i = 0; i < COUNT(t); i++) {
		make_plain();
		poke64("img", l2_at("img", 1), t[i].entry);
		second_cluster_is_lost(t[i].what, -EIO, t[i].word);
	}
}

static void extents_stop_before_damage(void)
{
	struct qc_image *img;
	struct qc_extent e;

	make_plain();
	poke64("img", l2_at("img", 1), 0x50002);
	img = image_open(ctx, "img");
	CHECK(!qc_block_status(img, 0, &e) && e.data && e.len == 64 * K);
	CHECK(qc_block_status(img, 64 * K, &e) == -EIO);
	CHECK(!qc_block_status(img, 128 * K, &e) && e.data && e.len == 128 * K);
	qc_close(img);
}

/* Returns true if the step at @at is of this kind and length, and moves *at behind it. */
static bool steps(struct qc_image *img, uint64_t *at, enum qc_kind kind, enum qc_damage damage,
		  uint64_t len)
{
	struct qc_walk w;
	struct qc_step s;
	qc_err r;

	qc_walk_begin(&w, img, *at, qc_size(img));
	r = qc_walk_step(&w, &s);
	*at = w.at;
	if (!r && s.x.kind == kind && s.x.len == len && (kind != QC_DAMAGED || s.x.damage == damage))
		return true;
	printf("# %d: kind %d, damage %d, %" PRIu64 " bytes\n", r, s.x.kind, s.x.damage, s.x.len);
	return false;
}

/* A reader that knows how far the damage reaches goes on behind it; nothing is logged. */
static void damage_has_a_length(void)
{
	struct qc_image *img;
	uint64_t at = 1000;

	make_plain();
	poke64("img", l2_at("img", 1), 0x50002);
	img = image_open(ctx, "img");
	CHECK(steps(img, &at, QC_DATA, 0, 64 * K - 1000));
	CHECK(steps(img, &at, QC_DAMAGED, QC_DAMAGE_L2_ENTRY, 64 * K));
	CHECK(steps(img, &at, QC_DATA, 0, 128 * K));
	CHECK(steps(img, &at, QC_ZERO, 0, 768 * K) && at == M);
	at = 100 * K;
	CHECK(steps(img, &at, QC_DAMAGED, QC_DAMAGE_L2_ENTRY, 28 * K));
	CHECK(book.lines == 0);
	qc_close(img);
}

static void damaged_tables_have_a_length(void)
{
	struct qc_image *img;
	uint64_t at = 3 * M;

	sh("rm -f img && qemu-img create -q -f qcow2 -o cluster_size=4k img 2G &&"
	   " qemu-io -t unsafe -c 'write -P 1 1M 4M' -c 'write -P 2 1G 4k' img >/dev/null");
	logbook_clear(&book);
	poke64("img", l1_at("img") + 8, C63 | 0x200); /* of 2 to 4 MiB */
	poke64("img", l1_at("img"), C63 | 0x40000000);
	img = image_open(ctx, "img");
	CHECK(steps(img, &at, QC_DAMAGED, QC_DAMAGE_L1_ENTRY, M));
	CHECK(steps(img, &at, QC_DATA, 0, M));
	at = 4 * K;
	CHECK(steps(img, &at, QC_DAMAGED, QC_DAMAGE_L2_UNREADABLE, 2 * M - 4 * K));
	CHECK(steps(img, &at, QC_DAMAGED, QC_DAMAGE_L1_ENTRY, 2 * M));
	CHECK(book.lines == 0 && read_error(img, 4 * K, 1) == -EIO && book.lines == 1);
	qc_close(img);
}

static void damaged_l1_entries(void)
{
	static const struct {
		uint64_t entry;
		const char *word;
	} t[] = {
		{ C63, "L1 entry 0" },
		{ C63 | 0x40200, "L1 entry 0" },
		{ 1, "L1 entry 0" },
		{ UINT64_C(1) << 60 | 0x40000, "L1 entry 0" },
		{ C63 | 0x10000, "L1 entry 0" }, /* the refcount table */
		{ C63 | 0x30000, "L1 entry 0" }, /* the L1 table itself */
		{ C63 | 0x4000000, "cannot read the L2 table at 0x4000000" },
	};

	for (size_t i = 0; i < COUNT(t); i++) {
		struct qc_image *img;

		make_plain();
		poke64("img", l1_at("img"), t[i].entry);
		img = image_open(ctx, "img");
		CHECK(read_error(img, 0x12345, 1) == -EIO);
		CHECK(logged(&book, t[i].word) && logged(&book, "guest offset 0x12345"));
		qc_close(img);
	}
}

static void an_l1_that_names_nothing(void)
{
	struct qc_image *img;

	make_plain();
	poke64("img", l1_at("img"), 0);
	img = image_open(ctx, "img");
	CHECK(reads_byte(img, 0, M, 0));
	qc_close(img);
}

static void version_2_has_no_zero_clusters(void)
{
	struct qc_image *img;

	sh("rm -f img && qemu-img create -q -f qcow2 -o compat=0.10 img 1M"
	   " && qemu-io -t unsafe -c 'write 0 1M' img >/dev/null");
	logbook_clear(&book);
	poke64("img", l2_at("img", 1), 1);
	img = image_open(ctx, "img");
	CHECK(read_error(img, 64 * K, 1) == -EIO && logged(&book, "L2 entry 1"));
	qc_close(img);
}

static void version_1(void)
{
	uint64_t table, entry;
	struct qc_image *img;

	sh("rm -f img && qemu-img create -q -f qcow img 1M"
	   " && qemu-io -t unsafe -f qcow -c 'write -P 1 0 1M' img >/dev/null");
	logbook_clear(&book);
	table = peek64("img", peek64("img", 40));
	entry = table + 8;
	poke64("img", entry, peek64("img", entry) + 1);
	poke64("img", entry + 8, C63 | 0x1000); /* packed into no bytes */
	img = image_open(ctx, "img");
	CHECK(reads_byte(img, 0, 4096, 1));
	CHECK(read_error(img, 4096, 1) == -EIO && logged(&book, "L2 entry 1"));
	CHECK(read_error(img, 8192, 1) == -EIO && logged(&book, "L2 entry 2"));
	CHECK(reads_byte(img, 12288, 4096, 1));
	qc_close(img);
	poke64("img", peek64("img", 40), 16); /* a table inside the header */
	img = image_open(ctx, "img");
	CHECK(read_error(img, 0, 1) == -EIO && logged(&book, "L1 entry 0"));
	qc_close(img);
}

static void subclusters(void)
{
	struct qc_image *img;
	uint64_t entry;

	sh("rm -f img && qemu-img create -q -f qcow2 -o extended_l2=on img 1M"
	   " && qemu-io -t unsafe -c 'write -P 1 0 64k' -c 'write -P 2 64k 64k' img"
	   " >/dev/null");
	logbook_clear(&book);
	entry = l2_at("img", 2); /* of 16 bytes each: number 1 */
	poke64("img", entry + 8, UINT64_C(1) << 35 | 8); /* both there and zero */
	img = image_open(ctx, "img");
	CHECK(reads_byte(img, 0, 64 * K, 1));
	CHECK(read_error(img, 64 * K, 1) == -EIO && logged(&book, "L2 entry 1"));
	qc_close(img);
}

static void compressed_garbage(void)
{
	static const char *const options[] = { "", "-o compression_type=zstd" };

	for (size_t i = 0; i < COUNT(options); i++) {
		uint64_t host;

		make_plain();
		sh("mv img plain && qemu-img convert -q -c -f qcow2 -O qcow2 %s plain img",
		   options[i]);
		logbook_clear(&book);
		host = peek64("img", l2_at("img", 1)) & UINT64_C(0x3fffffffffffff);
		poke("img", host, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
		second_cluster_is_lost("compressed", -EIO, "cannot decompress");
	}
}

static void data_files(void)
{
	struct qc_image *img;

	sh("rm -f img && qemu-img create -q -f qcow2 -o data_file=data img 1M"
	   " && qemu-io -t unsafe -c 'write -P 1 0 1M' img >/dev/null");
	logbook_clear(&book);
	poke64("img", l2_at("img", 1), C63 | 0x20000);	 /* not its own place */
	poke64("img", l2_at("img", 2), C62 | 0x20000);	 /* packed */
	img = image_open(ctx, "img");
	CHECK(reads_byte(img, 0, 64 * K, 1));
	CHECK(read_error(img, 64 * K, 1) == -EIO && logged(&book, "L2 entry 1"));
	CHECK(read_error(img, 128 * K, 1) == -EIO && logged(&book, "L2 entry 2"));
	CHECK(reads_byte(img, 192 * K, 64 * K, 1));
	qc_close(img);
}

/* ---- files that end too soon ------------------------------------------------ */

static void cut_at(uint64_t size)
{
	if (truncate("img", (off_t)size))
		fatal("img");
	logbook_clear(&book);
}

static void the_last_cluster_may_be_partial(void)
{
	struct qc_image *img;
	struct stat st;

	make_plain();
	CHECK(!stat("img", &st) && st.st_size == 0x90000);
	cut_at(0x90000 - 1000);
	img = image_open(ctx, "img");
	CHECK(reads_byte(img, 192 * K, 64 * K - 1000, 4));
	CHECK(reads_byte(img, 256 * K - 1000, 1000, 0));
	CHECK(book.lines == 0);
	qc_close(img);
	cut_at(0x80001);
	img = image_open(ctx, "img");
	CHECK(reads_byte(img, 192 * K, 1, 4));
	CHECK(reads_byte(img, 192 * K + 1, 64 * K - 1, 0));
	CHECK(reads_byte(img, 128 * K, 64 * K, 3));
	CHECK(book.lines == 0);
	qc_close(img);
}

static void a_whole_cluster_is_missing(void)
{
	struct qc_image *img;

	make_plain();
	cut_at(0x80000);
	img = image_open(ctx, "img");
	CHECK(reads_byte(img, 0, 64 * K, 1) && reads_byte(img, 128 * K, 64 * K, 3));
	CHECK(read_error(img, 192 * K, 1) == -EIO);
	CHECK(logged(&book, "guest offset 0x30000 is beyond the end"));
	CHECK(read_error(img, 0, 256 * K) == -EIO);
	CHECK(reads_byte(img, 256 * K, 768 * K, 0));
	qc_close(img);
	make_plain();
	cut_at(0x70001); /* the third is partial, the fourth is not there */
	img = image_open(ctx, "img");
	CHECK(reads_byte(img, 128 * K, 1, 3));
	CHECK(read_error(img, 128 * K, 128 * K) == -EIO);
	CHECK(read_error(img, 255 * K, 1) == -EIO);
	qc_close(img);
}

static void tables_are_missing(void)
{
	struct qc_image *img;

	make_plain();
	cut_at(0x40000); /* in front of the L2 table */
	img = image_open(ctx, "img");
	CHECK(read_error(img, 0, 1) == -EIO && logged(&book, "L2 table at 0x40000"));
	qc_close(img);
	cut_at(0x30000); /* in front of the L1 table */
	CHECK(image_refused(ctx, "img", -EINVAL, QC_CAUSE_IMAGE, "L1 table at 0x30000"));
	cut_at(50);
	CHECK(image_refused(ctx, "img", -EINVAL, QC_CAUSE_IMAGE, "inside the header"));
	cut_at(0);
	CHECK(image_refused(ctx, "img", -EMEDIUMTYPE, QC_CAUSE_IMAGE, "not a QCOW image"));
}

static void a_raw_base_that_is_cut_while_open(void)
{
	struct qc_image *img;
	struct qc_extent e;

	sh("rm -f img && head -c 1M /dev/zero | tr '\\0' R >raw"
	   " && qemu-img create -q -f qcow2 -b raw -F raw img 1M");
	img = image_open(ctx, "img");
	CHECK(reads_byte(img, 0, M, 'R'));
	logbook_clear(&book);
	CHECK(!truncate("raw", 512 * 1024));
	CHECK(reads_byte(img, 0, 512 * K, 'R'));
	CHECK(read_error(img, 512 * K - 1, 2) == -EIO &&
	      logged(&book, "shortened the file from 1048576 to 524288 bytes"));
	CHECK(qc_block_status(img, 768 * K, &e) == -EIO);
	qc_close(img);
}

/* ---- the log ---------------------------------------------------------------- */

static void the_log_is_not_flooded(void)
{
	struct qc_image *img;

	make_plain();
	poke64("img", l2_at("img", 1), 2);
	img = image_open(ctx, "img");
	for (int i = 0; i < 100; i++)
		CHECK(read_error(img, 64 * K, 1) == -EIO);
	CHECK(book.lines == 20);
	CHECK(logged(&book, "further errors"));
	qc_close(img);
}

int main(void)
{
	begin();
	ctx = context_new(&book);
	RUN(damaged_entries);
	RUN(extents_stop_before_damage);
	RUN(damage_has_a_length);
	RUN(damaged_tables_have_a_length);
	RUN(damaged_l1_entries);
	RUN(an_l1_that_names_nothing);
	RUN(version_2_has_no_zero_clusters);
	RUN(version_1);
	RUN(subclusters);
	RUN(compressed_garbage);
	RUN(data_files);
	RUN(the_last_cluster_may_be_partial);
	RUN(a_whole_cluster_is_missing);
	RUN(tables_are_missing);
	RUN(a_raw_base_that_is_cut_while_open);
	RUN(the_log_is_not_flooded);
	context_end(ctx);
	return DONE();
}
