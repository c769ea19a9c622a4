/* SPDX-License-Identifier: MIT */
/*
 * entries.h - a table entry after a request, as its words in the file.
 *
 * The requests go to cluster 2 of a small disk, whose neighbours have data.  The
 * neighbours, and all bytes outside of the request, must not change.
 */
#ifndef ENTRIES_H
#define ENTRIES_H

#include "write.h"

#define CLUSTER (64 * K)
#define AT (2 * CLUSTER)
#define COPIED (UINT64_C(1) << 63)
#define PACKED (UINT64_C(1) << 62)
#define HOST UINT64_C(0x00fffffffffffe00)

enum format { V2 = 1, V2_BACKED = 2, V3 = 4, V3_BACKED = 8, EXTENDED = 16, EXTENDED_BACKED = 32 };
enum { BACKED = V2_BACKED | V3_BACKED | EXTENDED_BACKED, ANY_V2 = V2 | V2_BACKED,
       ANY_V3 = V3 | V3_BACKED, ANY = ANY_V2 | ANY_V3, ANY_EXTENDED = EXTENDED | EXTENDED_BACKED };

enum request { WRITE, ZERO, DISCARD, ALLOCATE };

/* The host cluster of the entry afterwards. */
enum host { NONE, SAME, NEW };

struct words {
	uint64_t word, bits;
};

static struct qc_context *ctx;

static inline uint64_t entry_at(enum format f, uint64_t cluster)
{
	return l2_at("image", f & ANY_EXTENDED ? 2 * cluster : cluster);
}

static inline struct words entry_of(enum format f, uint64_t cluster)
{
	uint64_t at = entry_at(f, cluster);

	return (struct words){ peek64("image", at), f & ANY_EXTENDED ? peek64("image", at + 8) : 0 };
}

/* `commands` of qemu-io make the old state of cluster 2. */
static inline void entries_make(enum format f, const char *commands, bool shared)
{
	sh("rm -f image && { [ -e base.raw ] || yes backing | head -c 1M >base.raw; } &&"
	   " qemu-img create -q -f qcow2 -o compat=%s%s%s image 1M &&"
	   " qemu-io -f qcow2 -c 'write -P 1 64k 64k' -c 'write -P 3 192k 64k' %s image"
	   " >/dev/null",
	   f & ANY_V2 ? "0.10" : "1.1", f & ANY_EXTENDED ? ",extended_l2=on" : "",
	   f & BACKED ? " -b base.raw -F raw" : "", commands);
	if (shared)
		sh("qemu-img snapshot -c one image");
}

static inline qc_err entries_ask(enum request what, uint64_t off, uint64_t len)
{
	struct qc_image *img = image_write(ctx, "image");
	qc_err r = 0;

	switch (what) {
	case WRITE:
		r = fill(img, off, len, 9);
		break;
	case ZERO:
		r = qc_write_zeroes(img, off, len);
		break;
	case DISCARD:
		r = qc_discard(img, off, len);
		break;
	case ALLOCATE:
		r = qc_allocate(img, off, len);
		break;
	}
	qc_close(img);
	return r;
}

/* Of the words of an entry: host as it should be, and all other bits exactly so. */
static inline bool is_entry(struct words was, struct words is, enum host host, uint64_t flags,
			    uint64_t bits)
{
	uint64_t at = is.word & HOST, old = was.word & PACKED ? 0 : was.word & HOST;
	bool so = (is.word & ~HOST) == flags && is.bits == bits;

	if (host == NEW)
		so = so && at && at % CLUSTER == 0 && at != old;
	else
		so = so && at == (host == SAME ? old : 0);
	if (!so)
		printf("# %016" PRIx64 " %016" PRIx64 " became %016" PRIx64 " %016" PRIx64 "\n",
		       was.word, was.bits, is.word, is.bits);
	return so;
}

/* Asks for [AT + off, AT + off + len), and looks at all that is then. */
static inline bool entry_becomes(enum format f, bool shared, enum request what, uint64_t off,
				 uint64_t len, enum host host, uint64_t flags, uint64_t bits)
{
	struct words was[4], is[4];
	uint64_t l1 = peek64("image", l1_at("image")), now;
	size_t n;
	uint8_t *want = reference("image", "qcow2", &n);
	bool so, moved;

	for (uint64_t i = 0; i < 4; i++)
		was[i] = entry_of(f, i);
	if (shared)
		sh("qemu-img convert -q -f qcow2 -l one -O raw image one.raw");
	so = !entries_ask(what, AT + off, len);
	if (what != ALLOCATE)
		memset(want + AT + off, what == WRITE ? 9 : 0, len);
	for (uint64_t i = 0; i < 4; i++)
		is[i] = entry_of(f, i);
	now = peek64("image", l1_at("image"));
	so = is_entry(was[2], is[2], host, flags, bits) && so;
	for (uint64_t i = 0; i < 4; i++)
		so = so && (i == 2 || !memcmp(&was[i], &is[i], sizeof(is[i])));
	/* A table that is shared is copied before it is changed. */
	moved = !(l1 & COPIED) && memcmp(&was[2], &is[2], sizeof(is[2]));
	so = so && (moved ? now & COPIED && (now & HOST) != (l1 & HOST) : now == l1);
	so = so && is_sound("image") && qemu_reads("image", "qcow2", want, n);
	if (shared) {
		sh("qemu-img convert -q -f qcow2 -l one -O raw image now.raw");
		so = so && !try_sh("cmp one.raw now.raw");
	}
	free(want);
	return so;
}

#endif
