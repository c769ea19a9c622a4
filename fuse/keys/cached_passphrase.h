/* SPDX-License-Identifier: MIT */
/*
 * cached_passphrase.h - a passphrase that could be read only once.
 *
 * A descriptor, a pipe or a terminal gives a passphrase once, but it is needed whenever an image
 * is opened.  It is kept as two halves in secure memory, one of them random: only their XOR is
 * the passphrase, so memory holds it no longer than it is in use.
 */
#ifndef CACHED_PASSPHRASE_H
#define CACHED_PASSPHRASE_H

#include <stddef.h>
#include <stdint.h>

struct cached_passphrase {
	char *path; /* of the image; NULL: for all images */
	size_t len;
	uint8_t *pad, *masked; /* in secure memory; the passphrase is masked ^ pad */
	struct cached_passphrase *next;
};

/* Makes *@out from @n bytes.  Return: 0; -ENOMEM; an error of getrandom(2). */
int cached_passphrase_new(const char *path, const uint8_t *pass, size_t n,
			  struct cached_passphrase **out);
void cached_passphrase_free(struct cached_passphrase *p); /* NULL does nothing */

/* Writes the passphrase to @buf.  Return: 0; -EFBIG it is longer than @room. */
int cached_passphrase_copy(const struct cached_passphrase *p, uint8_t *buf, size_t room, size_t *len);

#endif
