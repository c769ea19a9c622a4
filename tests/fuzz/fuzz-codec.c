/* SPDX-License-Identifier: MIT */
/*
 * fuzz-codec.c - the input is a compressed cluster.
 *
 *	u8 compression type and decoder's input room (bit 7), u8 cluster bits, data
 *
 * The output is a block of exactly the cluster's size, so that the address
 * sanitizer sees each byte behind it.  The same decoder must say the same
 * again, and where zlib alone also takes the data, both must agree.
 */
#include "fuzz.h"

#include <zlib.h>

#include "compress/decompress.h"

static bool inflates(const uint8_t *in, size_t n, uint8_t *out, size_t out_len)
{
	z_stream s = { .next_in = (z_const Bytef *)in,
		       .avail_in = (uInt)n,
		       .next_out = out,
		       .avail_out = (uInt)out_len };
	int r;

	MUST(inflateInit2(&s, -15) == Z_OK);
	r = inflate(&s, Z_FINISH);
	inflateEnd(&s);
	return (r == Z_STREAM_END || r == Z_BUF_ERROR) && !s.avail_out;
}

static void decode(struct qc_decoder_pool *pool, enum qc_compression type, struct feed f, size_t cs,
		   bool roomy)
{
	struct qc_decoder *d = qc_decoder_get(pool, f.n + (roomy ? 100 : 1));
	uint8_t *one = malloc(cs), *two = malloc(cs);
	qc_err r;

	MUST(d && one && two);
	memcpy(d->in, f.p, f.n);
	r = qc_decode(d, type, f.n, one, cs);
	MUST(r <= 0);
	MUST(qc_decode(d, type, f.n, two, cs) == r);
	MUST(!memcmp(d->in, f.p, f.n));
	if (!r) {
		MUST(!memcmp(one, two, cs));
		if (type == COMPRESSION_DEFLATE && inflates(f.p, f.n, two, cs))
			MUST(!memcmp(one, two, cs));
	} else if (type == COMPRESSION_DEFLATE) {
		MUST(!inflates(f.p, f.n, two, cs));
	}
	free(one);
	free(two);
	qc_decoder_put(pool, d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed f = { data, size };
	uint8_t how = (uint8_t)feed_number(&f, 1);
	size_t cs = (size_t)1 << (9 + feed_number(&f, 1) % 8);
	struct qc_decoder_pool *pool;

	if (f.n > 2 * cs)
		return 0; /* no entry can say so */
	/* A new pool each time, so that the input buffer is no larger than it. */
	MUST(!qc_decoder_pool_new(&pool));
	decode(pool, how & 1 ? COMPRESSION_ZSTD : COMPRESSION_DEFLATE, f, cs, how & 0x80);
	qc_decoder_pool_free(pool);
	return 0;
}
