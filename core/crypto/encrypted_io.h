/* SPDX-License-Identifier: MIT */
/*
 * encrypted_io.h - reads and writes encrypted guest data of a file.
 *
 * Called by layer/guest_data.h for a layer that has a key.  Only plain clusters are
 * encrypted: tables and compressed clusters are not (qcow2 spec, "Data encryption").
 */
#ifndef QC_ENCRYPTED_IO_H
#define QC_ENCRYPTED_IO_H

#include "crypto/cipher.h"
#include "crypto/sector_lock.h"
#include "format/geometry.h"
#include "io/file.h"

/* The key of a layer's data. */
struct qc_crypt_state {
	struct qc_cipher_pool *ciphers;
	bool iv_from_guest_offset;	    /* AES; LUKS takes the IV from the host offset */
	struct qc_sector_locks sector_locks; /* of the file that holds the data */
};

/*
 * qc_crypt_state_new() - prepare encrypted I/O
 * @key:  spec->key_bytes bytes; copied into secure memory
 *
 * Return: 0; -ENOMEM
 */
qc_err qc_crypt_state_new(const struct qc_cipher_spec *spec, const uint8_t *key,
			  bool iv_from_guest_offset, struct qc_crypt_state **out);
void qc_crypt_state_free(struct qc_crypt_state *c); /* NULL is allowed */

/*
 * qc_encrypted_read() - read and decrypt
 * @f:      the file that holds the guest data
 * @guest:  guest offset of the first byte
 * @host:   its offset in @f; both may be inside a sector
 * @got:    out: bytes that came from the file, as qc_file_read()
 *
 * Return: 0; -ENOMEM; -EIO the cipher failed; else as qc_file_read()
 */
qc_err qc_encrypted_read(struct qc_crypt_state *c, struct qc_file *f, struct goff guest,
			 struct hoff host, void *buf, size_t len, size_t *got);

/*
 * qc_encrypted_write() - encrypt and write
 *
 * Parameters as qc_encrypted_read(); @buf is not changed.  Part of a sector is merged
 * into the sector that the file has.  In a never written cluster the rest of that sector
 * decrypts to garbage: the caller writes the rest before it links the cluster.
 * Return: 0; -ENOMEM; -EIO the cipher failed; else as qc_file_write()
 */
qc_err qc_encrypted_write(struct qc_crypt_state *c, struct qc_file *f, struct goff guest,
			  struct hoff host, const void *buf, size_t len);

#endif
