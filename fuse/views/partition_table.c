/* SPDX-License-Identifier: MIT */
/*
 * partition_table.c - a disk's partition table, read by libblkid.
 *
 * libblkid reads a file.  It gets a file in memory of the disk's length, which holds the
 * sectors where tables can be, and holes elsewhere.  So libblkid sees no image and no path, and
 * the bytes do not change while it reads them.
 *
 * Sectors that point to other sectors are parsed here first, to copy those, and are made
 * harmless in the copy:
 *   - Each extended boot record is copied once, with one link at most, and only a link to a
 *     record that was not copied yet.  So the links form no circle.
 *   - A GPT header with more entries than MOST_ENTRIES loses its signature: libblkid would
 *     allocate memory for as many entries as the header says.
 * These changes are made last, after all copying.
 */
#include "views/partition_table.h"

#ifndef HAVE_BLKID

const char *partition_table_library(void)
{
	return NULL;
}

int partition_table_read(struct qc_image *img, struct partition out[PART_MAX], size_t *n)
{
	(void)img, (void)out;
	*n = 0;
	return 0;
}

#else

#include <blkid.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	SECTOR = 512,
	EDGE = 64 * 1024,	/* of the disk: tables, and GPT's own copy */
	NESTED = 32 * 1024,	/* of a primary partition: a table within it */
	MOST_RECORDS = 256,	/* extended boot records that are followed */
	MOST_ENTRIES = 1024,	/* of a GPT that is shown */
	ENTRY = 128,
};

/* ---- the copy ---------------------------------------------------------------- */

struct copy {
	struct qc_image *img;
	uint64_t size;
	int fd;
	uint32_t seen[MOST_RECORDS]; /* sectors of extended boot records */
	size_t nseen;
};

static bool is_inside(const struct copy *c, uint64_t off, uint64_t len)
{
	return off <= c->size && len <= c->size - off;
}

static int write_copy(const struct copy *c, uint64_t off, const void *buf, size_t len)
{
	ssize_t done = pwrite(c->fd, buf, len, (off_t)off);

	return done == (ssize_t)len ? 0 : done < 0 ? -errno : -EIO;
}

static int read_copy(const struct copy *c, uint64_t off, void *buf, size_t len)
{
	ssize_t done = pread(c->fd, buf, len, (off_t)off);

	return done == (ssize_t)len ? 0 : done < 0 ? -errno : -EIO;
}

/* Copies a range of the disk, as far as the disk goes.  Unreadable parts stay holes. */
static int copy_range(const struct copy *c, uint64_t off, uint64_t len)
{
	uint8_t buf[4096];

	if (off >= c->size)
		return 0;
	if (len > c->size - off)
		len = c->size - off;
	while (len > 0) {
		size_t n = len < sizeof(buf) ? (size_t)len : sizeof(buf);
		int r = qc_read(c->img, off, buf, n) ? 0 : write_copy(c, off, buf, n);

		if (r)
			return r;
		off += n;
		len -= n;
	}
	return 0;
}

/* ---- GPT ---------------------------------------------------------------------- */

#pragma pack(push, 1) /* as they are on disk */
struct gpt_header {
	char signature[8];
	uint8_t to_entries[64];
	uint64_t entries_at; /* little endian, all of these */
	uint32_t entries, entry_size;
};
#pragma pack(pop)

/* Reads one of the four positions of a GPT header: primary or backup, in sectors of 512 or 4096
 * bytes.  Returns whether a header is there. */
static bool read_gpt_header(const struct copy *c, unsigned int which, uint64_t *off,
			struct gpt_header *h)
{
	uint64_t sector = which & 1 ? 4096 : SECTOR;

	*off = which & 2 ? (c->size / sector - 1) * sector : sector;
	return c->size / sector >= 2 && !read_copy(c, *off, h, sizeof(*h)) &&
	       !memcmp(h->signature, "EFI PART", 8);
}

static bool has_too_many_entries(const struct gpt_header *h)
{
	return le32toh(h->entries) > MOST_ENTRIES || le32toh(h->entry_size) != ENTRY;
}

static int copy_gpt_entries(const struct copy *c)
{
	int r = 0;

	for (unsigned int which = 0; !r && which < 4; which++) {
		uint64_t off, sector = which & 1 ? 4096 : SECTOR;
		struct gpt_header h;

		if (read_gpt_header(c, which, &off, &h) && !has_too_many_entries(&h) &&
		    le64toh(h.entries_at) <= c->size / sector)
			r = copy_range(c, le64toh(h.entries_at) * sector,
				       (uint64_t)le32toh(h.entries) * ENTRY);
	}
	return r;
}

static int disable_large_headers(const struct copy *c)
{
	static const char none[8];
	int r = 0;

	for (unsigned int which = 0; !r && which < 4; which++) {
		struct gpt_header h;
		uint64_t off;

		if (read_gpt_header(c, which, &off, &h) && has_too_many_entries(&h))
			r = write_copy(c, off, none, sizeof(none));
	}
	return r;
}

/* ---- MBR ---------------------------------------------------------------------- */

#pragma pack(push, 1)
struct mbr_entry {
	uint8_t boot, chs_first[3], kind, chs_last[3];
	uint32_t start, count; /* sectors; little endian */
};

struct mbr {
	uint8_t code[446];
	struct mbr_entry entry[4];
	uint8_t magic[2];
};
#pragma pack(pop)

_Static_assert(sizeof(struct mbr) == SECTOR, "an MBR is a sector");
_Static_assert(sizeof(struct gpt_header) == 88, "no padding in a GPT header");

static bool is_extended_partition(const struct mbr_entry *e)
{
	return e->count && (e->kind == 0x05 || e->kind == 0x0f || e->kind == 0x85);
}

static bool record_was_followed(const struct copy *c, uint32_t sector)
{
	for (size_t i = 0; i < c->nseen; i++)
		if (c->seen[i] == sector)
			return true;
	return false;
}

/* Notes a record as followed.  Returns false if it was, or must not be; sector 0 is never one. */
static bool follow_record(struct copy *c, uint32_t sector)
{
	if (!sector || record_was_followed(c, sector) || c->nseen == MOST_RECORDS ||
	    !is_inside(c, (uint64_t)sector * SECTOR, SECTOR))
		return false;
	c->seen[c->nseen++] = sector;
	return true;
}

/* Removes all links from a record but one to a new record.  Returns its sector, or 0. */
static uint32_t cut_links(struct copy *c, struct mbr *record, uint32_t first)
{
	uint32_t next = 0;

	for (int i = 0; i < 4; i++) {
		struct mbr_entry *e = &record->entry[i];
		uint32_t to = first + le32toh(e->start); /* as libblkid adds them */

		if (!is_extended_partition(e))
			continue;
		if (!next && e->start && follow_record(c, to))
			next = to;
		else
			memset(e, 0, sizeof(*e));
	}
	return next;
}

/* Copies the chain of extended boot records.  Their links are relative to the first one. */
static int copy_records(struct copy *c, uint32_t first)
{
	struct mbr record;
	int r = 0;

	for (uint32_t at = first, next; !r && at; at = next) {
		if (qc_read(c->img, (uint64_t)at * SECTOR, &record, sizeof(record)))
			memset(&record, 0, sizeof(record));
		next = cut_links(c, &record, first);
		r = write_copy(c, (uint64_t)at * SECTOR, &record, sizeof(record));
	}
	return r;
}

static int copy_nested(const struct copy *c, const struct mbr *mbr)
{
	int r = 0;

	for (int i = 0; !r && i < 4; i++)
		r = copy_range(c, (uint64_t)le32toh(mbr->entry[i].start) * SECTOR, NESTED);
	return r;
}

static int copy_extended(struct copy *c, struct mbr *mbr)
{
	int r = 0;

	for (int i = 0; !r && i < 4; i++) {
		struct mbr_entry *e = &mbr->entry[i];

		if (!is_extended_partition(e))
			continue;
		if (follow_record(c, le32toh(e->start)))
			r = copy_records(c, le32toh(e->start));
		else
			memset(e, 0, sizeof(*e));
	}
	return r ? r : write_copy(c, 0, mbr, sizeof(*mbr));
}

static int fill_copy(struct copy *c)
{
	struct mbr mbr;
	int r = qc_read(c->img, 0, &mbr, sizeof(mbr));

	if (!r)
		r = copy_range(c, 0, EDGE);
	if (!r)
		r = copy_range(c, c->size > EDGE ? c->size - EDGE : 0, EDGE);
	if (!r)
		r = copy_gpt_entries(c);
	if (!r)
		r = copy_nested(c, &mbr);
	if (!r)
		r = copy_extended(c, &mbr);
	return r ? r : disable_large_headers(c);
}

/* ---- libblkid ------------------------------------------------------------------ */

const char *partition_table_library(void)
{
	const char *version = NULL;

	blkid_get_library_version(&version, NULL);
	return version;
}

/* Converts a partition; a part beyond the disk's end is cut off, as the kernel does.  False:
 * nothing is left. */
static bool convert_partition(blkid_partition from, uint64_t size, struct partition *out)
{
	int number = blkid_partition_get_partno(from);
	int64_t start = blkid_partition_get_start(from), len = blkid_partition_get_size(from);
	uint64_t room;

	if (number < 1 || number > PART_MAX || start < 0 || len <= 0 ||
	    blkid_partition_is_extended(from) || (uint64_t)start >= size / SECTOR)
		return false;
	out->number = (unsigned int)number;
	out->start = (uint64_t)start * SECTOR;
	room = size - out->start;
	out->len = (uint64_t)len <= room / SECTOR ? (uint64_t)len * SECTOR : room;
	return true;
}

static int compare_numbers(const void *a, const void *b)
{
	const struct partition *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

static size_t collect_partitions(blkid_partlist list, uint64_t size, struct partition out[PART_MAX])
{
	int have = blkid_partlist_numof_partitions(list);
	bool taken[PART_MAX + 1] = { false };
	size_t n = 0;

	for (int i = 0; i < have && n < PART_MAX; i++) {
		blkid_partition p = blkid_partlist_get_partition(list, i);

		if (!p || !convert_partition(p, size, &out[n]) || taken[out[n].number])
			continue;
		taken[out[n++].number] = true;
	}
	qsort(out, n, sizeof(*out), compare_numbers);
	return n;
}

/* Runs libblkid.  With sectors of 4096 bytes it looks for a GPT only: an MBR does not record the
 * size of its sectors. */
static int probe_tables(const struct copy *c, unsigned int sector, struct partition out[PART_MAX],
		 size_t *n)
{
	char dos[] = "dos", gpt[] = "gpt";
	char *kinds[] = { gpt, sector == SECTOR ? dos : NULL, NULL };
	blkid_probe pr = blkid_new_probe();
	blkid_partlist list = NULL;

	if (!pr)
		return -ENOMEM;
	if (!blkid_probe_set_device(pr, c->fd, 0, (blkid_loff_t)c->size) &&
	    !blkid_probe_set_sectorsize(pr, sector) && !blkid_probe_enable_partitions(pr, 1) &&
	    !blkid_probe_filter_partitions_type(pr, BLKID_FLTR_ONLYIN, kinds))
		list = blkid_probe_get_partitions(pr);
	*n = list ? collect_partitions(list, c->size, out) : 0;
	blkid_free_probe(pr);
	return 0;
}

int partition_table_read(struct qc_image *img, struct partition out[PART_MAX], size_t *n)
{
	struct copy c = { .img = img, .size = qc_size(img) };
	int r;

	*n = 0;
	if (c.size < 2 * SECTOR || c.size > INT64_MAX)
		return 0;
	c.fd = memfd_create("partition table", MFD_CLOEXEC);
	if (c.fd < 0)
		return -errno;
	r = ftruncate(c.fd, (off_t)c.size) ? -errno : fill_copy(&c);
	if (!r)
		r = probe_tables(&c, SECTOR, out, n);
	if (!r && !*n)
		r = probe_tables(&c, 4096, out, n);
	close(c.fd);
	return r;
}

#endif
