/* SPDX-License-Identifier: MIT */
/*
 * fuzz-header.c - the input is the beginning of an image file.
 *
 * Its last byte tells how long the file claims to be, so that the tables may
 * lie far beyond the input.
 */
#include "fuzz.h"

#include "format/header.h"

static void must_be_sound(const struct qc_header *h, uint64_t file_size)
{
	const struct geom *g = &h->geom;
	uint64_t cs = geom_cluster(g), l1_bytes = UINT64_C(8) * g->l1_entries;

	MUST(h->version >= 1 && h->version <= 3);
	MUST((h->version == 1) == (g->layout == LAYOUT_V1));
	MUST((h->version == 2) == (g->layout == LAYOUT_V2));
	MUST(g->cluster_bits >= 9 && g->cluster_bits <= 21);
	MUST(g->entry_bits == (g->layout == LAYOUT_V3_EXTENDED ? 4 : 3));
	MUST(h->size <= INT64_MAX);
	MUST(g->l1_entries >= geom_l1_need(g, h->size));
	MUST(g->l1_entries <= 4 << 20);
	MUST(h->version == 1 || h->size % 512 == 0);
	MUST(!(h->incompatible & ~UINT64_C(0x1f)));
	MUST(h->version != 2 || !(h->incompatible | h->compatible | h->autoclear));
	MUST(strlen(h->backing) <= h->backing_len);
	MUST(strlen(h->backing_format) < sizeof(h->backing_format));
	MUST(!g->external || *h->data_file);
	if (h->crypt == CRYPT_LUKS) {
		MUST(h->luks_bytes && h->luks_offset >= cs && h->luks_offset % cs == 0);
		MUST(range_inside(h->luks_offset, h->luks_bytes, round_up(file_size, cs)));
	}
	if (l1_bytes) {
		MUST(g->l1_offset >= (h->version == 1 ? 48 : cs));
		MUST(range_inside(g->l1_offset, l1_bytes, round_up(file_size, cs)));
	}
	if (h->version > 1) {
		MUST(h->reftable_offset >= cs && h->reftable_offset % cs == 0);
		MUST(h->reftable_clusters * cs <= 8 << 20);
		MUST(!range_overlap(g->l1_offset, l1_bytes, h->reftable_offset,
				    h->reftable_clusters * cs));
	}
}

/* Must not look behind n, nor ask for more than a cluster. */
static void parse(const uint8_t *data, size_t size)
{
	struct qc_reason why = { 0 };
	struct qc_header h;
	size_t need;

	if (!qc_header_parse(data, size, &h, &need, &why))
		MUST(need <= 2 << 20);
	must_be_plain(why.text, sizeof(why.text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qc_reason why = { 0 };
	struct memory_file m;
	struct qc_header h;
	qc_err r;

	parse(data, size);
	if (!size)
		return 0;
	m = memory_file(data, size, UINT64_C(1) << data[size - 1] % 50);
	r = qc_header_read(&m.file, &h, &why);
	MUST(r <= 0);
	if (!r)
		must_be_sound(&h, m.claimed);
	else
		MUST(*why.text);
	must_be_plain(why.text, sizeof(why.text));
	return 0;
}
