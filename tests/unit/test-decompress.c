/* SPDX-License-Identifier: MIT */
/* Streams that the decoder must accept, and streams that it must reject. */
#include "compress/decompress.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

#include "random.h"
#include "tap.h"
#include "threads.h"

enum { CS = 65536, ROOM = 4 * CS };

static struct qc_decoder_pool *pool;
static uint8_t plain[2 * CS], packed[ROOM];
static size_t compressed_len;

static qc_err decode(enum qc_compression type, const uint8_t *in, size_t n, uint8_t *out,
		     size_t out_len)
{
	struct qc_decoder *d = qc_decoder_get(pool, n ? n : 1);
	qc_err r;

	memcpy(d->in, in, n);
	r = qc_decode(d, type, n, out, out_len);
	qc_decoder_put(pool, d);
	return r;
}

static qc_err result(enum qc_compression type, size_t n, size_t out_len)
{
	uint8_t *out = malloc(out_len); /* of that size, for ASan to see an overrun */
	qc_err r = decode(type, packed, n, out, out_len);

	if (!r)
		CHECK(!memcmp(out, plain, out_len));
	free(out);
	return r;
}

/* Fills `plain` with words that compress, but not to almost nothing. */
static void fill_plain(uint64_t *seed)
{
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)(random_u64(seed) & 3);
}

/* ---- deflate ---------------------------------------------------------------- */

/* Appends n bytes of plain from `from` on, compressed. */
static void deflate_to(size_t *at, size_t from, size_t n, int window, int flush)
{
	z_stream s = { .next_in = plain + from, .avail_in = (uInt)n,
		       .next_out = packed + *at, .avail_out = (uInt)(ROOM - *at) };

	CHECK(deflateInit2(&s, 6, Z_DEFLATED, window, 9, Z_DEFAULT_STRATEGY) == Z_OK);
	deflate(&s, flush);
	*at = ROOM - s.avail_out;
	deflateEnd(&s);
}

static void pack(size_t n, int window, int flush)
{
	compressed_len = 0;
	deflate_to(&compressed_len, 0, n, window, flush);
}

static void deflate_of_one_cluster(void)
{
	pack(CS, -12, Z_FINISH);
	CHECK(!result(COMPRESSION_DEFLATE, compressed_len, CS));
	pack(CS, -15, Z_FINISH);
	CHECK(!result(COMPRESSION_DEFLATE, compressed_len, CS));
	pack(512, -12, Z_FINISH);
	CHECK(!result(COMPRESSION_DEFLATE, compressed_len, 512));
}

/* Decodes a cluster whose length is not told; its compressed length, or 0. */
static size_t length_of_whole(enum qc_compression type, size_t n, size_t out_len)
{
	struct qc_decoder *d = qc_decoder_get(pool, n);
	uint8_t *out = malloc(out_len);
	size_t used = 0;
	qc_err r;

	memcpy(d->in, packed, n);
	r = qc_decode_whole(d, type, n, out, out_len, &used);
	CHECK(!r || r == -EIO);
	if (!r)
		CHECK(!memcmp(out, plain, out_len));
	qc_decoder_put(pool, d);
	free(out);
	return r ? 0 : used;
}

static void whole_deflate_tells_its_length(void)
{
	pack(CS, -12, Z_FINISH);
	memset(packed + compressed_len, 0xff, 700);
	CHECK(length_of_whole(COMPRESSION_DEFLATE, compressed_len, CS) == compressed_len);
	CHECK(length_of_whole(COMPRESSION_DEFLATE, compressed_len + 700, CS) == compressed_len);
	CHECK(!length_of_whole(COMPRESSION_DEFLATE, compressed_len - 1, CS));
	CHECK(!length_of_whole(COMPRESSION_DEFLATE, compressed_len, CS - 512));
	pack(CS + 1, -12, Z_FINISH);
	CHECK(!length_of_whole(COMPRESSION_DEFLATE, compressed_len, CS));
	pack(CS, -12, Z_SYNC_FLUSH);
	CHECK(!length_of_whole(COMPRESSION_DEFLATE, compressed_len, CS));
}

static void deflate_followed_by_something(void)
{
	pack(CS, -12, Z_FINISH);
	memset(packed + compressed_len, 0xff, 700);
	for (size_t more = 1; more < 700; more += 233)
		CHECK(!result(COMPRESSION_DEFLATE, compressed_len + more, CS));
	memset(packed + compressed_len, 0, 700);
	CHECK(!result(COMPRESSION_DEFLATE, compressed_len + 511, CS));
	deflate_to(&compressed_len, 100, CS, -12, Z_FINISH); /* the next cluster */
	CHECK(!result(COMPRESSION_DEFLATE, compressed_len, CS));
}

static void deflate_of_more_than_a_cluster(void)
{
	pack(CS + 1, -12, Z_FINISH);
	CHECK(!result(COMPRESSION_DEFLATE, compressed_len, CS));
	pack(2 * CS, -12, Z_FINISH);
	CHECK(!result(COMPRESSION_DEFLATE, compressed_len, CS));
}

static void deflate_without_a_last_block(void)
{
	pack(CS, -12, Z_SYNC_FLUSH);
	CHECK(!result(COMPRESSION_DEFLATE, compressed_len, CS));
}

static void deflate_of_less_than_a_cluster(void)
{
	pack(CS - 1, -12, Z_FINISH);
	CHECK(result(COMPRESSION_DEFLATE, compressed_len, CS) == -EIO);
	pack(CS - 1, -12, Z_SYNC_FLUSH);
	CHECK(result(COMPRESSION_DEFLATE, compressed_len, CS) == -EIO);
	pack(0, -12, Z_FINISH);
	CHECK(result(COMPRESSION_DEFLATE, compressed_len, CS) == -EIO);
	pack(CS, -12, Z_FINISH);
	CHECK(result(COMPRESSION_DEFLATE, compressed_len / 2, CS) == -EIO);
	CHECK(result(COMPRESSION_DEFLATE, 0, CS) == -EIO);
}

static void deflate_with_a_header(void)
{
	pack(CS, 15, Z_FINISH); /* zlib's */
	CHECK(result(COMPRESSION_DEFLATE, compressed_len, CS) == -EIO);
	pack(CS, 31, Z_FINISH); /* gzip's */
	CHECK(result(COMPRESSION_DEFLATE, compressed_len, CS) == -EIO);
}

static void deflate_that_is_damaged(void)
{
	uint8_t out[CS];

	memset(packed, 0xff, 1000); /* a reserved block type */
	CHECK(decode(COMPRESSION_DEFLATE, packed, 1000, out, CS) == -EIO);
	memset(packed, 0, 1000);
	CHECK(decode(COMPRESSION_DEFLATE, packed, 1000, out, CS) == -EIO);
}

/* ---- zstd ------------------------------------------------------------------- */

#ifdef HAVE_ZSTD

static void zstd_to(size_t *at, size_t from, size_t n, int checksum, int content_size,
		    int window)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();
	ZSTD_inBuffer in = { plain + from, n, 0 };
	ZSTD_outBuffer out = { packed, ROOM, *at };

	ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, checksum);
	ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, content_size);
	if (window)
		ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, window);
	if (content_size)
		ZSTD_CCtx_setPledgedSrcSize(c, n);
	/* In two calls: with one, the encoder would know the size. */
	while (in.pos < in.size)
		CHECK(!ZSTD_isError(ZSTD_compressStream2(c, &out, &in, ZSTD_e_continue)));
	CHECK(ZSTD_compressStream2(c, &out, &in, ZSTD_e_end) == 0);
	*at = out.pos;
	ZSTD_freeCCtx(c);
}

static void zpack(size_t n)
{
	compressed_len = 0;
	zstd_to(&compressed_len, 0, n, 0, 1, 0);
}

static void zstd_of_one_cluster(void)
{
	zpack(CS);
	CHECK(!result(COMPRESSION_ZSTD, compressed_len, CS));
	zpack(512);
	CHECK(!result(COMPRESSION_ZSTD, compressed_len, 512));
	compressed_len = 0;
	zstd_to(&compressed_len, 0, CS, 1, 1, 0); /* with a checksum */
	CHECK(!result(COMPRESSION_ZSTD, compressed_len, CS));
	compressed_len = 0;
	zstd_to(&compressed_len, 0, CS, 0, 0, 0); /* of unknown size */
	CHECK(!result(COMPRESSION_ZSTD, compressed_len, CS));
}

static void zstd_followed_by_something(void)
{
	size_t one;

	zpack(CS);
	one = compressed_len;
	memset(packed + one, 0xff, 700);
	CHECK(!result(COMPRESSION_ZSTD, one + 511, CS));
	memset(packed + one, 0, 700);
	CHECK(!result(COMPRESSION_ZSTD, one + 511, CS));
	zstd_to(&compressed_len, 77, CS, 0, 1, 0); /* the next cluster, whole */
	CHECK(!result(COMPRESSION_ZSTD, compressed_len, CS));
	CHECK(!result(COMPRESSION_ZSTD, one + 100, CS)); /* and cut off */
}

static void zstd_of_several_frames(void)
{
	compressed_len = 0;
	zstd_to(&compressed_len, 0, 1000, 0, 1, 0);
	zstd_to(&compressed_len, 1000, CS - 2000, 1, 0, 0);
	zstd_to(&compressed_len, CS - 1000, 1000, 0, 1, 0);
	CHECK(!result(COMPRESSION_ZSTD, compressed_len, CS));
	CHECK(result(COMPRESSION_ZSTD, compressed_len - 1, CS) == -EIO);
}

static void zstd_after_a_skippable_frame(void)
{
	static const uint8_t skip[] = {
		0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 'a', 'b', 'c', 'd',
	};

	memcpy(packed, skip, sizeof(skip));
	compressed_len = sizeof(skip);
	zstd_to(&compressed_len, 0, CS, 0, 1, 0);
	CHECK(!result(COMPRESSION_ZSTD, compressed_len, CS));
	for (size_t at = 0; at < 1200; at += sizeof(skip))
		memcpy(packed + at, skip, sizeof(skip));
	CHECK(result(COMPRESSION_ZSTD, 1200, CS) == -EIO); /* nothing else */
}

static void zstd_of_another_size(void)
{
	zpack(CS + 1);
	CHECK(result(COMPRESSION_ZSTD, compressed_len, CS) == -EIO);
	zpack(CS - 1);
	CHECK(result(COMPRESSION_ZSTD, compressed_len, CS) == -EIO);
	compressed_len = 0;
	zstd_to(&compressed_len, 0, CS / 2, 0, 1, 0);
	zstd_to(&compressed_len, CS / 2, CS / 2 + 1, 0, 1, 0);
	CHECK(result(COMPRESSION_ZSTD, compressed_len, CS) == -EIO);
	compressed_len = 0;
	zstd_to(&compressed_len, 0, CS + 1, 0, 0, 0);
	CHECK(result(COMPRESSION_ZSTD, compressed_len, CS) == -EIO);
	CHECK(result(COMPRESSION_ZSTD, 0, CS) == -EIO);
}

static void zstd_windows(void)
{
	compressed_len = 0;
	zstd_to(&compressed_len, 0, CS, 0, 0, 27);
	CHECK(!result(COMPRESSION_ZSTD, compressed_len, CS));
	compressed_len = 0;
	zstd_to(&compressed_len, 0, CS, 0, 0, 10);
	packed[5] = (31 - 10) << 3; /* the descriptor of the window */
	CHECK(result(COMPRESSION_ZSTD, compressed_len, CS) == -EIO);
	packed[5] = (28 - 10) << 3;
	CHECK(result(COMPRESSION_ZSTD, compressed_len, CS) == -EIO);
	packed[5] = (27 - 10) << 3;
	CHECK(!result(COMPRESSION_ZSTD, compressed_len, CS));
}

static void zstd_that_is_damaged(void)
{
	compressed_len = 0;
	zstd_to(&compressed_len, 0, CS, 1, 1, 0);
	packed[compressed_len - 1] ^= 1; /* the checksum */
	CHECK(result(COMPRESSION_ZSTD, compressed_len, CS) == -EIO);
	zpack(CS);
	packed[0] ^= 1;
	CHECK(result(COMPRESSION_ZSTD, compressed_len, CS) == -EIO);
}

#endif

/* ---- the pool --------------------------------------------------------------- */

static void decoders_are_kept(void)
{
	struct qc_decoder *a = qc_decoder_get(pool, 10), *b = qc_decoder_get(pool, 10), *c;

	CHECK(a && b && a != b);
	qc_decoder_put(pool, a);
	qc_decoder_put(pool, b);
	c = qc_decoder_get(pool, 100000);
	CHECK((c == a || c == b) && c->in_room >= 100000);
	memset(c->in, 1, 100000);
	qc_decoder_put(pool, c);
}

static void a_failure_leaves_no_trace(void)
{
	pack(CS, -12, Z_FINISH);
	for (int i = 0; i < 5; i++) {
		CHECK(result(COMPRESSION_DEFLATE, compressed_len / 2, CS) == -EIO);
		CHECK(!result(COMPRESSION_DEFLATE, compressed_len, CS));
	}
#ifdef HAVE_ZSTD
	zpack(CS);
	for (int i = 0; i < 5; i++) {
		CHECK(result(COMPRESSION_ZSTD, compressed_len / 2, CS) == -EIO);
		CHECK(!result(COMPRESSION_ZSTD, compressed_len, CS));
	}
#endif
}

static void unknown_type(void)
{
	CHECK(result((enum qc_compression)2, 10, CS) == -EIO);
}

static void *decode_often(void *arg)
{
	uint8_t *out = malloc(CS);
	int *bad = arg;

	for (int i = 0; i < 50; i++)
		if (decode(COMPRESSION_DEFLATE, packed, compressed_len, out, CS) ||
		    memcmp(out, plain, CS))
			++*bad;
	free(out);
	return NULL;
}

static void many_threads_decode_at_once(void)
{
	pthread_t t[8];
	int bad[8] = { 0 };

	pack(CS, -12, Z_FINISH);
	for (int i = 0; i < 8; i++)
		t[i] = start(decode_often, &bad[i]);
	for (int i = 0; i < 8; i++) {
		end(t[i]);
		CHECK(!bad[i]);
	}
}

int main(void)
{
	uint64_t seed = random_seed();

	fill_plain(&seed);
	if (qc_decoder_pool_new(&pool))
		return EXIT_FAILURE;
	RUN(deflate_of_one_cluster);
	RUN(whole_deflate_tells_its_length);
	RUN(deflate_followed_by_something);
	RUN(deflate_of_more_than_a_cluster);
	RUN(deflate_without_a_last_block);
	RUN(deflate_of_less_than_a_cluster);
	RUN(deflate_with_a_header);
	RUN(deflate_that_is_damaged);
#ifdef HAVE_ZSTD
	RUN(zstd_of_one_cluster);
	RUN(zstd_followed_by_something);
	RUN(zstd_of_several_frames);
	RUN(zstd_after_a_skippable_frame);
	RUN(zstd_of_another_size);
	RUN(zstd_windows);
	RUN(zstd_that_is_damaged);
#endif
	RUN(decoders_are_kept);
	RUN(a_failure_leaves_no_trace);
	RUN(unknown_type);
	RUN(many_threads_decode_at_once);
	qc_decoder_pool_free(pool);
	return DONE();
}
