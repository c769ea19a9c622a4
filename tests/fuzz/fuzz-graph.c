/* SPDX-License-Identifier: MIT */
/*
 * fuzz-graph.c - the input is an image file whose L1 table may be lost: it is mended.
 *
 * A mended table explains clusters that were missing.  Its entries reference tables in the file,
 * each of them once.
 */
#include "fuzz.h"

#include "format/header.h"
#include "format/l2_entry.h"
#include "rescue/mend_l1.h"

enum { BYTES_MAX = 256 * 1024 };

static void must_be_mended(const struct qc_header *h, const struct qc_mended_l1 *x, size_t size)
{
	uint32_t n = 0;

	MUST(x->patch.len == 8 * (size_t)h->geom.l1_entries && x->n <= h->geom.l1_entries);
	for (uint32_t i = 0; i < x->n; i++) {
		struct hoff table;

		if (!x->is_mended[i])
			continue;
		n++;
		MUST(!l1_decode(&h->geom, be64_at(x->patch.bytes + 8 * (size_t)i), &table));
		MUST(table.v && table.v < size);
	}
	MUST(n == x->mended && x->pieces <= x->tables);
}

static void mend(struct memory_file *m, const struct qc_header *h)
{
	struct qc_budget budget = { .limit = 1 << 20 };
	struct qc_mended_l1 mended;
	struct qc_verdicts v;
	struct qc_salvage s;

	qc_salvage_init(&s, &m->file);
	if (qc_verdicts_new(&s, h, &budget, &v))
		return;
	if (!qc_mend_l1_find(&s, h, &v, &budget, &mended)) {
		if (mended.mended)
			must_be_mended(h, &mended, m->size);
		for (size_t i = 1; i < mended.pieces; i++)
			MUST(mended.table[i - 1] < mended.table[i]);
		if (mended.mended)
			qc_mend_l1_withdraw(&mended);
		qc_mend_l1_free(&mended);
	}
	qc_verdicts_free(&v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct memory_file m = memory_file(data, size, 0);
	struct qc_reason why = { 0 };
	struct qc_header h;

	if (size <= BYTES_MAX && !qc_header_read(&m.file, &h, &why))
		mend(&m, &h);
	return 0;
}
