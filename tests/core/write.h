/* SPDX-License-Identifier: MIT */
/* write.h - images that are written to, and what QEMU says of them then. */
#ifndef WRITE_H
#define WRITE_H

#include "make.h"

static inline struct qc_image *image_write(struct qc_context *ctx, const char *path)
{
	struct qc_image *img = NULL;
	struct qc_reason why;

	if (image_try(ctx, path, QC_OPEN_WRITE, &img, &why)) {
		printf("# %s: %s\n", path, why.text);
		exit(1);
	}
	return img;
}

static inline qc_err fill(struct qc_image *img, uint64_t off, size_t len, uint8_t byte)
{
	uint8_t *buf = malloc(len + 1);
	qc_err r;

	memset(buf, byte, len + 1);
	r = qc_write(img, off, buf, len);
	free(buf);
	return r;
}

/* Neither damage nor a leak. */
static inline bool is_sound(const char *path)
{
	return !try_sh("qemu-img check -f qcow2 -U %s >check.out 2>&1 ||"
		       " { sed 's/^/# /' check.out | head -20; false; }", path);
}

/* No damage; leaks of a crash are allowed. */
static inline bool is_sound_but_for_leaks(const char *path)
{
	return !try_sh("qemu-img check -f qcow2 -U %s >check.out 2>&1; test $? = 0 -o $? = 3 ||"
		       " { sed 's/^/# /' check.out | head -20; false; }", path);
}

/* Whether QEMU reads the bytes. */
static inline bool qemu_reads(const char *path, const char *format, const uint8_t *want,
			      size_t size)
{
	size_t n, i = 0;
	uint8_t *got = reference(path, format, &n);

	while (i < n && i < size && got[i] == want[i])
		i++;
	if (i < size || n != size)
		printf("# %s: %zu bytes, and not %zu, or other ones from %zu on\n", path, n, size,
		       i);
	free(got);
	return i == size && n == size;
}

#endif
