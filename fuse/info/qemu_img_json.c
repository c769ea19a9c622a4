/* SPDX-License-Identifier: MIT */
#include "info/qemu_img_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Limits the bytes of the list: a hostile image may have very many snapshots with long names. */
enum { SNAPSHOT_BYTES_MAX = 4 << 20 };

const char *qemu_img_json_format(const struct qc_layer_info *f)
{
	if (f->raw)
		return "raw";
	return f->version == 1 ? "qcow" : f->version == 2 || f->version == 3 ? "qcow2" : NULL;
}

static json_t *bitmap_flag_names(struct json_report *p, const struct qc_bitmap *b)
{
	json_t *flags = json_array();

	if (b->in_use)
		json_add(&p->j, flags, json_string("in-use"));
	if (b->is_auto)
		json_add(&p->j, flags, json_string("auto"));
	return flags;
}

json_t *qemu_img_json_bitmaps(struct json_report *p, bool details)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->bitmaps.n; i++) {
		const struct qc_bitmap *b = &p->bitmaps.at[i];
		json_t *o = json_object();

		put(p, o, "flags", bitmap_flag_names(p, b));
		put(p, o, "name", json_text(b->name, b->name_len));
		put(p, o, "granularity", json_number(b->granularity));
		if (details) {
			put(p, o, "table-offset", json_number(b->table_offset));
			put(p, o, "table-entries", json_number(b->table_entries));
			if (b->counted)
				put(p, o, "dirty-bytes", json_number(b->dirty_bytes));
		}
		json_add(&p->j, list, o);
	}
	return list;
}

static json_t *key_slot_object(struct json_report *p, const struct qc_luks_slot_info *s)
{
	json_t *o = json_object();

	put(p, o, "active", json_boolean(s->active));
	if (s->active) {
		put(p, o, "iters", json_number(s->iterations));
		put(p, o, "stripes", json_number(s->stripes));
	}
	put(p, o, "key-offset", json_number(s->key_offset));
	return o;
}

static void put_luks(struct json_report *p, json_t *o, const struct qc_luks_info *l)
{
	json_t *slots = json_array();
	uint32_t bits = l->key_bytes * 8 / (strcmp(l->mode, "xts") ? 1 : 2);
	char cipher[60];

	snprintf(cipher, sizeof(cipher), "%s-%u", l->cipher, bits);
	put(p, o, "cipher-alg", json_name(cipher));
	put_name(p, o, "cipher-mode", l->mode);
	put_name(p, o, "ivgen-alg", l->ivgen);
	put_name(p, o, "ivgen-hash-alg", l->ivgen_hash);
	put_name(p, o, "hash-alg", l->hash);
	put_name(p, o, "uuid", l->uuid);
	put(p, o, "payload-offset", json_number(l->payload_offset));
	put(p, o, "master-key-iters", json_number(l->iterations));
	for (size_t i = 0; i < sizeof(l->slot) / sizeof(l->slot[0]); i++)
		json_add(&p->j, slots, key_slot_object(p, &l->slot[i]));
	put(p, o, "slots", slots);
}

static json_t *encrypt_object(struct json_report *p)
{
	json_t *o = json_object();
	struct qc_luks_info l;

	put(p, o, "format", json_string(qc_encryption_name(p->f.encryption)));
	if (!qc_get_luks_info(p->info->img, &l))
		put_luks(p, o, &l);
	return o;
}

static json_t *snapshot_object(struct json_report *p, const struct qc_snapshot *s)
{
	json_t *o = json_object();

	put(p, o, "id", json_text(s->id, s->id_len));
	put(p, o, "name", json_text(s->name, s->name_len));
	put(p, o, "vm-state-size", json_number(s->vmstate_bytes));
	put(p, o, "date-sec", json_integer(s->date_s));
	put(p, o, "date-nsec", json_number(s->date_ns));
	put(p, o, "vm-clock-sec", json_number(s->vm_clock_ns / 1000000000));
	put(p, o, "vm-clock-nsec", json_number(s->vm_clock_ns % 1000000000));
	if (s->icount != UINT64_MAX)
		put(p, o, "icount", json_number(s->icount));
	return o;
}

json_t *qemu_img_json_snapshots(struct json_report *p, bool details)
{
	json_t *list = json_array();
	size_t room = SNAPSHOT_BYTES_MAX;

	for (size_t i = 0; i < p->snapshots.n; i++) {
		const struct qc_snapshot *s = &p->snapshots.at[i];
		size_t bytes = s->id_len + s->name_len + 64;
		json_t *o;

		if (bytes > room)
			break;
		room -= bytes;
		o = snapshot_object(p, s);
		if (details && p->shown)
			put_name(p, o, "shown", p->shown[i]);
		if (details) {
			put(p, o, "virtual-size", json_number(s->size));
			put(p, o, "l1-offset", json_number(s->l1_offset));
			put(p, o, "l1-entries", json_number(s->l1_entries));
		}
		json_add(&p->j, list, o);
	}
	return list;
}

static json_t *format_specific_object(struct json_report *p)
{
	json_t *o = json_object(), *data = json_object();
	const struct qc_layer_info *f = &p->f;

	put(p, data, "compat", json_string(f->version == 2 ? "0.10" : "1.1"));
	put(p, data, "compression-type", json_string(f->zstd ? "zstd" : "zlib"));
	if (f->version == 3)
		put(p, data, "lazy-refcounts", json_boolean(f->lazy_refcounts));
	if (f->bitmaps_valid && !p->bitmaps_error)
		put(p, data, "bitmaps", qemu_img_json_bitmaps(p, false));
	if (f->refcount_bits)
		put(p, data, "refcount-bits", json_number(f->refcount_bits));
	if (f->encryption)
		put(p, data, "encrypt", encrypt_object(p));
	if (f->has_data_file && *f->data_file) {
		put(p, data, "data-file", json_name(f->data_file));
		put(p, data, "data-file-raw", json_boolean(f->data_file_raw));
	}
	if (f->version == 3) {
		put(p, data, "corrupt", json_boolean(f->corrupt));
		put(p, data, "extended-l2", json_boolean(f->extended_l2));
	}
	put(p, o, "type", json_string("qcow2"));
	put(p, o, "data", data);
	return o;
}

/* Returns the backing file name relative to the directory of the image, as QEMU does: a name
 * with a protocol stays as it is, and "." and ".." are not resolved. */
static json_t *full_backing_name(const char *path, const char *backing)
{
	const char *slash = strrchr(path, '/');
	char *full = NULL;
	json_t *v;

	if (*backing == '/' || !slash || backing[strcspn(backing, ":/")] == ':')
		return json_name(backing);
	if (asprintf(&full, "%.*s%s", (int)(slash + 1 - path), path, backing) < 0)
		return NULL;
	v = json_name(full);
	free(full);
	return v;
}

/* Returns the size of the disk.  QEMU rounds that of a raw file up to whole sectors. */
static uint64_t size_in_qemu(const struct qc_layer_info *f)
{
	return f->raw ? f->size + (-f->size & 511) : f->size;
}

void qemu_img_json_put(struct json_report *p, json_t *root)
{
	const struct qc_layer_info *f = &p->f;
	const char *format = qemu_img_json_format(f);

	if (p->snapshots.n)
		put(p, root, "snapshots", qemu_img_json_snapshots(p, false));
	put_name(p, root, "backing-filename-format", f->backing_format);
	if (format)
		put(p, root, "virtual-size", json_number(size_in_qemu(f)));
	put(p, root, "filename", json_name(p->info->path));
	if (f->cluster_size)
		put(p, root, "cluster-size", json_number(f->cluster_size));
	if (format)
		put(p, root, "format", json_string(format));
	put(p, root, "actual-size", json_number(f->allocated_bytes));
	if (f->version == 2 || f->version == 3)
		put(p, root, "format-specific", format_specific_object(p));
	if (*f->backing) {
		put(p, root, "full-backing-filename", full_backing_name(p->info->path, f->backing));
		put(p, root, "backing-filename", json_name(f->backing));
	}
	if (f->encryption)
		put(p, root, "encrypted", json_true());
	put(p, root, "dirty-flag", json_boolean(f->dirty));
}
