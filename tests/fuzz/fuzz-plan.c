/* SPDX-License-Identifier: MIT */
/*
 * fuzz-plan.c - the input is the text of a plan, up to a NUL, and then an image file.
 *
 * A plan that is used gives a header that is sound; and the plan of that header gives it again.
 */
#include "fuzz.h"

#include "format/header.h"
#include "rescue/plan.h"

static void must_give_same(struct memory_file *m, const struct qc_header *h)
{
	struct qc_reason why = { 0 };
	struct qc_header again = *h;
	struct qc_plan *p;
	char *text;
	size_t len;

	MUST(!qc_plan_write(h, m->claimed, NULL, &text, &len));
	MUST(!qc_plan_parse(text, len, &p, &why));
	MUST(qc_plan_is_complete(p));
	MUST(!qc_plan_apply(p, &m->file, &again, &why));
	MUST(again.size == h->size &&
	     (!h->geom.l1_entries || again.geom.l1_offset == h->geom.l1_offset) &&
	     again.geom.l1_entries == h->geom.l1_entries && again.crypt == h->crypt &&
	     again.geom.cluster_bits == h->geom.cluster_bits && again.version == h->version &&
	     again.reftable_offset == h->reftable_offset && again.snapshots == h->snapshots);
	qc_plan_free(p);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size ? memchr(data, 0, size) : NULL;
	size_t len = end ? (size_t)(end - data) : size, skip = end ? len + 1 : size;
	struct memory_file m = memory_file(data + skip, size - skip, 1 << 20);
	struct qc_reason why = { 0 };
	struct qc_header h;
	struct qc_plan *p;
	qc_err r = qc_plan_parse((const char *)data, len, &p, &why);

	MUST(r <= 0 && (!r || *why.text));
	must_be_plain(why.text, sizeof(why.text));
	if (r)
		return 0;
	if (qc_header_read(&m.file, &h, &why))
		memset(&h, 0, sizeof(h));
	r = qc_plan_apply(p, &m.file, &h, &why);
	MUST(r <= 0 && (!r || *why.text));
	must_be_plain(why.text, sizeof(why.text));
	if (!r) {
		MUST(h.version >= 1 && h.version <= 3 && h.geom.cluster_bits >= 9);
		MUST(geom_l1_need(&h.geom, h.size) <= h.geom.l1_entries);
		must_give_same(&m, &h);
	}
	qc_plan_free(p);
	return 0;
}
