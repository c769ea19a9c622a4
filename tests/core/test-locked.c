/* SPDX-License-Identifier: MIT */
/* Images that QEMU has open, and QEMU at images that we have open. */
#include <spawn.h>

#include "make.h"

extern char **environ;

static struct qc_context *ctx;

struct qemu {
	pid_t pid;
	int in, out;
};

/* qemu-io with the image open; it answers a first question, so it is. */
static struct qemu qemu_start(const char *path, const char *mode)
{
	const char *argv[] = { "qemu-io", "-f", "qcow2", path, *mode ? mode : NULL, NULL };
	posix_spawn_file_actions_t a;
	int down[2], up[2];
	struct qemu q;
	char c = 0;

	if (pipe2(down, O_CLOEXEC) || pipe2(up, O_CLOEXEC))
		fatal("pipe");
	posix_spawn_file_actions_init(&a);
	posix_spawn_file_actions_adddup2(&a, down[0], 0);
	posix_spawn_file_actions_adddup2(&a, up[1], 1);
	if (posix_spawnp(&q.pid, "qemu-io", &a, NULL, (char **)argv, environ))
		fatal("qemu-io");
	posix_spawn_file_actions_destroy(&a);
	close(down[0]);
	close(up[1]);
	q.in = down[1];
	q.out = up[0];
	CHECK(write(q.in, "length\n", 7) == 7);
	while (c != 'M' && read(q.out, &c, 1) == 1)
		;
	CHECK(c == 'M'); /* "1 MiB" */
	return q;
}

static void qemu_end(struct qemu *q)
{
	char c;
	int status;

	close(q->in);
	while (read(q->out, &c, 1) == 1)
		;
	close(q->out);
	waitpid(q->pid, &status, 0);
}

static void make_images(void)
{
	sh("qemu-img create -q -f qcow2 base 1M"
	   " && qemu-io -t unsafe -c 'write -P 1 0 1M' base >/dev/null");
	sh("qemu-img create -q -f qcow2 -b base -F qcow2 top 1M");
	sh("qemu-img create -q -f qcow2 -b base -F qcow2 other 1M");
}

static void an_image_that_qemu_writes(void)
{
	struct qemu q = qemu_start("top", "");
	char number[40];

	snprintf(number, sizeof(number), "process %d", (int)q.pid);
	CHECK(image_refused(ctx, "top", -EBUSY, QC_CAUSE_LOCKED, "locked: qemu-io"));
	CHECK(image_refused(ctx, "top", -EBUSY, QC_CAUSE_LOCKED, number));
	CHECK(counters(ctx).layers_open == 0);
	qc_close(image_open(ctx, "base")); /* which it only reads */
	qc_close(image_open(ctx, "other"));
	qemu_end(&q);
	qc_close(image_open(ctx, "top"));
}

static void a_base_that_qemu_writes(void)
{
	struct qemu q = qemu_start("base", "");

	CHECK(image_refused(ctx, "top", -EBUSY, QC_CAUSE_LOCKED, "/base: locked: qemu-io"));
	CHECK(counters(ctx).layers_open == 0);
	qemu_end(&q);
}

static void an_image_that_qemu_reads(void)
{
	struct qemu q = qemu_start("top", "-r");
	struct qc_image *img = image_open(ctx, "top");

	CHECK(reads_byte(img, 0, M, 1));
	qc_close(img);
	qemu_end(&q);
}

static void sharing_and_no_locks(void)
{
	static const enum qc_locking how[] = { QC_LOCKING_SHARE, QC_LOCKING_OFF };
	struct qemu q = qemu_start("top", "");

	for (size_t i = 0; i < COUNT(how); i++) {
		struct qc_config config = { .locking = how[i] };
		struct qc_context *c = context_of(&config);
		struct qc_image *img = image_open(c, "top");

		CHECK(reads_byte(img, 0, M, 1));
		qc_close(img);
		context_end(c);
	}
	qemu_end(&q);
}

static void qemu_keeps_off_ours(void)
{
	struct qc_image *img = image_open(ctx, "top");

	CHECK(try_sh("qemu-io -t unsafe -f qcow2 -c 'write 0 512' top >/dev/null 2>&1"));
	CHECK(try_sh("qemu-io -t unsafe -f qcow2 -c 'write 0 512' base >/dev/null 2>&1"));
	CHECK(!try_sh("qemu-io -r -f qcow2 -c 'read 0 512' top >/dev/null 2>&1"));
	qc_close(img);
	CHECK(!try_sh("qemu-io -t unsafe -f qcow2 -c 'write -P 1 0 512' base >/dev/null 2>&1"));
}

/* Locks belong to the open file, not to whoever opens and closes it again. */
static void locks_last_while_one_user_is_left(void)
{
	struct qc_image *a = image_open(ctx, "top"), *b = image_open(ctx, "other");

	qc_close(b);
	qc_close(image_open(ctx, "base"));
	CHECK(try_sh("qemu-io -t unsafe -f qcow2 -c 'write 0 512' base >/dev/null 2>&1"));
	qc_close(a);
}

int main(void)
{
	begin();
	ctx = context_new(NULL);
	make_images();
	RUN(an_image_that_qemu_writes);
	RUN(a_base_that_qemu_writes);
	RUN(an_image_that_qemu_reads);
	RUN(sharing_and_no_locks);
	RUN(qemu_keeps_off_ours);
	RUN(locks_last_while_one_user_is_left);
	context_end(ctx);
	return DONE();
}
