/* SPDX-License-Identifier: MIT */
/*
 * byteorder.h - numbers as they stand in an image file: big-endian, any alignment.
 *
 * Everything on disk is read through these, so that a forgotten conversion
 * cannot be written down.
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

/* A table entry in memory, still in the order of the file. */
struct be64 {
	_Atomic uint64_t raw;
};

/* Nothing that is read after it can have been read before it. */
static inline uint64_t be64_get(const struct be64 *v)
{
	return be64toh(atomic_load_explicit(&v->raw, memory_order_acquire));
}

/* As be64_copy. */
static inline void be64_put(struct be64 *to, uint64_t v)
{
	atomic_store_explicit(&to->raw, htobe64(v), memory_order_release);
}

/* Back to the bytes of the file. */
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

/* Nothing that was written before it can be seen after it. */
static inline void be64_copy(struct be64 *to, const uint8_t *from)
{
	uint64_t raw;

	memcpy(&raw, from, sizeof(raw));
	atomic_store_explicit(&to->raw, raw, memory_order_release);
}

#endif
