/* SPDX-License-Identifier: MIT */
#include "format/new_image.h"

#include "base/byteorder.h"
#include "ramfile.h"

#define TIB (UINT64_C(1) << 40)

static struct ramfile m;
static struct qc_header h;

static qc_err write_overlay(uint64_t size, const char *backing, const char *format)
{
	const struct qc_new_image n = {
		.version = 3, .size = size, .backing = backing, .backing_format = format,
		.refcount_order = REFCOUNT_ORDER_V2,
	};
	struct qc_new_layout layout;
	struct qc_reason why;

	return qc_new_image_write(&m.file, &n, &layout, &why);
}

/* Makes an image and reads its header. */
static qc_err make(uint64_t size, const char *backing)
{
	struct qc_reason why = { 0 };
	qc_err r = write_overlay(size, backing, "qcow2");

	if (r)
		return r;
	r = qc_header_read(&m.file, &h, &why);
	if (r)
		printf("# %s\n", why.text);
	return r;
}

static uint64_t clusters(void)
{
	return m.size >> h.geom.cluster_bits;
}

/* Each cluster of the file is counted once, and no other. */
static bool counts_fit(void)
{
	uint64_t cs = geom_cluster(&h.geom), block = be64_at(m.bytes + h.reftable_offset);

	if (!block || block % cs || block + cs > m.size || m.size % cs)
		return false;
	for (uint64_t i = 0; i < cs / 2; i++)
		if (be16_at(m.bytes + block + i * 2) != (i < clusters()))
			return false;
	return true;
}

/* The tables follow each other to the end of the file. */
static bool tables_fit(void)
{
	uint64_t cs = geom_cluster(&h.geom);

	return h.reftable_offset == cs && h.reftable_clusters == 1 && h.geom.l1_offset == 3 * cs &&
	       clusters() == 3 + div_up(h.geom.l1_entries * UINT64_C(8), cs);
}

static void disks_of_all_sizes(void)
{
	static const struct {
		uint64_t size, shown;
		uint32_t entries;
		unsigned int cluster_bits;
	} rows[] = {
		{ 0, 0, 1, 16 },
		{ 1, 512, 1, 16 },
		{ 512, 512, 1, 16 },
		{ 1000, 1024, 1, 16 },
		{ 512 * MIB, 512 * MIB, 1, 16 },
		{ 512 * MIB + 1, 512 * MIB + 512, 2, 16 },
		{ TIB, TIB, 2048, 16 },
		{ 64 * TIB, 64 * TIB, 131072, 16 },
		{ 2048 * TIB, 2048 * TIB, 4 << 20, 16 },
		{ 2048 * TIB + 1, 2048 * TIB + 512, (1 << 20) + 1, 17 },
		{ 2048 * 1024 * TIB, 2048 * 1024 * TIB, 4 << 20, 21 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ram_init(&m, 64 * MIB);
		CHECK(!make(rows[i].size, "/images/base.qcow2"));
		CHECK(h.version == 3 && h.size == rows[i].shown);
		CHECK(h.geom.l1_entries == rows[i].entries);
		CHECK(h.geom.cluster_bits == rows[i].cluster_bits);
		CHECK(!h.incompatible && !h.compatible && !h.autoclear && !h.snapshots && !h.crypt);
		CHECK(tables_fit() && counts_fit());
		free(m.bytes);
	}
}

static void names_and_formats(void)
{
	char name[1100];

	memset(name, 'n', sizeof(name));
	name[0] = '/';
	ram_init(&m, MIB);
	name[1023] = 0;
	CHECK(!make(MIB, name) && !strcmp(h.backing, name) && !strcmp(h.backing_format, "qcow2"));
	name[1023] = 'n';
	name[1024] = 0;
	CHECK(make(MIB, name) == -ENAMETOOLONG);
	CHECK(!make(MIB, "") && !h.backing_offset);
	CHECK(write_overlay(MIB, "/a", "sixteen-letters-") == -EINVAL);
	CHECK(!write_overlay(MIB, "/a", "qcow"));
	CHECK(write_overlay(UINT64_MAX, "/a", "qcow") == -EFBIG);
	CHECK(write_overlay(2049 * 1024 * TIB, "/a", "qcow") == -EFBIG);
	free(m.bytes);
}

/* No old bytes of the file are left. */
static void one_is_made_anew(void)
{
	uint64_t left = 0;

	ram_init(&m, MIB);
	memset(m.bytes, 0xff, MIB);
	m.size = MIB;
	CHECK(!make(TIB, "/images/base.qcow2") && h.size == TIB && tables_fit() && counts_fit());
	for (uint64_t i = h.geom.l1_offset; i < m.size; i++)
		left += m.bytes[i];
	CHECK(!left);
	free(m.bytes);
}

/* A file that could not be finished is no image. */
static void failures_leave_no_image(void)
{
	for (int i = 1; i <= 3; i++) {
		ram_init(&m, MIB);
		m.fail[RAM_WRITE] = i;
		CHECK(make(MIB, "/images/base.qcow2") == -ENOSPC);
		CHECK(be32_at(m.bytes) == 0);
		free(m.bytes);
	}
	ram_init(&m, 3 * 65536);
	CHECK(make(MIB, "/images/base.qcow2") == -ENOSPC);
	free(m.bytes);
}

int main(void)
{
	RUN(disks_of_all_sizes);
	RUN(names_and_formats);
	RUN(one_is_made_anew);
	RUN(failures_leave_no_image);
	return DONE();
}
