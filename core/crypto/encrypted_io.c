/* SPDX-License-Identifier: MIT */
/*
 * encrypted_io.c - whole sectors in pieces, and parts of sectors one by one.
 *
 * A read decrypts in the caller's buffer.  A write encrypts into a buffer of the cipher,
 * in pieces that fit into a processor's cache.  Sector locks are held only during the I/O
 * of the file.  So a sector is read as one write left it, and of two writes to parts of
 * one sector the second reads the bytes of the first.
 */
#include "crypto/encrypted_io.h"

#include <errno.h>
#include <string.h>

#include "base/range.h"

qc_err qc_crypt_state_new(const struct qc_cipher_spec *spec, const uint8_t *key,
			  bool iv_from_guest_offset, struct qc_crypt_state **out)
{
	struct qc_crypt_state *c = aligned_alloc(_Alignof(struct qc_crypt_state), sizeof(*c));
	qc_err r = c ? qc_cipher_pool_new(spec, key, &c->ciphers) : -ENOMEM;

	if (r) {
		free(c);
		return r;
	}
	c->iv_from_guest_offset = iv_from_guest_offset;
	qc_sector_locks_init(&c->sector_locks);
	*out = c;
	return 0;
}

void qc_crypt_state_free(struct qc_crypt_state *c)
{
	if (!c)
		return;
	qc_cipher_pool_free(c->ciphers);
	qc_sector_locks_destroy(&c->sector_locks);
	free(c);
}

/* ---- pieces ----------------------------------------------------------------- */

/* The rest of a request, from its next byte on. */
struct position {
	struct goff guest;
	struct hoff host;
	size_t left;
};

/* Returns the sector number from which the IV is made. */
static uint64_t iv_sector(const struct qc_crypt_state *c, const struct position *p)
{
	return (c->iv_from_guest_offset ? p->guest.v : p->host.v) / SECTOR;
}

/* Returns the bytes of the next piece: the rest of a sector from @skip on, or as many
 * whole sectors as a cipher's buffer holds. */
static size_t next_piece(const struct position *p, size_t *skip)
{
	*skip = p->host.v % SECTOR;
	if (*skip || p->left < SECTOR)
		return (size_t)min_u64(SECTOR - *skip, p->left);
	return (size_t)min_u64(p->left - p->left % SECTOR, QC_CIPHER_BUFFER);
}

static void advance_position(struct position *p, size_t n)
{
	p->guest.v += n;
	p->host.v += n;
	p->left -= n;
}

/* ---- reading ---------------------------------------------------------------- */

/* Reads whole sectors without decrypting them. */
static qc_err read_sectors(struct qc_crypt_state *c, struct qc_file *f, uint64_t off, void *buf,
			   size_t len, size_t *got)
{
	uint64_t stripes = qc_sector_locks_read(&c->sector_locks, off, len);
	qc_err r = qc_file_read(f, off, buf, len, got);

	qc_sector_locks_unlock(&c->sector_locks, stripes);
	return r;
}

static qc_err read_part_of_sector(struct qc_crypt_state *c, struct qc_file *f,
				  struct qc_cipher *x, const struct position *p, size_t skip,
				  uint8_t *buf, size_t n, size_t *got)
{
	uint8_t *whole = qc_cipher_buffer(x);
	qc_err r = read_sectors(c, f, p->host.v - skip, whole, SECTOR, got);

	if (!r)
		r = qc_cipher_decrypt(x, iv_sector(c, p), whole, SECTOR);
	if (!r)
		memcpy(buf, whole + skip, n);
	*got = range_clamp(skip, n, *got);
	return r;
}

qc_err qc_encrypted_read(struct qc_crypt_state *c, struct qc_file *f, struct goff guest,
			 struct hoff host, void *buf, size_t len, size_t *got)
{
	struct position p = { guest, host, len };
	struct qc_cipher *x = qc_cipher_get(c->ciphers);
	uint8_t *to = buf;
	qc_err r = x ? 0 : -ENOMEM;

	*got = 0;
	while (!r && p.left) {
		size_t skip, n = next_piece(&p, &skip), part = 0;

		if (skip || n < SECTOR) {
			r = read_part_of_sector(c, f, x, &p, skip, to, n, &part);
		} else {
			r = read_sectors(c, f, p.host.v, to, n, &part);
			if (!r)
				r = qc_cipher_decrypt(x, iv_sector(c, &p), to, n);
		}
		*got += part;
		to += n;
		advance_position(&p, n);
	}
	if (x)
		qc_cipher_put(c->ciphers, x);
	return r;
}

/* ---- writing ---------------------------------------------------------------- */

static qc_err write_whole_sectors(struct qc_crypt_state *c, struct qc_file *f,
				  struct qc_cipher *x, const struct position *p,
				  const uint8_t *buf, size_t n)
{
	uint8_t *encrypted = qc_cipher_buffer(x);
	qc_err r = qc_cipher_encrypt(x, iv_sector(c, p), buf, encrypted, n);
	uint64_t stripes;

	if (r)
		return r;
	stripes = qc_sector_locks_write(&c->sector_locks, p->host.v, n);
	r = qc_file_write(f, p->host.v, encrypted, n);
	qc_sector_locks_unlock(&c->sector_locks, stripes);
	return r;
}

static qc_err write_part_of_sector(struct qc_crypt_state *c, struct qc_file *f,
				   struct qc_cipher *x, const struct position *p, size_t skip,
				   const uint8_t *buf, size_t n)
{
	uint64_t sector = iv_sector(c, p), off = p->host.v - skip;
	uint8_t *whole = qc_cipher_buffer(x);
	uint64_t stripes = qc_sector_locks_write(&c->sector_locks, off, SECTOR);
	size_t got;
	qc_err r = qc_file_read(f, off, whole, SECTOR, &got);

	if (!r)
		r = qc_cipher_decrypt(x, sector, whole, SECTOR);
	if (!r) {
		memcpy(whole + skip, buf, n);
		r = qc_cipher_encrypt(x, sector, whole, whole, SECTOR);
	}
	if (!r)
		r = qc_file_write(f, off, whole, SECTOR);
	qc_sector_locks_unlock(&c->sector_locks, stripes);
	return r;
}

qc_err qc_encrypted_write(struct qc_crypt_state *c, struct qc_file *f, struct goff guest,
			  struct hoff host, const void *buf, size_t len)
{
	struct position p = { guest, host, len };
	struct qc_cipher *x = qc_cipher_get(c->ciphers);
	const uint8_t *from = buf;
	qc_err r = x ? 0 : -ENOMEM;

	while (!r && p.left) {
		size_t skip, n = next_piece(&p, &skip);

		if (skip || n < SECTOR)
			r = write_part_of_sector(c, f, x, &p, skip, from, n);
		else
			r = write_whole_sectors(c, f, x, &p, from, n);
		from += n;
		advance_position(&p, n);
	}
	if (x)
		qc_cipher_put(c->ciphers, x);
	return r;
}
