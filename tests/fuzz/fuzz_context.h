/* SPDX-License-Identifier: MIT */
/*
 * fuzz_context.h - opens an input as an image, and no other file.
 *
 * Each message must be plain text.  FUZZ_LOG=1 shows them.
 */
#ifndef FUZZ_CONTEXT_H
#define FUZZ_CONTEXT_H

#include "fuzz.h"

static inline void plain_log(void *arg, enum qc_level level, const char *msg)
{
	(void)arg, (void)level;
	if (getenv("FUZZ_LOG"))
		fprintf(stderr, "%s\n", msg);
	must_be_plain(msg, strlen(msg) + 1);
}

/* Returns the one context of the program. */
static inline struct qc_context *context(size_t cache_bytes)
{
	const struct qc_config config = {
		.log = plain_log,
		.log_max = QC_LOG_TRACE,
		.refs = QC_REFS_NONE,
		.locking = QC_LOCKING_OFF,
		.cache_bytes = cache_bytes,
		.verify = QC_VERIFY_ON,
	};
	static struct qc_context *ctx;

	if (!ctx)
		MUST(!qc_context_new(&config, &ctx));
	return ctx;
}

static inline qc_err open_input(size_t cache_bytes, int fd, int dirfd, unsigned int flags,
				struct qc_image **out)
{
	struct qc_image_location src = { .fd = fd, .dirfd = dirfd, .dir = "/", .name = "image" };
	struct qc_reason why = { 0 };
	qc_err r = qc_open(context(cache_bytes), &src, flags, out, &why);

	MUST(r <= 0 && (!r || *why.text));
	must_be_plain(why.text, sizeof(why.text));
	return r;
}

#endif
