/* SPDX-License-Identifier: MIT */
/* table_writeback.c - slices that are changed in memory, and their way to the file. */
#include <errno.h>

#include "metadata/table_cache.h"
#include "metadata/table_slots.h"
#include "qcow_array.h"

#define WITHOUT_LIMIT (UINT64_MAX / 2)

static void set_slot_dirty(struct qc_cache *c, struct cache_slot *slot, bool dirty)
{
	if (slot->dirty == dirty)
		return;
	slot->dirty = dirty;
	if (dirty)
		c->dirty++;
	else
		c->dirty--;
}

qc_err qc_cache_modify(struct qc_cache *c, uint64_t offset, qc_cache_modify_fn *fn, void *arg)
{
	uint64_t i = qc_cache_set_index(c, offset);
	struct cache_set *s = &c->sets[i];
	size_t l = i % LOCKS;
	struct qc_slice_view v;
	qc_err r;

	qc_lock(&c->lock[l]);
	r = qc_cache_find_or_load(c, s, offset, l, WITHOUT_LIMIT, &v);
	if (!r) {
		struct cache_slot *slot = qc_cache_slot_of(s, offset);

		slot->seq++;
		fn(arg, slot->words);
		slot->seq++;
		set_slot_dirty(c, slot, true);
		qc_cache_audit(c, s);
	}
	qc_unlock(&c->lock[l]);
	return r;
}

bool qc_cache_is_dirty(struct qc_cache *c)
{
	return c->dirty;
}

/* Copies the words of a dirty slot, which is clean and writing from then on. */
static qc_err copy_slot(struct qc_cache *c, uint64_t offset, struct cache_slot *slot,
			struct qc_dirty_slices *out)
{
	struct qc_dirty_slice *copy;

	if (array_reserve(&out->slice, &out->capacity, out->n + 1, sizeof(*out->slice)))
		return -ENOMEM;
	copy = &out->slice[out->n];
	*copy = (struct qc_dirty_slice){ offset, malloc(c->slice_bytes) };
	if (!copy->bytes)
		return -ENOMEM;
	out->n++;
	for (size_t i = 0; i < c->slice_bytes / 8; i++)
		be64_bytes(&slot->words[i], copy->bytes + 8 * i);
	set_slot_dirty(c, slot, false);
	slot->writing = true;
	return 0;
}

static int compare_slice_offsets(const void *a, const void *b)
{
	uint64_t x = ((const struct qc_dirty_slice *)a)->offset;
	uint64_t y = ((const struct qc_dirty_slice *)b)->offset;

	return x < y ? -1 : x > y;
}

qc_err qc_cache_writeback_begin(struct qc_cache *c, struct qc_dirty_slices *out)
{
	qc_err r = 0;

	*out = (struct qc_dirty_slices){ 0 };
	for (uint64_t i = 0; !r && i < c->nsets && c->dirty; i++) {
		struct cache_set *s = &c->sets[i];

		qc_lock(&c->lock[i % LOCKS]);
		for (int w = 0; !r && w < WAYS; w++)
			if (s->slot[w].dirty)
				r = copy_slot(c, s->offset[w], &s->slot[w], out);
		qc_cache_audit(c, s);
		qc_unlock(&c->lock[i % LOCKS]);
	}
	if (r)
		qc_cache_writeback_end(c, out, false);
	else if (out->n)
		qsort(out->slice, out->n, sizeof(*out->slice), compare_slice_offsets);
	return r;
}

void qc_cache_writeback_end(struct qc_cache *c, struct qc_dirty_slices *slices, bool written)
{
	for (size_t k = 0; k < slices->n; k++) {
		uint64_t i = qc_cache_set_index(c, slices->slice[k].offset);
		struct cache_set *s = &c->sets[i];
		struct cache_slot *slot;

		qc_lock(&c->lock[i % LOCKS]);
		slot = qc_cache_slot_of(s, slices->slice[k].offset);
		if (slot && slot->writing) { /* else it was invalidated meanwhile */
			slot->writing = false;
			if (!written)
				set_slot_dirty(c, slot, true);
		}
		qc_cache_audit(c, s);
		pthread_cond_broadcast(&c->changed[i % LOCKS]);
		qc_unlock(&c->lock[i % LOCKS]);
		free(slices->slice[k].bytes);
	}
	free(slices->slice);
	*slices = (struct qc_dirty_slices){ 0 };
}

void qc_cache_invalidate(struct qc_cache *c, uint64_t offset, uint64_t len)
{
	for (uint64_t end = offset + len; offset < end; offset += c->slice_bytes) {
		uint64_t i = qc_cache_set_index(c, offset);
		struct cache_set *s = &c->sets[i];
		struct cache_slot *slot;

		qc_lock(&c->lock[i % LOCKS]);
		/* A load in progress would end with the old bytes in a READY slot. */
		while ((slot = qc_cache_slot_of(s, offset)) && slot->seq & 1)
			qc_wait(&c->changed[i % LOCKS], &c->lock[i % LOCKS]);
		if (slot) {
			slot->seq += 2;
			s->offset[slot - s->slot] = 0;
			set_slot_dirty(c, slot, false);
			slot->writing = false;
		}
		qc_cache_audit(c, s);
		qc_unlock(&c->lock[i % LOCKS]);
	}
}
