/* SPDX-License-Identifier: MIT */
/* commit.h - commits as requests of crash.h: they change no byte of the overlay's disk. */
#ifndef COMMIT_H
#define COMMIT_H

#include "crash.h"

/* The backing file is recorded, too, so it has the name of the second file of a scenario. */
static inline void make_over_image(const struct scenario *s, const char *base_options)
{
	spill_tagged("w/fill", s->bytes / 2, 0);
	sh("cd w && qemu-img create -q -f qcow2 %s d.data %" PRIu64 " && qemu-io -c 'write -s fill 0 %"
	   PRIu64 "' -f qcow2 d.data >/dev/null", base_options, s->bytes - 100 * K, s->bytes / 2);
	sh("cd w && qemu-img create -q -f %s -b d.data -F qcow2 %s %s img %" PRIu64, s->format,
	   s->options ? "-o" : "", s->options ? s->options : "", s->bytes);
	sh("cd w && qemu-io -c 'write -P 3 100k 200k' -c 'write -P 4 900k 9k' %s >/dev/null",
	   rig_image(s));
}

static inline void make_over_4k(const struct scenario *s)
{
	make_over_image(s, "-o cluster_size=4k");
}

static inline void make_over_v2(const struct scenario *s)
{
	make_over_image(s, "-o compat=0.10");
}

static inline void make_over_raw(const struct scenario *s)
{
	spill_tagged("w/d.data", s->bytes - 100 * K, 0);
	sh("cd w && qemu-img create -q -f %s -b d.data -F raw %s %s img %" PRIu64, s->format,
	   s->options ? "-o" : "", s->options ? s->options : "", s->bytes);
	sh("cd w && qemu-io -c 'write -P 3 100k 200k' -c 'write -P 4 900k 9k' %s >/dev/null",
	   rig_image(s));
}

static inline qc_err g_commit(bool empty)
{
	struct qc_reason why = { 0 };

	return g_noted(qc_commit(rig.img, 1, empty, NULL, NULL, &why));
}

#endif
