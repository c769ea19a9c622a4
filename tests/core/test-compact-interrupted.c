/* SPDX-License-Identifier: MIT */
/*
 * A compaction that is interrupted leaves a sound image, and goes on when it is run again.
 *
 * sanitize: address
 */
#include "write.h"

static unsigned int calls_left;

static bool go_on(void *arg, uint64_t done, uint64_t total)
{
	(void)arg, (void)done, (void)total;
	if (!calls_left)
		return false;
	calls_left--;
	return true;
}

static bool compact_for(unsigned int calls)
{
	struct qc_config config = { .locking = QC_LOCKING_OFF };
	struct qc_context *ctx = context_of(&config);
	struct qc_compact_result result = { .interrupted = true };
	struct qc_reason why;
	struct qc_image *img;

	calls_left = calls;
	CHECK(!image_try(ctx, "image", QC_OPEN_WRITE, &img, &why));
	CHECK(!qc_compact(img, go_on, NULL, &result, &why));
	qc_close(img);
	context_end(ctx);
	return !result.interrupted;
}

static void ends_after_each_call(void)
{
	unsigned int n = 0;
	size_t before, after;

	sh("qemu-img create -q -f qcow2 -o cluster_size=4k image 4M &&"
	   " qemu-io -t unsafe -f qcow2 -c 'write -P 1 0 4M' -c 'discard 0 512k' -c 'discard 1M 512k'"
	   " -c 'discard 2M 512k' image >/dev/null && qemu-img convert -f qcow2 -O raw image reference");
	free(slurp("image", &before));
	while (!compact_for(n) && n < 1000) {
		CHECK(is_sound("image"));
		sh("qemu-img convert -f qcow2 -O raw image now && cmp now reference");
		n++;
	}
	free(slurp("image", &after));
	CHECK(n > 2 && n < 1000 && after < before - M);
	CHECK(is_sound("image"));
	sh("qemu-img convert -f qcow2 -O raw image now && cmp now reference");
}

int main(void)
{
	begin();
	RUN(ends_after_each_call);
	return DONE();
}
