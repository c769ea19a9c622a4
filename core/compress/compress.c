/* SPDX-License-Identifier: MIT */
/*
 * compress.c - raw deflate by zlib or libdeflate, and zstd.
 *
 * A match of deflate reaches back 4 KiB at most, as in images of QEMU.  Some readers of QCOW
 * images keep no more than that.  libdeflate is faster than zlib, but its matches reach back
 * 32 KiB.  So it compresses clusters that are no longer than 4 KiB, and zlib all others.
 *
 * A zstd frame has its content size, and no checksum.
 */
#include "compress/compress.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>
#ifdef HAVE_LIBDEFLATE
#include <libdeflate.h>
#endif
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

#include "compress/idle_pool.h"

enum {
	WINDOW_BITS = 12,
	ZLIB_LEVEL = 5, /* nine tenths of the time of level 6, for half a percent more bytes */
	MEM_LEVEL = 8, /* as few bytes as 9 for clusters of 64 KiB, and a quarter faster */
	LIBDEFLATE_LEVEL = 6,
	LIBDEFLATE_MOST = 12,
	ZSTD_LEVEL = 3,
};

/* An encoder of one thread at a time.  The objects of the libraries are made when first needed. */
struct encoder {
	struct qc_idle idle;
	int level; /* of the pool */
	void *libdeflate, *zstd;
	bool has_zlib;
	z_stream zlib;
};

struct qc_encoder_pool {
	struct qc_idle_pool idle;
	int level; /* 0: the default of each method */
};

qc_err qc_encoder_pool_new(int level, struct qc_encoder_pool **out)
{
	struct qc_encoder_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return -ENOMEM;
	qc_idle_pool_init(&pool->idle);
	pool->level = level;
	*out = pool;
	return 0;
}

static void free_encoder(struct encoder *e)
{
#ifdef HAVE_LIBDEFLATE
	libdeflate_free_compressor(e->libdeflate);
#endif
#ifdef HAVE_ZSTD
	ZSTD_freeCCtx(e->zstd);
#endif
	if (e->has_zlib)
		deflateEnd(&e->zlib);
	free(e);
}

void qc_encoder_pool_free(struct qc_encoder_pool *pool)
{
	struct encoder *e;

	if (!pool)
		return;
	while ((e = qc_idle_pool_get(&pool->idle)))
		free_encoder(e);
	qc_idle_pool_destroy(&pool->idle);
	free(pool);
}

static struct encoder *get_encoder(struct qc_encoder_pool *pool)
{
	struct encoder *e = qc_idle_pool_get(&pool->idle);

	if (!e)
		e = calloc(1, sizeof(*e));
	if (e)
		e->level = pool->level;
	return e;
}

/* Returns the level of a method whose levels are 1 to @most. */
static int level_for(const struct encoder *e, int otherwise, int most)
{
	return !e->level ? otherwise : e->level < most ? e->level : most;
}

/* ---- deflate ---------------------------------------------------------------- */

static qc_err encode_zlib(struct encoder *e, const void *in, size_t len, void *out, size_t room,
			  size_t *n)
{
	z_stream *s = &e->zlib;
	int level = level_for(e, ZLIB_LEVEL, Z_BEST_COMPRESSION);

	if (!e->has_zlib && deflateInit2(s, level, Z_DEFLATED, -WINDOW_BITS,
					 MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	e->has_zlib = true;
	s->next_in = (z_const Bytef *)in;
	s->avail_in = (uInt)len;
	s->next_out = out;
	s->avail_out = (uInt)room;
	*n = deflate(s, Z_FINISH) == Z_STREAM_END ? room - s->avail_out : 0;
	return deflateReset(s) == Z_OK ? 0 : -EINVAL;
}

static qc_err encode_deflate(struct encoder *e, const void *in, size_t len, void *out, size_t room,
			     size_t *n)
{
#ifdef HAVE_LIBDEFLATE
	if (len <= (size_t)1 << WINDOW_BITS && !e->libdeflate)
		e->libdeflate = libdeflate_alloc_compressor(
			level_for(e, LIBDEFLATE_LEVEL, LIBDEFLATE_MOST));
	if (len <= (size_t)1 << WINDOW_BITS && e->libdeflate) {
		*n = libdeflate_deflate_compress(e->libdeflate, in, len, out, room);
		return 0;
	}
#endif
	return encode_zlib(e, in, len, out, room, n);
}

/* ---- zstd --------------------------------------------------------------------- */

#ifdef HAVE_ZSTD
static qc_err encode_zstd(struct encoder *e, const void *in, size_t len, void *out, size_t room,
			  size_t *n)
{
	if (!e->zstd)
		e->zstd = ZSTD_createCCtx();
	if (!e->zstd)
		return -ENOMEM;
	*n = ZSTD_compressCCtx(e->zstd, out, room, in, len,
			       level_for(e, ZSTD_LEVEL, ZSTD_maxCLevel()));
	if (ZSTD_isError(*n))
		*n = 0;
	return 0;
}
#endif

/* ---- public --------------------------------------------------------------------- */

bool qc_can_encode(enum qc_compression type)
{
	switch (type) {
	case COMPRESSION_DEFLATE:
		return true;
	case COMPRESSION_ZSTD:
#ifdef HAVE_ZSTD
		return true;
#else
		return false;
#endif
	}
	return false;
}

static qc_err encode_by_type(struct encoder *e, enum qc_compression type, const void *in,
			     size_t len, void *out, size_t room, size_t *n)
{
	switch (type) {
	case COMPRESSION_DEFLATE:
		return encode_deflate(e, in, len, out, room, n);
	case COMPRESSION_ZSTD:
#ifdef HAVE_ZSTD
		return encode_zstd(e, in, len, out, room, n);
#else
		break;
#endif
	}
	return -ENOTSUP;
}

qc_err qc_encode(struct qc_encoder_pool *pool, enum qc_compression type, const void *in,
		 size_t len, void *out, size_t room, size_t *n)
{
	struct encoder *e = get_encoder(pool);
	qc_err r = e ? encode_by_type(e, type, in, len, out, room, n) : -ENOMEM;

	if (e)
		qc_idle_pool_put(&pool->idle, &e->idle);
	return r;
}
