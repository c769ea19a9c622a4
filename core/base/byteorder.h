/* SPDX-License-Identifier: MIT */
/*
 * byteorder.h - big-endian numbers of an image file, at any alignment.
 *
 * All numbers on disk are read and written through these functions and struct be64.
 * They are no plain integers, so that the compiler rejects a forgotten conversion.
 */
#ifndef QC_BYTEORDER_H
#define QC_BYTEORDER_H

#include <endian.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t be16_at(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return be16toh(v);
}

static inline uint32_t be32_at(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

static inline uint64_t be64_at(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

/* A table entry in memory, in the byte order of the file.  Other threads may read it. */
struct be64 {
	_Atomic uint64_t raw;
};

/* Returns the entry.  An acquire load: later loads of the thread stay behind it. */
static inline uint64_t be64_get(const struct be64 *v)
{
	return be64toh(atomic_load_explicit(&v->raw, memory_order_acquire));
}

/* Sets the entry.  A release store: earlier stores of the thread stay before it. */
static inline void be64_put(struct be64 *to, uint64_t v)
{
	atomic_store_explicit(&to->raw, htobe64(v), memory_order_release);
}

/* Writes the 8 bytes of the file at @to. */
static inline void be64_bytes(const struct be64 *from, uint8_t *to)
{
	uint64_t raw = atomic_load_explicit(&from->raw, memory_order_relaxed);

	memcpy(to, &raw, sizeof(raw));
}

static inline void be16_to(uint8_t *p, uint16_t v)
{
	v = htobe16(v);
	memcpy(p, &v, sizeof(v));
}

static inline void be32_to(uint8_t *p, uint32_t v)
{
	v = htobe32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void be64_to(uint8_t *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, sizeof(v));
}

/* Sets the entry from 8 bytes of the file.  A release store, as be64_put(). */
static inline void be64_copy(struct be64 *to, const uint8_t *from)
{
	uint64_t raw;

	memcpy(&raw, from, sizeof(raw));
	atomic_store_explicit(&to->raw, raw, memory_order_release);
}

#endif
