/* SPDX-License-Identifier: MIT */
/*
 * Refcounts of 0 for clusters that are referenced, in images whose refcounts are not checked:
 * a change of snapshots succeeds, or fails with -EIO and logs what is damaged.
 */
#include "write.h"

enum { CLUSTER = 64 * 1024, REFCOUNTS = 2 * CLUSTER, IMAGE_CLUSTERS = 24 };

static struct logbook book = LOGBOOK;

static void make_image(void)
{
	sh("rm -f image && qemu-img create -q -f qcow2 image 1M"
	   " && qemu-io -t unsafe -c 'write -P 1 0 256k' image >/dev/null"
	   " && qemu-img snapshot -c one image"
	   " && qemu-io -t unsafe -c 'write -P 2 64k 64k' -c 'write -P 3 512k 64k' image >/dev/null");
}

static void clear_refcounts(unsigned int first, unsigned int n)
{
	for (unsigned int c = first; c < first + n; c++)
		poke("image", REFCOUNTS + 2 * c, "\0\0", 2);
}

static qc_err delete_one(struct qc_image *img)
{
	struct qc_snapshots list;
	qc_err r = qc_list_snapshots(img, &list);

	if (!r)
		r = qc_snapshot_delete(img, &list.at[0]);
	qc_snapshots_free(&list);
	return r;
}

static qc_err take_two(struct qc_image *img)
{
	return qc_snapshot_take(img, "two", 3);
}

/* Returns true if the change succeeded, or failed with -EIO and a line in the log. */
static bool is_told(unsigned int first, unsigned int n, qc_err (*change)(struct qc_image *img))
{
	struct qc_config config = { .verify = QC_VERIFY_OFF, .log = logbook_fn, .log_arg = &book,
				    .log_max = QC_LOG_ERROR };
	struct qc_context *ctx;
	struct qc_image *img;
	qc_err r;

	make_image();
	clear_refcounts(first, n);
	logbook_clear(&book);
	ctx = context_of(&config);
	img = image_write(ctx, "image");
	r = change(img);
	qc_close(img);
	context_end(ctx);
	if (!r || (r == -EIO && book.lines))
		return true;
	printf("# %u clusters from %u: %d, and logged: %s\n", n, first, r, book.text);
	return false;
}

static void a_deletion_tells(void)
{
	for (unsigned int c = 0; c < IMAGE_CLUSTERS; c++)
		CHECK(is_told(c, 1, delete_one));
}

static void a_new_snapshot_tells(void)
{
	for (unsigned int c = 0; c < IMAGE_CLUSTERS; c++)
		CHECK(is_told(c, 1, take_two));
}

/* The allocator takes only a few of them for the new tables. */
static void the_cluster_is_named(void)
{
	CHECK(is_told(5, 20, delete_one) && logged(&book, "cannot change its refcount: it is 0"));
	CHECK(is_told(5, 20, take_two) && logged(&book, "cannot change its refcount: it is 0"));
}

int main(void)
{
	begin();
	RUN(a_deletion_tells);
	RUN(a_new_snapshot_tells);
	RUN(the_cluster_is_named);
	return DONE();
}
