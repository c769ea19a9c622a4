/* SPDX-License-Identifier: MIT */
#include "keys/cached_passphrase.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "qcow.h"

static int fill_with_random(uint8_t *to, size_t n)
{
	while (n) {
		ssize_t got = getrandom(to, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		to += got;
		n -= (size_t)got;
	}
	return 0;
}

void cached_passphrase_free(struct cached_passphrase *p)
{
	if (!p)
		return;
	qc_secure_free(p->pad);
	qc_secure_free(p->masked);
	free(p->path);
	free(p);
}

int cached_passphrase_new(const char *path, const uint8_t *pass, size_t n,
			  struct cached_passphrase **out)
{
	struct cached_passphrase *p = calloc(1, sizeof(*p));
	int r = -ENOMEM;

	if (!p)
		return r;
	p->path = path ? strdup(path) : NULL;
	p->pad = qc_secure_alloc(n);
	p->masked = qc_secure_alloc(n);
	p->len = n;
	if (p->pad && p->masked && !path == !p->path)
		r = fill_with_random(p->pad, n);
	if (r) {
		cached_passphrase_free(p);
		return r;
	}
	for (size_t i = 0; i < n; i++)
		p->masked[i] = pass[i] ^ p->pad[i];
	*out = p;
	return 0;
}

int cached_passphrase_copy(const struct cached_passphrase *p, uint8_t *buf, size_t room, size_t *len)
{
	if (p->len > room)
		return -EFBIG;
	for (size_t i = 0; i < p->len; i++)
		buf[i] = p->masked[i] ^ p->pad[i];
	*len = p->len;
	return 0;
}
