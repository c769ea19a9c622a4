/* SPDX-License-Identifier: MIT */
/*
 * key_slots.c - add, find and remove LUKS key slots of an open image.
 *
 * The state of a slot is four bytes inside one sector, so one write makes it active or inactive.
 * Invariant: as long as the state in the file may be "active", the rest of the slot and its key
 * material are complete there.  QEMU writes the whole LUKS header instead, which a crash can
 * leave half written.
 */
#include "qcow_key.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/byteorder.h"
#include "base/failpoint.h"
#include "base/outcome.h"
#include "base/range.h"
#include "crypto/luks_format.h"
#include "crypto/secure_mem.h"
#include "format/luks_header.h"
#include "image/image.h"
#include "update/checkpoint.h"

enum {
	WIPES = 40, /* of key material, as QEMU does */
	ITER_TIME_MS = 2000,
};

struct key_slots {
	struct qc_layer *layer;
	struct qc_writer *w; /* NULL: the slots are only read */
	struct qc_luks luks;
	struct qc_luks_header header;
	uint8_t *material; /* secure memory for the material of one slot */
};

/* ---- the LUKS header ---------------------------------------------------------- */

static qc_err read_slots(struct key_slots *k, struct qc_reason *why)
{
	const struct qc_header *h = &k->layer->head;
	uint8_t buf[LUKS_BYTES];
	size_t got;
	qc_err r = qc_file_read(k->layer->file, h->luks_offset, buf, sizeof(buf), &got);

	if (r)
		return qc_fail_errno(why, r, "cannot read the LUKS header");
	r = qc_luks_parse(buf, h->luks_bytes, &k->luks, why);
	if (r)
		return r;
	qc_luks_header_parse(buf, sizeof(buf), &k->header);
	k->material = qc_secure_alloc(qc_luks_key_material_bytes(&k->luks));
	return k->material ? 0 : qc_fail_errno(why, -ENOMEM, NULL);
}

static qc_err open_slots(struct key_slots *k, struct qc_image *img, struct qc_reason *why)
{
	*k = (struct key_slots){ .layer = img->layer[0] };
	if (k->layer->head.crypt != CRYPT_LUKS || !k->layer->crypt)
		return qc_fail(why, -EOPNOTSUPP, "not encrypted with LUKS, so it has no key slots");
	return read_slots(k, why);
}

/* Excludes other changes of the slots.  close_slots_for_change() ends that. */
UNCHECKED static qc_err open_slots_for_change(struct key_slots *k, struct qc_image *img,
					      struct qc_reason *why)
{
	struct qc_writer *w = img->writable ? img->layer[0]->writer : NULL;
	qc_err r;

	*k = (struct key_slots){ 0 };
	if (!w)
		return qc_fail(why, -EROFS, "not open for writing");
	qc_lock(&w->resize_lock);
	r = open_slots(k, img, why);
	k->w = w;
	return r || !w->aborted ? r : qc_fail_errno(why, -EIO, "cannot write");
}

UNCHECKED static void close_slots(struct key_slots *k)
{
	qc_secure_free(k->material);
	if (k->w)
		qc_unlock(&k->w->resize_lock);
}

/* Returns the host offset of slot @i in the LUKS header. */
static uint64_t slot_offset(const struct key_slots *k, unsigned int i)
{
	return k->layer->head.luks_offset + LUKS_AT_SLOTS + i * UINT64_C(1) * LUKS_SLOT_BYTES;
}

static uint64_t material_offset(const struct key_slots *k, unsigned int i)
{
	return k->layer->head.luks_offset + k->header.slot[i].key_offset;
}

static qc_err write_slot_state(struct key_slots *k, unsigned int i, uint32_t state)
{
	uint8_t be[4];

	be32_to(be, state);
	return qc_file_write(k->w->file, slot_offset(k, i) + LUKS_SLOT_STATE, be, sizeof(be));
}

/* Overwrites the key material of an inactive slot.  Each pass is synced: several writes that
 * meet in the page cache would reach the disk as one. */
static qc_err wipe_material(struct key_slots *k, unsigned int i)
{
	size_t n = qc_luks_key_material_bytes(&k->luks);
	qc_err r = 0;

	for (int pass = 0; !r && pass < WIPES; pass++) {
		for (size_t at = 0; !r && at < n; at += 256) /* never interrupted up to 256 bytes */
			if (getrandom(k->material + at, min_u64(256, n - at), 0) < 0)
				r = -EIO;
		if (!r)
			r = qc_file_write(k->w->file, material_offset(k, i), k->material, n);
		if (!r)
			r = qc_writer_sync(k->w);
	}
	return r;
}

/* ---- adding ---------------------------------------------------------------------- */

/* Returns true if the material of the inactive slot @i is inside the header, behind its fields,
 * and overlaps that of no other slot.  An inactive slot was not checked before. */
static bool has_room_for_key(const struct key_slots *k, unsigned int i)
{
	uint64_t n = qc_luks_key_material_bytes(&k->luks), at = k->header.slot[i].key_offset;
	uint64_t end = k->layer->head.luks_bytes;

	if (k->header.payload_offset)
		end = min_u64(end, k->header.payload_offset);
	if (at < LUKS_BYTES || !range_inside(at, n, end) ||
	    k->header.slot[i].stripes != LUKS_STRIPES)
		return false;
	for (unsigned int s = 0; s < LUKS_SLOTS; s++)
		if (s != i && range_overlap(at, n, k->header.slot[s].key_offset, n))
			return false;
	return true;
}

static qc_err choose_key_slot(const struct key_slots *k, int wanted, unsigned int *slot,
			  struct qc_reason *why)
{
	bool any = wanted == QC_KEY_SLOT_ANY;

	if (!any && (wanted < 0 || wanted >= LUKS_SLOTS))
		return qc_fail(why, -EINVAL, "there is no key slot %d (0 to 7)", wanted);
	for (*slot = any ? 0 : (unsigned int)wanted; *slot < LUKS_SLOTS; ++*slot) {
		if (!k->luks.slot[*slot].active && has_room_for_key(k, *slot))
			return 0;
		if (!any)
			break;
	}
	if (any)
		return qc_fail(why, -ENOSPC, "no key slot is free (key remove makes one free)");
	if (k->luks.slot[*slot].active)
		return qc_fail(why, -EEXIST, "key slot %u is in use (key remove makes it free)",
			       *slot);
	return qc_fail(why, -EINVAL, "key slot %u is damaged: its key material has no place that "
		       "is free", *slot);
}

/* Writes a slot and its key material, still inactive; then makes the slot active. */
static qc_err write_new_slot(struct key_slots *k, unsigned int i, const uint8_t *record)
{
	qc_err r = write_slot_state(k, i, LUKS_SLOT_OFF), wiped;

	if (!r)
		r = qc_file_write(k->w->file, slot_offset(k, i) + LUKS_SLOT_ITERATIONS,
				  record + LUKS_SLOT_ITERATIONS,
				  LUKS_SLOT_BYTES - LUKS_SLOT_ITERATIONS);
	if (!r)
		r = qc_file_write(k->w->file, material_offset(k, i), k->material,
				  qc_luks_key_material_bytes(&k->luks));
	if (!r)
		r = qc_writer_sync(k->w);
	if (!r && FAIL_POINT("key.before-active"))
		r = -EIO;
	if (r) {
		wiped = k->w->aborted ? 0 : wipe_material(k, i);
		(void)wiped; /* the first error is the reason */
		return r;
	}
	r = write_slot_state(k, i, LUKS_SLOT_ON);
	return r ? r : qc_writer_sync(k->w);
}

static qc_err add_key(struct key_slots *k, const struct qc_new_key *key, unsigned int *slot,
		      struct qc_reason *why)
{
	const uint8_t *data_key = qc_cipher_pool_key(k->layer->crypt->ciphers);
	uint8_t record[LUKS_SLOT_BYTES];
	qc_err r = choose_key_slot(k, key->slot, slot, why);

	if (r)
		return r;
	k->luks.slot[*slot].key_offset = k->header.slot[*slot].key_offset;
	r = qc_luks_format_slot(&k->luks, *slot, key->iter_time_ms ? key->iter_time_ms : ITER_TIME_MS,
				key->passphrase, key->len, data_key, record, k->material);
	if (r)
		return qc_fail_errno(why, r, "cannot make a key slot");
	r = write_new_slot(k, *slot, record);
	return r ? qc_fail_errno(why, r, "cannot write a key slot") : 0;
}

qc_err qc_key_add(struct qc_image *img, const struct qc_new_key *key, unsigned int *slot,
		  struct qc_reason *why)
{
	struct key_slots k;
	qc_err r = open_slots_for_change(&k, img, why);

	if (!r)
		r = add_key(&k, key, slot, why);
	close_slots(&k);
	return qc_no_outcome(r);
}

/* ---- finding ---------------------------------------------------------------------- */

static qc_err try_slot(struct key_slots *k, unsigned int i, const void *pass, size_t len,
		       uint8_t *key)
{
	size_t got;
	qc_err r = qc_file_read(k->layer->file, material_offset(k, i), k->material,
				qc_luks_key_material_bytes(&k->luks), &got);

	return r ? r : qc_luks_open_slot(&k->luks, i, k->material, pass, len, key);
}

qc_err qc_key_find(struct qc_image *img, const void *pass, size_t len, unsigned int *slots,
		   struct qc_reason *why)
{
	AUTO_SECRET uint8_t *key = qc_secure_alloc(QC_CIPHER_KEY_MAX);
	struct key_slots k;
	qc_err r = open_slots(&k, img, why);

	*slots = 0;
	if (!r && !key)
		r = qc_fail_errno(why, -ENOMEM, NULL);
	for (unsigned int i = 0; !r && i < LUKS_SLOTS; i++) {
		if (!k.luks.slot[i].active)
			continue;
		r = try_slot(&k, i, pass, len, key);
		if (!r)
			*slots |= 1U << i;
		r = r && r != -EACCES ? qc_fail_errno(why, r, "cannot try a key slot") : 0;
	}
	close_slots(&k);
	return qc_no_outcome(r);
}

/* ---- removing ---------------------------------------------------------------------- */

static qc_err check_removal(const struct key_slots *k, unsigned int slots, bool last,
			    struct qc_reason *why)
{
	bool left = false;

	if (!slots || slots >> LUKS_SLOTS)
		return qc_fail(why, -EINVAL, "there is no such key slot (0 to 7)");
	for (unsigned int i = 0; i < LUKS_SLOTS; i++) {
		bool removed = slots & 1U << i;

		if (removed && !k->luks.slot[i].active)
			return qc_fail(why, -ENOENT, "key slot %u is not in use", i);
		left = left || (k->luks.slot[i].active && !removed);
	}
	if (!left && !last)
		return qc_fail(why, -EPERM, "no key would be left, and all data lost "
			       "(--force allows it)");
	return 0;
}

static qc_err wipe_slot(struct key_slots *k, unsigned int i)
{
	static const uint8_t zeros[LUKS_SLOT_MATERIAL - LUKS_SLOT_ITERATIONS];
	qc_err r = qc_file_write(k->w->file, slot_offset(k, i) + LUKS_SLOT_ITERATIONS, zeros,
				 sizeof(zeros));

	return r ? r : wipe_material(k, i);
}

static qc_err remove_slots(struct key_slots *k, unsigned int slots)
{
	qc_err r = 0;

	for (unsigned int i = 0; !r && i < LUKS_SLOTS; i++)
		if (slots & 1U << i)
			r = write_slot_state(k, i, LUKS_SLOT_OFF);
	if (!r)
		r = qc_writer_sync(k->w);
	for (unsigned int i = 0; !r && i < LUKS_SLOTS; i++)
		if (slots & 1U << i)
			r = wipe_slot(k, i);
	return r;
}

qc_err qc_key_remove(struct qc_image *img, unsigned int slots, bool last, struct qc_reason *why)
{
	struct key_slots k;
	qc_err r = open_slots_for_change(&k, img, why);

	if (!r)
		r = check_removal(&k, slots, last, why);
	if (!r) {
		r = remove_slots(&k, slots);
		r = r ? qc_fail_errno(why, r, "cannot remove a key slot") : 0;
	}
	close_slots(&k);
	return qc_no_outcome(r);
}
