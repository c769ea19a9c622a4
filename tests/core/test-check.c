/* SPDX-License-Identifier: MIT */
/* Refcounts that lie are found before the first write, and nothing is given away twice. */
#include "write.h"

static struct logbook book = LOGBOOK;

static qc_err give_key(void *arg, const char *path, unsigned int attempt, void *buf, size_t room,
		       size_t *len)
{
	(void)arg, (void)path, (void)room;
	if (attempt)
		return -ENOENT;
	*len = 6;
	memcpy(buf, "secret", *len);
	return 0;
}

static uint64_t l1_table(void)
{
	return peek64("image", 40);
}

static uint64_t l2_table(void)
{
	return peek64("image", peek64("image", 40)) & UINT64_C(0xfffffffffffe00);
}

static uint64_t block(void)
{
	return peek64("image", peek64("image", 48));
}

static void fresh(const char *options)
{
	sh("rm -f image && qemu-img create -q -f qcow2 -o %s image 4M &&"
	   " qemu-io -t unsafe -f qcow2 -c 'write -P 1 0 1M' image >/dev/null", options);
	logbook_clear(&book);
}

static struct qc_context *context_with(enum qc_verifying verify)
{
	struct qc_config config = { .log = logbook_fn, .log_arg = &book, .log_max = QC_LOG_WARN,
				    .verify = verify };

	return context_of(&config);
}

static void open_and_close(enum qc_verifying verify)
{
	struct qc_context *ctx = context_with(verify);

	qc_close(image_write(ctx, "image"));
	context_end(ctx);
}

/* Writes all other clusters; old data must stay. */
static bool keeps_what_was_there(enum qc_verifying verify)
{
	struct qc_context *ctx = context_with(verify);
	struct qc_image *img = image_write(ctx, "image");
	bool good;

	CHECK(!fill(img, M, 3 * M, 2) && !qc_flush(img));
	good = reads_byte(img, 0, M, 1) && reads_byte(img, M, 3 * M, 2);
	qc_close(img);
	context_end(ctx);
	return good && is_sound("image");
}

/* 16 clusters of data, at 5 and on; QEMU gives one of them away again. */
static void a_cluster_in_use_that_is_counted_free(void)
{
	static const char *const options[] = { "compat=1.1", "compat=0.10" };

	for (size_t i = 0; i < COUNT(options); i++) {
		fresh(options[i]);
		poke64("image", block() + 16, 0); /* clusters 8 to 11 */
		CHECK(keeps_what_was_there(QC_VERIFY_AUTO));
		CHECK(logged(&book, "refcounts are wrong"));
	}
}

static void a_table_that_is_counted_free(void)
{
	uint64_t at;

	fresh("compat=1.1,cluster_size=4k");
	at = block() + l2_table() / 4096 * 2;
	poke64("image", at - at % 8, 0);
	CHECK(keeps_what_was_there(QC_VERIFY_ON));
	CHECK(logged(&book, "refcounts are wrong"));
}

/* A write to one must not be seen in the other. */
static void two_entries_on_one_cluster(void)
{
	struct qc_context *ctx = context_with(QC_VERIFY_AUTO);
	struct qc_image *img;

	fresh("compat=1.1");
	poke64("image", l2_table() + 8 * 20, peek64("image", l2_table()));
	img = image_write(ctx, "image");
	CHECK(reads_byte(img, 20 * 64 * K, 64 * K, 1));
	CHECK(!fill(img, 20 * 64 * K, 100, 7) && reads_byte(img, 0, M, 1));
	CHECK(!fill(img, 0, 100, 8) && reads_byte(img, 20 * 64 * K, 100, 7));
	CHECK(reads_byte(img, 20 * 64 * K + 100, 64 * K - 100, 1));
	qc_close(img);
	context_end(ctx);
	CHECK(is_sound("image"));
}

/* A write to one must not be seen in the other, though both say that they are alone. */
static void two_entries_that_are_counted(void)
{
	struct qc_context *ctx = context_with(QC_VERIFY_AUTO);
	struct qc_image *img;

	fresh("compat=1.1");
	poke64("image", l2_table() + 8 * 20, peek64("image", l2_table()));
	poke64("image", block() + 8, 0x0001000200010001); /* cluster 5 */
	img = image_write(ctx, "image");
	CHECK(logged(&book, "refcounts are wrong"));
	CHECK(!fill(img, 20 * 64 * K, 100, 7) && reads_byte(img, 0, M, 1));
	CHECK(!fill(img, 0, 100, 8) && reads_byte(img, 20 * 64 * K, 100, 7));
	qc_close(img);
	context_end(ctx);
	CHECK(is_sound("image"));
}

/* Only one of them is written, and COPIED of the other one must be right all the same. */
static void one_of_two_entries_is_written(void)
{
	static const char *const options[] = { "compat=1.1", "compat=0.10", "compat=1.1,extended_l2=on",
					       "compat=1.1,cluster_size=512" };

	for (size_t i = 0; i < COUNT(options); i++) {
		struct qc_context *ctx = context_with(QC_VERIFY_AUTO);
		uint64_t size = strstr(options[i], "=512") ? 512 : 64 * K, step;
		struct qc_image *img;

		fresh(options[i]);
		step = strstr(options[i], "extended") ? 16 : 8;
		poke64("image", l2_table() + step * 20, peek64("image", l2_table()));
		poke64("image", l2_table() + step * 20 + 8, peek64("image", l2_table() + 8));
		if (step == 8)
			poke64("image", l2_table() + 8 * 21, 0);
		img = image_write(ctx, "image");
		CHECK(!fill(img, 20 * size, 100, 7) && reads_byte(img, 0, size, 1));
		CHECK(reads_byte(img, 20 * size + 100, size - 100, 1));
		qc_close(img);
		context_end(ctx);
		CHECK(is_sound("image"));
	}
}

/* As `qemu-img check -r all` leaves them: the refcount is 2, and COPIED is clear. */
static void two_entries_that_were_repaired(void)
{
	struct qc_context *ctx = context_with(QC_VERIFY_AUTO);
	struct qc_image *img;

	fresh("compat=1.1");
	poke64("image", l2_table() + 8 * 20, peek64("image", l2_table()));
	if (try_sh("qemu-img check -q -r all image >/dev/null 2>&1") < 0)
		fatal("qemu-img");
	CHECK(is_sound("image") && peek64("image", l2_table()) == peek64("image", l2_table() + 160));
	img = image_write(ctx, "image");
	CHECK(!fill(img, 0, 100, 8) && reads_byte(img, 20 * 64 * K, 64 * K, 1));
	qc_close(img);
	context_end(ctx);
	CHECK(is_sound("image"));
}

/* Two L1 entries on one L2 table. */
static void one_table_for_two_ranges(void)
{
	struct qc_context *ctx = context_with(QC_VERIFY_AUTO);
	struct qc_image *img;

	fresh("compat=1.1,cluster_size=4k");
	poke64("image", peek64("image", 40) + 8, peek64("image", peek64("image", 40)));
	img = image_write(ctx, "image");
	CHECK(logged(&book, "refcounts are wrong"));
	CHECK(reads_byte(img, 2 * M, M, 1) && reads_byte(img, 3 * M, M, 0));
	CHECK(!fill(img, 2 * M, 100, 7) && reads_byte(img, 0, M, 1));
	CHECK(!fill(img, 8 * K, 100, 8) && reads_byte(img, 2 * M + 8 * K, 100, 1));
	qc_close(img);
	context_end(ctx);
	CHECK(is_sound("image"));
}

/* With LUKS a sector is encrypted for the place where it is. */
static void two_entries_of_an_encrypted_image(void)
{
	struct qc_config config = { .log = logbook_fn, .log_arg = &book, .log_max = QC_LOG_WARN };
	struct qc_context *ctx;
	struct qc_image *img;
	uint64_t copy;

	sh("rm -f image && qemu-img create -q -f qcow2 --object secret,id=s,data=secret"
	   " -o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10 image 4M");
	config.key = give_key;
	ctx = context_of(&config);
	img = image_write(ctx, "image");
	CHECK(!fill(img, 0, M, 1));
	qc_close(img);
	poke64("image", l2_table() + 8 * 20, peek64("image", l2_table()));
	img = image_write(ctx, "image");
	CHECK(reads_byte(img, 20 * 64 * K, 64 * K, 1) && reads_byte(img, 0, M, 1));
	copy = peek64("image", l2_table() + 8 * 20);
	CHECK(copy != peek64("image", l2_table()));
	qc_close(img);
	context_end(ctx);
	CHECK(!try_sh("qemu-img check -q --object secret,id=s,data=secret --image-opts"
		      " driver=qcow2,file.filename=image,encrypt.key-secret=s"));
}

static void is_refused(const char *word)
{
	struct qc_context *ctx = context_with(QC_VERIFY_AUTO);
	struct qc_image *img;
	struct qc_reason why;

	sh("cp image before");
	CHECK(image_try(ctx, "image", QC_OPEN_WRITE, &img, &why) == -EIO);
	CHECK(strstr(why.text, word));
	img = image_open(ctx, "image");
	CHECK(reads_byte(img, 0, M, 1));
	qc_close(img);
	context_end(ctx);
	sh("cmp before image");
}

/* Autoclear bits stay, too. */
static void a_refused_repair_changes_nothing(void)
{
	fresh("compat=1.1");
	poke64("image", 88, 0x84);
	poke64("image", l2_table() + 8 * 20, l2_table() | UINT64_C(1) << 63);
	is_refused("refcounts are wrong, and cannot be repaired");
}

/* A guest write would change the table, or the table would change guest data. */
static void an_entry_on_a_table(void)
{
	fresh("compat=1.1");
	poke64("image", l2_table() + 8 * 20, l2_table() | UINT64_C(1) << 63);
	is_refused("refcounts are wrong, and cannot be repaired");
}

/* A repair would write refcounts over guest data. */
static void a_block_on_data(void)
{
	fresh("compat=1.1");
	poke64("image", peek64("image", 48), 5 * 64 * K);
	is_refused("refcounts are wrong, and cannot be repaired");
}

/* So large that its names are counted in two turns. */
static void a_large_one_that_is_dirty(bool clashes)
{
	struct qc_context *ctx = context_with(QC_VERIFY_AUTO);
	struct qc_image *img;
	struct qc_reason why;

	fresh("compat=1.1,cluster_size=512");
	poke64("image", 72, 1);
	sh("truncate -s 4200M image");
	if (clashes)
		poke64("image", peek64("image", 48), peek64("image", l2_table()) << 1 >> 1);
	CHECK(image_try(ctx, "image", QC_OPEN_WRITE, &img, &why) == (clashes ? -EIO : 0));
	if (clashes)
		img = image_open(ctx, "image");
	CHECK(reads_byte(img, 0, M, 1));
	qc_close(img);
	context_end(ctx);
	CHECK(clashes || is_sound("image"));
}

static void a_block_on_data_of_a_large_file(void)
{
	a_large_one_that_is_dirty(true);
}

static void a_large_file_is_repaired(void)
{
	a_large_one_that_is_dirty(false);
}

static void two_entries_of_version_1(void)
{
	uint64_t l1, l2;

	sh("rm -f image && qemu-img create -q -f qcow image 4M &&"
	   " qemu-io -t unsafe -f qcow -c 'write -P 1 0 1M' image >/dev/null");
	l1 = peek64("image", 40);
	l2 = peek64("image", l1);
	poke64("image", l2 + 8 * 500, peek64("image", l2));
	is_refused("two table entries reference one cluster");
}

static void an_image_that_is_right_is_left_alone(void)
{
	fresh("compat=1.1");
	sh("qemu-img snapshot -c one image && cp image before");
	open_and_close(QC_VERIFY_ON);
	sh("cmp before image");
	CHECK(!book.lines);
}

/* Leaks are no danger, and not worth a repair of an image that somebody sent. */
static void counts_that_are_too_high(void)
{
	fresh("compat=1.1");
	poke64("image", block() + 16, 0x0002000200020002);
	sh("cp image before");
	open_and_close(QC_VERIFY_ON);
	sh("cmp before image");
}

static void off_means_off(void)
{
	fresh("compat=1.1");
	poke64("image", block() + 16, 0);
	sh("cp image before");
	open_and_close(QC_VERIFY_OFF);
	sh("cmp before image");
}

/* More names than the width can count. */
static void what_cannot_be_counted_is_not_written(void)
{
	struct qc_context *ctx = context_with(QC_VERIFY_AUTO);
	struct qc_image *img;
	struct qc_reason why;

	fresh("compat=1.1,refcount_bits=1");
	poke64("image", l2_table() + 8 * 20, peek64("image", l2_table()));
	CHECK(image_try(ctx, "image", QC_OPEN_WRITE, &img, &why) == -EOVERFLOW);
	CHECK(strstr(why.text, "refcounts are wrong, and cannot be repaired"));
	img = image_open(ctx, "image");
	CHECK(reads_byte(img, 0, M, 1));
	qc_close(img);
	context_end(ctx);
}

/* An entry that reads as zeros, whose cluster is not in the file yet. */
static uint64_t zeros_behind_the_end(uint64_t cluster, uint64_t count)
{
	uint64_t entry = UINT64_C(1) << 63 | cluster << 16 | 1, counts = block() + cluster / 4 * 8;

	fresh("compat=1.1");
	poke64("image", l2_table() + 8 * 20, entry);
	poke64("image", counts, peek64("image", counts) | count << (48 - cluster % 4 * 16));
	sh("cp image before");
	return entry;
}

/* The file would come to it as it grows. */
static void a_free_cluster_behind_the_end(void)
{
	struct qc_context *ctx = context_with(QC_VERIFY_AUTO);
	struct qc_image *img;
	struct qc_reason why;

	zeros_behind_the_end(100, 0);
	CHECK(image_try(ctx, "image", QC_OPEN_WRITE, &img, &why) == -EIO);
	CHECK(strstr(why.text, "refcounts are wrong, and cannot be repaired"));
	img = image_open(ctx, "image");
	CHECK(reads_byte(img, 0, M, 1) && reads_byte(img, M, 3 * M, 0));
	qc_close(img);
	context_end(ctx);
	sh("cmp before image");
}

static void a_cluster_that_was_taken_behind_the_end(void)
{
	zeros_behind_the_end(100, 1);
	open_and_close(QC_VERIFY_AUTO);
	sh("cmp before image");
	CHECK(keeps_what_was_there(QC_VERIFY_AUTO));
	CHECK(!book.lines);
}

static void two_entries_behind_the_end(void)
{
	struct qc_context *ctx = context_with(QC_VERIFY_AUTO);
	uint64_t entry = zeros_behind_the_end(100, 1);
	struct qc_image *img;
	struct qc_reason why;

	poke64("image", l2_table() + 8 * 30, entry);
	CHECK(image_try(ctx, "image", QC_OPEN_WRITE, &img, &why) == -EIO);
	context_end(ctx);
}

static uint64_t snapshot_table(void)
{
	return peek64("image", 64);
}

static uint64_t snapshot_l1(void)
{
	return peek64("image", snapshot_table());
}

static uint64_t snapshot_l2(void)
{
	return peek64("image", snapshot_l1()) & UINT64_C(0xfffffffffffe00);
}

/* The refcounts were not checked, but metadata is not written over. */
static void an_entry_on_metadata_that_was_not_looked_for(void)
{
	static uint64_t (*const places[])(void) = { l2_table, block, snapshot_table, snapshot_l1,
						     snapshot_l2 };

	for (size_t i = 0; i < COUNT(places); i++) {
		struct qc_context *ctx = context_with(QC_VERIFY_OFF);
		struct qc_image *img;

		fresh("compat=1.1");
		sh("qemu-img snapshot -c one image && "
		   "qemu-io -t unsafe -f qcow2 -c 'write -P 3 0 1M' image >/dev/null");
		poke64("image", l2_table() + 8 * 20, places[i]() | UINT64_C(1) << 63);
		img = image_write(ctx, "image");
		CHECK(fill(img, 20 * 64 * K, 100, 7) == -EIO);
		CHECK(logged(&book, "guest data would be written over metadata"));
		CHECK(reads_byte(img, 0, M, 3));
		qc_close(img);
		context_end(ctx);
		logbook_clear(&book);
	}
}

/* An entry without COPIED is replaced by a write, and its cluster is freed: never metadata. */
static void a_replaced_entry_frees_no_metadata(void)
{
	static uint64_t (*const places[])(void) = { l1_table, l2_table, block, snapshot_table,
						     snapshot_l1, snapshot_l2 };

	for (size_t i = 0; i < COUNT(places); i++) {
		struct qc_context *ctx = context_with(QC_VERIFY_OFF);
		struct qc_image *img;

		fresh("compat=1.1");
		sh("qemu-img snapshot -c one image && "
		   "qemu-io -t unsafe -f qcow2 -c 'write -P 3 0 1M' image >/dev/null");
		poke64("image", l2_table() + 8 * 20, places[i]());
		img = image_write(ctx, "image");
		CHECK(!fill(img, 20 * 64 * K, 64 * K, 7) && !qc_flush(img));
		CHECK(logged(&book, "referenced metadata"));
		qc_close(img);
		context_end(ctx);
		logbook_clear(&book);
		CHECK(is_sound("image"));
		CHECK(try_sh("qemu-io -f qcow2 -c 'read -P 3 0 1M' -c 'read -P 7 1280k 64k' image | "
			     "grep -q failed"));
	}
}

/* Clusters that were metadata at the open may become data later. */
static void metadata_that_went_is_data(void)
{
	struct qc_context *ctx = context_with(QC_VERIFY_OFF);
	struct qc_snapshots list;
	struct qc_image *img;

	fresh("compat=1.1,cluster_size=4k");
	for (int i = 0; i < 3; i++)
		sh("qemu-img snapshot -c s%d image && "
		   "qemu-io -t unsafe -f qcow2 -c 'write -P %d 0 1M' image >/dev/null", i, i + 2);
	img = image_write(ctx, "image");
	CHECK(!qc_list_snapshots(img, &list) && list.n == 3);
	for (uint32_t i = 0; i < 3; i++)
		CHECK(!qc_snapshot_delete(img, &list.at[i]));
	qc_snapshots_free(&list);
	CHECK(!fill(img, M, 3 * M, 8) && !qc_flush(img));
	CHECK(!fill(img, M, 3 * M, 9) && reads_byte(img, M, 3 * M, 9) && reads_byte(img, 0, M, 4));
	CHECK(!book.lines);
	qc_close(img);
	context_end(ctx);
	CHECK(is_sound("image"));
}

int main(void)
{
	begin();
	RUN(a_cluster_in_use_that_is_counted_free);
	RUN(a_table_that_is_counted_free);
	RUN(two_entries_on_one_cluster);
	RUN(two_entries_that_are_counted);
	RUN(one_of_two_entries_is_written);
	RUN(two_entries_that_were_repaired);
	RUN(one_table_for_two_ranges);
	RUN(two_entries_of_an_encrypted_image);
	RUN(an_entry_on_a_table);
	RUN(a_refused_repair_changes_nothing);
	RUN(a_block_on_data);
	RUN(a_block_on_data_of_a_large_file);
	RUN(a_large_file_is_repaired);
	RUN(two_entries_of_version_1);
	RUN(an_image_that_is_right_is_left_alone);
	RUN(counts_that_are_too_high);
	RUN(off_means_off);
	RUN(what_cannot_be_counted_is_not_written);
	RUN(a_free_cluster_behind_the_end);
	RUN(a_cluster_that_was_taken_behind_the_end);
	RUN(two_entries_behind_the_end);
	RUN(an_entry_on_metadata_that_was_not_looked_for);
	RUN(a_replaced_entry_frees_no_metadata);
	RUN(metadata_that_went_is_data);
	return DONE();
}
