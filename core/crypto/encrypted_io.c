/* SPDX-License-Identifier: MIT */
/*
 * encrypted_io.c - encrypted bytes: by whole sectors, of which part may be wanted.
 *
 * What is read is deciphered in the caller's buffer; what is written is enciphered
 * into a buffer of its own, a piece at a time, as large as stays in the cache of a
 * processor.  The lanes are held while the file is read or written, no longer: so
 * a sector that is read was written whole, and of two who write parts of one, the
 * second reads what the first wrote.
 *
 * Part of a sector in a cluster that was never written is merged into whatever
 * stands there: the rest is written, too, before anybody can read it.
 */
#include "layer/guest_data.h"

#include <errno.h>
#include <string.h>

#include "base/range.h"

/* Sector numbers count from the beginning of the disk, or of the file. */
static uint64_t sector_of(const struct qc_crypt_state *u, struct goff at, struct hoff host)
{
	return (u->iv_from_guest_offset ? at.v : host.v) / SECTOR;
}

/* A sector at which a run of bytes begins or ends, or a piece of whole ones. */
static size_t next_piece(struct hoff host, size_t len, size_t *skip)
{
	*skip = host.v % SECTOR;
	if (*skip || len < SECTOR)
		return (size_t)min_u64(SECTOR - *skip, len);
	return (size_t)min_u64(len - len % SECTOR, QC_CIPHER_BUFFER);
}

/* ---- reading ---------------------------------------------------------------- */

/* Whole sectors, as they are in the file. */
static qc_err fetch(struct qc_crypt_state *u, struct qc_file *f, uint64_t off, void *buf,
		    size_t len, size_t *got)
{
	uint64_t lanes = qc_sector_locks_read(&u->sector_locks, off, len);
	qc_err r = qc_file_read(f, off, buf, len, got);

	qc_sector_locks_unlock(&u->sector_locks, lanes);
	return r;
}

static qc_err read_part(struct qc_layer *l, struct qc_cipher *x, uint64_t sector, uint64_t off,
			size_t skip, uint8_t *buf, size_t n, size_t *got)
{
	uint8_t *whole = qc_cipher_buffer(x);
	qc_err r = fetch(l->unlocked, l->data, off - skip, whole, SECTOR, got);

	if (!r)
		r = qc_cipher_decrypt(x, sector, whole, SECTOR);
	if (!r)
		memcpy(buf, whole + skip, n);
	*got = range_clamp(skip, n, *got);
	return r;
}

qc_err qc_encrypted_read(struct qc_layer *l, struct goff at, struct hoff host, void *buf,
			      size_t len, size_t *got)
{
	struct qc_crypt_state *u = l->unlocked;
	struct qc_cipher *x = qc_cipher_get(u->ciphers);
	uint8_t *to = buf;
	qc_err r = x ? 0 : -ENOMEM;

	*got = 0;
	while (!r && len) {
		uint64_t sector = sector_of(u, at, host);
		size_t skip, n = next_piece(host, len, &skip), part = 0;

		if (skip || n < SECTOR) {
			r = read_part(l, x, sector, host.v, skip, to, n, &part);
		} else {
			r = fetch(u, l->data, host.v, to, n, &part);
			if (!r)
				r = qc_cipher_decrypt(x, sector, to, n);
		}
		*got += part;
		at.v += n;
		host.v += n;
		to += n;
		len -= n;
	}
	if (x)
		qc_cipher_put(u->ciphers, x);
	return r;
}

/* ---- writing ---------------------------------------------------------------- */

static qc_err write_whole(struct qc_writer *w, struct qc_cipher *x, uint64_t sector,
			  uint64_t off, const uint8_t *buf, size_t n)
{
	struct qc_crypt_state *u = w->layer->unlocked;
	uint8_t *bounce = qc_cipher_buffer(x);
	qc_err r = qc_cipher_encrypt(x, sector, buf, bounce, n);
	uint64_t lanes;

	if (r)
		return r;
	lanes = qc_sector_locks_write(&u->sector_locks, off, n);
	r = qc_file_write(w->data, off, bounce, n);
	qc_sector_locks_unlock(&u->sector_locks, lanes);
	return r;
}

static qc_err write_part(struct qc_writer *w, struct qc_cipher *x, uint64_t sector,
			 uint64_t off, size_t skip, const uint8_t *buf, size_t n)
{
	struct qc_crypt_state *u = w->layer->unlocked;
	uint8_t *whole = qc_cipher_buffer(x);
	uint64_t lanes = qc_sector_locks_write(&u->sector_locks, off - skip, SECTOR);
	size_t got;
	qc_err r = qc_file_read(w->data, off - skip, whole, SECTOR, &got);

	if (!r)
		r = qc_cipher_decrypt(x, sector, whole, SECTOR);
	if (!r) {
		memcpy(whole + skip, buf, n);
		r = qc_cipher_encrypt(x, sector, whole, whole, SECTOR);
	}
	if (!r)
		r = qc_file_write(w->data, off - skip, whole, SECTOR);
	qc_sector_locks_unlock(&u->sector_locks, lanes);
	return r;
}

qc_err qc_encrypted_write(struct qc_writer *w, struct goff at, struct hoff host,
			       const void *buf, size_t len)
{
	struct qc_crypt_state *u = w->layer->unlocked;
	struct qc_cipher *x = qc_cipher_get(u->ciphers);
	const uint8_t *from = buf;
	qc_err r = x ? 0 : -ENOMEM;

	while (!r && len) {
		uint64_t sector = sector_of(u, at, host);
		size_t skip, n = next_piece(host, len, &skip);

		if (skip || n < SECTOR)
			r = write_part(w, x, sector, host.v, skip, from, n);
		else
			r = write_whole(w, x, sector, host.v, from, n);
		at.v += n;
		host.v += n;
		from += n;
		len -= n;
	}
	if (x)
		qc_cipher_put(u->ciphers, x);
	return r;
}
