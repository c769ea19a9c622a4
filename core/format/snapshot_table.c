/* SPDX-License-Identifier: MIT */
/*
 * snapshot_table.c - an entry is a fixed part, extra data, id and name, padded to 8 bytes.
 * The padding of the last entry may be missing.  qcow-format(7) has the fields.
 */
#include "format/snapshot_table.h"

#include <errno.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/outcome.h"
#include "format/qcow_layout.h"
#include "base/range.h"

enum {
	ENTRY_L1_OFFSET = 0,    /* u64 */
	ENTRY_L1_ENTRIES = 8,   /* u32 */
	ENTRY_ID_LEN = 12,      /* u16 */
	ENTRY_NAME_LEN = 14,    /* u16 */
	ENTRY_DATE_S = 16,      /* u32 */
	ENTRY_DATE_NS = 20,     /* u32 */
	ENTRY_VM_CLOCK = 24,    /* u64 */
	ENTRY_VM_BYTES32 = 32,  /* u32 */
	ENTRY_EXTRA_LEN = 36,   /* u32 */
	ENTRY_FIXED = 40,
	EXTRA_VM_BYTES = 0,   /* u64, in the extra data */
	EXTRA_SIZE = 8,	      /* u64 */
	EXTRA_ICOUNT = 16,    /* u64 */
	EXTRA_WRITTEN = 24,   /* bytes of extra data that we write, like QEMU */
	EXTRA_MAX = 1024,
	FIRST_READ = 64 * 1024,
	TABLE_MAX = 64 << 20,
};

/* ---- reading -------------------------------------------------------------- */

static void parse_snapshot_fields(const uint8_t *p, uint32_t extra, struct qc_snapshot *s)
{
	const uint8_t *e = p + ENTRY_FIXED;

	s->l1_offset = be64_at(p + ENTRY_L1_OFFSET);
	s->l1_entries = be32_at(p + ENTRY_L1_ENTRIES);
	s->date_s = be32_at(p + ENTRY_DATE_S);
	s->date_ns = be32_at(p + ENTRY_DATE_NS);
	s->vm_clock_ns = be64_at(p + ENTRY_VM_CLOCK);
	s->vmstate_bytes = extra >= EXTRA_SIZE ? be64_at(e + EXTRA_VM_BYTES) :
						 be32_at(p + ENTRY_VM_BYTES32);
	if (extra >= EXTRA_ICOUNT)
		s->size = be64_at(e + EXTRA_SIZE);
	s->icount = extra >= EXTRA_WRITTEN ? be64_at(e + EXTRA_ICOUNT) : UINT64_MAX;
	s->id_len = be16_at(p + ENTRY_ID_LEN);
	s->name_len = be16_at(p + ENTRY_NAME_LEN);
	s->id = (const char *)e + extra;
	s->name = s->id + s->id_len;
}

qc_err qc_snapshot_table_parse(const uint8_t *bytes, size_t len, uint32_t n, uint64_t size,
			       struct qc_snapshot_entry *entry)
{
	uint64_t at = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t n_bytes = ENTRY_FIXED;
		const uint8_t *p;
		uint32_t extra;

		if (!range_inside(at, n_bytes, len))
			return QC_NEED_MORE_BYTES;
		p = bytes + at;
		extra = be32_at(p + ENTRY_EXTRA_LEN);
		if (extra > EXTRA_MAX)
			return -EINVAL;
		n_bytes += extra + be16_at(p + ENTRY_ID_LEN) + be16_at(p + ENTRY_NAME_LEN);
		if (!range_inside(at, n_bytes, len))
			return QC_NEED_MORE_BYTES;
		entry[i] = (struct qc_snapshot_entry){ .s.size = size, .at = at, .len = n_bytes };
		parse_snapshot_fields(p, extra, &entry[i].s);
		at = round_up(at + n_bytes, 8);
	}
	return 0;
}

qc_err qc_snapshot_table_read(struct qc_file *f, uint64_t offset, uint32_t n, uint64_t size,
			      struct qc_snapshot_table *t)
{
	qc_err r = 0;

	*t = (struct qc_snapshot_table){ .n = n, .entry = calloc(n ? n : 1, sizeof(*t->entry)) };
	if (!t->entry)
		return -ENOMEM;
	for (size_t want = FIRST_READ;; want *= 4) {
		size_t got = 0;

		free(t->bytes);
		t->bytes = malloc(want);
		r = t->bytes ? qc_file_read(f, offset, t->bytes, want, &got) : -ENOMEM;
		if (r)
			break;
		r = qc_snapshot_table_parse(t->bytes, got, n, size, t->entry);
		if (r == QC_NEED_MORE_BYTES && got == want && want < TABLE_MAX)
			continue;
		break;
	}
	if (!r && n)
		t->len = t->entry[n - 1].at + t->entry[n - 1].len;
	if (r)
		qc_snapshot_table_free(t);
	return r == QC_NEED_MORE_BYTES ? -EIO : r;
}

void qc_snapshot_table_free(struct qc_snapshot_table *t)
{
	free(t->bytes);
	free(t->entry);
	*t = (struct qc_snapshot_table){ 0 };
}

static bool is_same_text(const char *a, size_t a_len, const char *b, size_t b_len)
{
	return a_len == b_len && !memcmp(a, b, a_len);
}

uint32_t qc_snapshot_table_find(const struct qc_snapshot_table *t, const struct qc_snapshot *s)
{
	uint32_t i = 0;

	for (; i < t->n; i++) {
		const struct qc_snapshot *o = &t->entry[i].s;

		if (is_same_text(o->id, o->id_len, s->id, s->id_len) &&
		    is_same_text(o->name, o->name_len, s->name, s->name_len) &&
		    o->l1_offset == s->l1_offset && o->date_s == s->date_s &&
		    o->date_ns == s->date_ns)
			break;
	}
	return i;
}

bool qc_snapshot_entry_is_valid(const struct qc_snapshot *s, uint64_t cluster, uint64_t file_bytes)
{
	if (s->l1_entries > L1_ENTRIES_MAX || s->l1_offset & (cluster - 1))
		return false;
	return !s->l1_entries || (s->l1_offset >= cluster &&
				  range_inside(s->l1_offset, s->l1_entries * UINT64_C(8),
					       round_up(file_bytes, cluster)));
}

/* ---- writing -------------------------------------------------------------- */

static size_t entry_bytes(const struct qc_snapshot *s)
{
	return ENTRY_FIXED + EXTRA_WRITTEN + s->id_len + s->name_len;
}

static void encode_entry(const struct qc_snapshot *s, uint8_t *p)
{
	uint8_t *e = p + ENTRY_FIXED;

	be64_to(p + ENTRY_L1_OFFSET, s->l1_offset);
	be32_to(p + ENTRY_L1_ENTRIES, s->l1_entries);
	be16_to(p + ENTRY_ID_LEN, (uint16_t)s->id_len);
	be16_to(p + ENTRY_NAME_LEN, (uint16_t)s->name_len);
	be32_to(p + ENTRY_DATE_S, (uint32_t)s->date_s);
	be32_to(p + ENTRY_DATE_NS, s->date_ns);
	be64_to(p + ENTRY_VM_CLOCK, s->vm_clock_ns);
	be32_to(p + ENTRY_VM_BYTES32,
		s->vmstate_bytes > UINT32_MAX ? 0 : (uint32_t)s->vmstate_bytes);
	be32_to(p + ENTRY_EXTRA_LEN, EXTRA_WRITTEN);
	be64_to(e + EXTRA_VM_BYTES, s->vmstate_bytes);
	be64_to(e + EXTRA_SIZE, s->size);
	be64_to(e + EXTRA_ICOUNT, s->icount);
	memcpy(e + EXTRA_WRITTEN, s->id, s->id_len);
	memcpy(e + EXTRA_WRITTEN + s->id_len, s->name, s->name_len);
}

/* Copies an entry with all of its extra data, and gives it another name if the edit does.
 * Returns its bytes. */
static size_t copy_entry(const struct qc_snapshot_table *t, const struct qc_snapshot_entry *entry,
			 const struct qc_snapshot_table_edit *edit, uint8_t *to)
{
	bool renamed = edit->name && entry == &t->entry[edit->renamed];
	size_t len = renamed ? entry->len - entry->s.name_len : entry->len;

	memcpy(to, t->bytes + entry->at, len);
	if (!renamed)
		return len;
	be16_to(to + ENTRY_NAME_LEN, (uint16_t)edit->name_len);
	memcpy(to + len, edit->name, edit->name_len);
	return len + edit->name_len;
}

qc_err qc_snapshot_table_write(const struct qc_snapshot_table *t,
			       const struct qc_snapshot_table_edit *edit, uint8_t **out,
			       size_t *len)
{
	size_t room = t->len + 8 + (edit->add ? entry_bytes(edit->add) : 0) +
		      (edit->name ? edit->name_len : 0) + 8;
	uint8_t *to = calloc(1, room);

	*len = 0;
	*out = to;
	if (!to)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->n; i++)
		if (i != edit->skip)
			*len = round_up(*len + copy_entry(t, &t->entry[i], edit, to + *len), 8);
	if (edit->add) {
		encode_entry(edit->add, to + *len);
		*len = round_up(*len + entry_bytes(edit->add), 8);
	}
	if (*len <= TABLE_MAX)
		return 0;
	free(to);
	*out = NULL;
	return -EFBIG;
}

uint64_t qc_snapshot_table_next_id(const struct qc_snapshot_table *t)
{
	uint64_t next = 1;

	for (uint32_t i = 0; i < t->n; i++) {
		const struct qc_snapshot *s = &t->entry[i].s;
		uint64_t id = 0;
		size_t k = 0;

		while (k < s->id_len && k < 18 && s->id[k] >= '0' && s->id[k] <= '9')
			id = id * 10 + (uint64_t)(s->id[k++] - '0');
		if (k == s->id_len && id >= next)
			next = id + 1;
	}
	return next;
}
