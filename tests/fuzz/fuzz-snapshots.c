/* SPDX-License-Identifier: MIT */
/*
 * fuzz-snapshots.c - the input is a table of snapshots; its first byte says of how many.
 *
 * Names lie inside the table; and a table that is written again, without a row or with
 * one more, is read as that.
 */
#include "fuzz.h"

#include "base/outcome.h"
#include "format/snapshot_table.h"

enum { ROWS = 64 };

static void must_lie_inside(const struct qc_snapshot_entry *row, const uint8_t *data, size_t size)
{
	const uint8_t *id = (const uint8_t *)row->s.id, *name = (const uint8_t *)row->s.name;

	MUST(row->at <= size && row->len <= size - row->at);
	MUST(id >= data + row->at && name == id + row->s.id_len);
	MUST(name + row->s.name_len == data + row->at + row->len);
}

static void must_be_row(const struct qc_snapshot_entry *a, const struct qc_snapshot_entry *b)
{
	MUST(a->s.l1_offset == b->s.l1_offset && a->s.l1_entries == b->s.l1_entries);
	MUST(a->s.size == b->s.size && a->s.vmstate_bytes == b->s.vmstate_bytes);
	MUST(a->s.id_len == b->s.id_len && !memcmp(a->s.id, b->s.id, a->s.id_len));
	MUST(a->s.name_len == b->s.name_len && !memcmp(a->s.name, b->s.name, a->s.name_len));
}

/* Without the row `skip`, with a new one at the end. */
static void write_again(const struct qc_snapshot_table *t, uint32_t skip)
{
	const struct qc_snapshot one = { .id = "77", .id_len = 2, .name = "new", .name_len = 3,
					 .l1_offset = 65536, .l1_entries = 1, .size = 1 };
	struct qc_snapshot_table_edit edit = { .skip = skip, .add = &one, .name = "other", .name_len = 5,
				    .renamed = t->n };
	struct qc_snapshot_entry row[ROWS + 1];
	size_t bytes, from = 0;
	uint8_t *raw;

	MUST(!qc_snapshot_table_write(t, &edit, &raw, &bytes));
	MUST(bytes % 8 == 0 && !qc_snapshot_table_parse(raw, bytes, t->n, 5, row));
	for (uint32_t i = 0; i + 1 < t->n; i++, from++) {
		from += from == skip;
		must_be_row(&t->entry[from], &row[i]);
	}
	MUST(row[t->n - 1].s.name_len == 3 && !memcmp(row[t->n - 1].s.name, "new", 3));
	free(raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qc_snapshot_entry row[ROWS];
	struct qc_snapshot_table t = { .entry = row };
	uint8_t *copy;
	qc_err r;

	if (!size)
		return 0;
	t.n = *data % ROWS;
	copy = malloc(size); /* so that a read behind it is seen */
	memcpy(copy, data + 1, size - 1);
	t.bytes = copy;
	r = qc_snapshot_table_parse(copy, size - 1, t.n, 5, row);
	MUST(!r || r == QC_NEED_MORE_BYTES || r == -EINVAL);
	for (uint32_t i = 0; !r && i < t.n; i++)
		must_lie_inside(&row[i], copy, size - 1);
	if (!r && t.n) {
		t.len = row[t.n - 1].at + row[t.n - 1].len;
		MUST(qc_snapshot_table_next_id(&t) > 0);
		MUST(qc_snapshot_table_find(&t, &row[t.n - 1].s) < t.n);
		write_again(&t, (uint32_t)(size % t.n));
	}
	free(copy);
	return 0;
}
