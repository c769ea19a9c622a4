/* SPDX-License-Identifier: MIT */
/* A feature that registers with a writer hears of the first change, of each range, and of the end. */
#include "image/image.h"
#include "update/writer.h"
#include "write.h"

static struct {
	unsigned int first_changes, flushes, closes;
	bool write_at_close;
	qc_err refuse;
	uint64_t off, len; /* of the last range */
	unsigned int ranges, reliefs, resizes, resized;
	qc_err refuse_resize;
	uint64_t size; /* of the disk, when it was resized */
} heard;

static qc_err on_first_change(struct qc_writer *w, void *state)
{
	CHECK(w && state == &heard);
	heard.first_changes++;
	return heard.refuse;
}

static void on_range(struct qc_writer *w, void *state, uint64_t off, uint64_t len)
{
	CHECK(w && state == &heard);
	heard.off = off;
	heard.len = len;
	heard.ranges++;
}

static qc_err on_flush(struct qc_writer *w, void *state)
{
	CHECK(w && state == &heard);
	heard.flushes++;
	return 0;
}

static qc_err on_close(struct qc_writer *w, void *state, bool write)
{
	CHECK(w && state == &heard);
	heard.closes++;
	heard.write_at_close = write;
	return 0;
}

static void on_relief(struct qc_writer *w, void *state)
{
	CHECK(w && state == &heard);
	heard.reliefs++;
}

static qc_err on_resize(struct qc_writer *w, void *state)
{
	CHECK(w && state == &heard);
	heard.resizes++;
	return heard.refuse_resize;
}

static void on_resized(struct qc_writer *w, void *state)
{
	CHECK(state == &heard && heard.resizes == ++heard.resized);
	heard.size = w->layer->size;
}

static const struct qc_writer_client_ops ops = {
	.first_change = on_first_change,
	.range_changed = on_range,
	.relieve = on_relief,
	.before_resize = on_resize,
	.resized = on_resized,
	.flush = on_flush,
	.close = on_close,
};
static struct qc_context *ctx;

static struct qc_image *open_with_client(void)
{
	struct qc_image *img;

	sh("rm -f image && qemu-img create -q -f qcow2 -o cluster_size=4k image 1M");
	memset(&heard, 0, sizeof(heard));
	img = image_write(ctx, "image");
	qc_writer_add_client(img->layer[0]->writer, &ops, &heard);
	return img;
}

static bool heard_range(uint64_t off, uint64_t len)
{
	bool ok = heard.ranges == 1 && heard.off == off && heard.len == len;

	heard.ranges = 0;
	return ok;
}

static void each_change_of_a_range_is_told(void)
{
	struct qc_image *img = open_with_client();
	struct qc_snapshots list;

	CHECK(reads_byte(img, 0, M, 0) && !qc_flush(img));
	CHECK(!heard.first_changes && !heard.flushes && !heard.ranges);
	CHECK(!fill(img, 1000, 100, 1) && heard.first_changes == 1 && heard_range(1000, 100));
	CHECK(!fill(img, 1000, 5000, 2) && heard.first_changes == 1 && heard_range(1000, 5000));
	CHECK(!qc_write_zeroes(img, 512, 8192) && heard_range(512, 8192));
	CHECK(!qc_discard(img, 4096, 4096) && heard_range(4096, 4096));
	CHECK(!qc_allocate(img, 0, 64 * K) && !heard.ranges);
	CHECK(fill(img, M, 1, 1) == -EINVAL && !heard.ranges);
	CHECK(!qc_resize(img, 2 * M) && heard_range(M, M));
	CHECK(!qc_resize(img, M / 2) && heard_range(M / 2, M + M / 2));
	CHECK(!qc_resize(img, M / 2) && !heard.ranges);
	CHECK(!qc_clear(img) && heard_range(0, M / 2));
	CHECK(!qc_snapshot_take(img, "one", 3) && !qc_resize(img, M) && heard_range(M / 2, M / 2));
	CHECK(!qc_list_snapshots(img, &list) && !qc_snapshot_revert(img, &list.at[0]));
	CHECK(heard_range(0, M) && !heard.ranges);
	qc_snapshots_free(&list);
	CHECK(heard.first_changes == 1 && !heard.closes);
	qc_close(img);
	CHECK(heard.closes == 1 && heard.write_at_close && heard.flushes);
	CHECK(is_sound("image"));
}

static void a_client_can_refuse_the_first_change(void)
{
	struct qc_image *img = open_with_client();

	heard.refuse = -EDQUOT;
	CHECK(fill(img, 0, 512, 1) == -EDQUOT && !heard.ranges);
	CHECK(qc_resize(img, 2 * M) == -EDQUOT && !heard.ranges && heard.first_changes == 2);
	heard.refuse = 0;
	CHECK(!fill(img, 0, 512, 1) && heard.first_changes == 3 && heard_range(0, 512));
	qc_close(img);
}

static void a_client_hears_of_a_resize_before_and_after(void)
{
	struct qc_image *img = open_with_client();
	struct qc_snapshots list;

	heard.refuse_resize = -ENOSPC;
	CHECK(qc_resize(img, 2 * M) == -ENOSPC && heard.resizes == 1 && qc_size(img) == M);
	heard.refuse_resize = heard.resizes = 0;
	CHECK(!qc_snapshot_take(img, "one", 3) && !heard.resizes);
	CHECK(!qc_resize(img, 2 * M) && heard.resized == 1 && heard.size == 2 * M);
	CHECK(!qc_resize(img, 2 * M) && heard.resized == 1);
	CHECK(!qc_list_snapshots(img, &list) && !qc_snapshot_revert(img, &list.at[0]));
	CHECK(heard.resized == 2 && heard.size == M);
	CHECK(!qc_snapshot_revert(img, &list.at[0]) && heard.resizes == 2);
	qc_snapshots_free(&list);
	qc_close(img);
}

static void a_client_that_needs_relief_gets_it_before_the_next_change(void)
{
	struct qc_image *img = open_with_client();

	CHECK(!fill(img, 0, 512, 1) && !fill(img, 0, 512, 1) && !heard.reliefs);
	img->layer[0]->writer->clients.urgent = true;
	CHECK(!fill(img, 0, 512, 1) && !fill(img, 0, 512, 1) && heard.reliefs == 1);
	qc_close(img);
}

static void an_image_that_was_not_changed_is_closed_without_a_write(void)
{
	qc_close(open_with_client());
	CHECK(heard.closes == 1 && !heard.write_at_close && !heard.flushes);
}

#ifdef QC_FAILPOINTS
static void after_an_abort_nothing_is_written_at_the_close(void)
{
	struct qc_image *img = open_with_client();

	CHECK(!fill(img, 0, 512, 1));
	qc_failpoint_once("io.sync");
	CHECK(qc_flush(img) < 0);
	qc_close(img);
	CHECK(heard.closes == 1 && !heard.write_at_close);
}
#endif

int main(void)
{
	begin();
	ctx = context_new(NULL);
	RUN(each_change_of_a_range_is_told);
	RUN(a_client_can_refuse_the_first_change);
	RUN(a_client_hears_of_a_resize_before_and_after);
	RUN(a_client_that_needs_relief_gets_it_before_the_next_change);
	RUN(an_image_that_was_not_changed_is_closed_without_a_write);
#ifdef QC_FAILPOINTS
	RUN(after_an_abort_nothing_is_written_at_the_close);
#endif
	context_end(ctx);
	return DONE();
}
