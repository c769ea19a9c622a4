/* SPDX-License-Identifier: MIT */
/*
 * decompress.c - raw deflate by libdeflate or zlib, and zstd.
 *
 * libdeflate is two to three times as fast as zlib, but accepts only complete streams that
 * end at the end of the cluster.  QEMU also accepts a stream without its last block, or
 * one of more bytes than a cluster.  So zlib decodes each stream that libdeflate rejects.
 *
 * zstd frames are decoded one by one.  Behind the first frame the input may hold frames of
 * the next cluster, which a decoder of the whole input would decode, too.  Decoding
 * directly into the cluster takes no memory for a window, so a hostile frame cannot ask
 * for much.
 */
#include "compress/decompress.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>
#ifdef HAVE_LIBDEFLATE
#include <libdeflate.h>
#endif
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif


/* An idle decoder keeps an input buffer for clusters of up to 128 KiB. */
enum { KEEP_BYTES = 256 * 1024 };

struct qc_decoder_pool {
	struct qc_idle_pool idle;
};

qc_err qc_decoder_pool_new(struct qc_decoder_pool **out)
{
	struct qc_decoder_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return -ENOMEM;
	qc_idle_pool_init(&pool->idle);
	*out = pool;
	return 0;
}

static void free_decoder(struct qc_decoder *d)
{
#ifdef HAVE_LIBDEFLATE
	libdeflate_free_decompressor(d->deflate);
#endif
#ifdef HAVE_ZSTD
	ZSTD_freeDCtx(d->zstd);
#endif
	free(d->in);
	free(d);
}

void qc_decoder_pool_free(struct qc_decoder_pool *pool)
{
	struct qc_decoder *d;

	if (!pool)
		return;
	while ((d = qc_idle_pool_get(&pool->idle)))
		free_decoder(d);
	qc_idle_pool_destroy(&pool->idle);
	free(pool);
}

struct qc_decoder *qc_decoder_get(struct qc_decoder_pool *pool, size_t len)
{
	struct qc_decoder *d = qc_idle_pool_get(&pool->idle);
	uint8_t *in;

	if (!d)
		d = calloc(1, sizeof(*d));
	if (!d || d->in_room >= len)
		return d;
	in = realloc(d->in, len);
	if (!in) {
		free_decoder(d);
		return NULL;
	}
	d->in = in;
	d->in_room = len;
	return d;
}

void qc_decoder_put(struct qc_decoder_pool *pool, struct qc_decoder *d)
{
	if (d->in_room > KEEP_BYTES) {
		free(d->in);
		d->in = NULL;
		d->in_room = 0;
	}
	qc_idle_pool_put(&pool->idle, &d->idle);
}

static qc_err inflate_zlib(const uint8_t *in, size_t n, void *out, size_t out_len)
{
	z_stream s = {
		.next_in = (z_const Bytef *)in,
		.avail_in = (uInt)n,
		.next_out = out,
		.avail_out = (uInt)out_len,
	};
	int r = inflateInit2(&s, -MAX_WBITS);

	if (r != Z_OK)
		return r == Z_MEM_ERROR ? -ENOMEM : -EIO;
	r = inflate(&s, Z_FINISH);
	inflateEnd(&s);
	return (r == Z_STREAM_END || r == Z_BUF_ERROR) && !s.avail_out ? 0 : -EIO;
}

static qc_err decode_deflate(struct qc_decoder *d, size_t n, void *out, size_t out_len)
{
#ifdef HAVE_LIBDEFLATE
	size_t used, made;

	if (!d->deflate)
		d->deflate = libdeflate_alloc_decompressor();
	if (d->deflate &&
	    libdeflate_deflate_decompress_ex(d->deflate, d->in, n, out, out_len, &used,
					     &made) == LIBDEFLATE_SUCCESS)
		return made == out_len ? 0 : -EIO;
#endif
	return inflate_zlib(d->in, n, out, out_len);
}

#ifdef HAVE_ZSTD
/* Returns false for a window above 128 MiB, which QEMU's decoder refuses, too.  (RFC 8878,
 * 3.1.1.1.2: Window_Descriptor.) */
static bool zstd_window_is_allowed(const uint8_t *frame, size_t n)
{
	const uint8_t magic[] = { 0x28, 0xb5, 0x2f, 0xfd }, single_segment = 0x20;

	if (n < 6 || memcmp(frame, magic, 4) || frame[4] & single_segment)
		return true;
	return (frame[5] >> 3) + 10 <= 27;
}

/* *used: bytes of all frames that were decoded. */
static qc_err decode_zstd(struct qc_decoder *d, size_t n, uint8_t *out, size_t out_len,
			  size_t *used)
{
	const uint8_t *in = d->in;
	size_t made = 0;

	if (!d->zstd)
		d->zstd = ZSTD_createDCtx();
	if (!d->zstd)
		return -ENOMEM;
	while (made < out_len) {
		size_t frame = ZSTD_findFrameCompressedSize(in, n), r;

		if (ZSTD_isError(frame) || !zstd_window_is_allowed(in, n))
			return -EIO;
		r = ZSTD_decompressDCtx(d->zstd, out + made, out_len - made, in, frame);
		if (ZSTD_isError(r))
			return -EIO;
		made += r;
		in += frame;
		n -= frame;
	}
	*used = (size_t)(in - d->in);
	return 0;
}
#endif

/* By zlib: a trial of bytes that are no stream ends early, and the others are few. */
static qc_err decode_whole_deflate(struct qc_decoder *d, size_t n, void *out, size_t out_len,
				   size_t *used)
{
	z_stream s = {
		.next_in = (z_const Bytef *)d->in,
		.avail_in = (uInt)n,
		.next_out = out,
		.avail_out = (uInt)out_len,
	};
	int r = inflateInit2(&s, -MAX_WBITS);

	if (r != Z_OK)
		return r == Z_MEM_ERROR ? -ENOMEM : -EIO;
	r = inflate(&s, Z_FINISH);
	*used = n - s.avail_in;
	inflateEnd(&s);
	return r == Z_STREAM_END && !s.avail_out ? 0 : -EIO;
}

qc_err qc_decode_whole(struct qc_decoder *d, enum qc_compression type, size_t n, void *out,
		       size_t out_len, size_t *used)
{
	switch (type) {
	case COMPRESSION_DEFLATE:
		return decode_whole_deflate(d, n, out, out_len, used);
	case COMPRESSION_ZSTD:
#ifdef HAVE_ZSTD
		return decode_zstd(d, n, out, out_len, used);
#else
		return -ENOTSUP;
#endif
	}
	return -EIO;
}

qc_err qc_decode(struct qc_decoder *d, enum qc_compression type, size_t n, void *out,
		 size_t out_len)
{
	size_t used;

	switch (type) {
	case COMPRESSION_DEFLATE:
		return decode_deflate(d, n, out, out_len);
	case COMPRESSION_ZSTD:
#ifdef HAVE_ZSTD
		return decode_zstd(d, n, out, out_len, &used);
#else
		(void)used;
		return -ENOTSUP; /* such an image is refused when it is opened */
#endif
	}
	return -EIO;
}
