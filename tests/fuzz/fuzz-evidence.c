/* SPDX-License-Identifier: MIT */
/*
 * fuzz-evidence.c - the input is an image file; all that it holds beside its disk is shown.
 *
 * Each byte of the file comes at most once, and what is deleted reads the same twice.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz_context.h"
#include "image/image.h"

enum {
	CACHE_BYTES = 64 << 10,
	CLUSTERS_MAX = 1 << 14, /* for calls that look at all of the disk */
	OPENED_MAX = 8,
	READ_MAX = 64 << 10,
};

static uint8_t once[READ_MAX], twice[READ_MAX];

static int file_of(const uint8_t *data, size_t size)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	MUST(fd >= 0);
	MUST(pwrite(fd, data, size, 0) == (ssize_t)size);
	return fd;
}

static void read_all(struct qc_image *img)
{
	uint64_t size = qc_size(img);

	for (uint64_t off = 0, n; off < size && off < 16 * (uint64_t)READ_MAX; off += n) {
		qc_err r;

		n = min_u64(READ_MAX, size - off);
		r = qc_read(img, off, once, (size_t)n);
		MUST(r == qc_read(img, off, twice, (size_t)n));
		MUST(r || !memcmp(once, twice, (size_t)n));
	}
}

static void show_text(struct qc_image *img,
		      qc_err (*make)(struct qc_image *img, char **text, size_t *len))
{
	char *text;
	size_t len;

	if (make(img, &text, &len))
		return;
	MUST(strlen(text) == len);
	free(text);
}

static void show_deleted(struct qc_image *img)
{
	struct qc_deleted_list list;

	if (qc_list_deleted(img, &list))
		return;
	for (size_t i = 0; i < list.n && i < OPENED_MAX; i++) {
		enum qc_part part = i % 3 == 2 && list.at[i].s.vmstate_bytes &&
				    list.at[i].kind == QC_DELETED_SNAPSHOT ? QC_PART_VMSTATE :
									     QC_PART_DISK;
		struct qc_reason why = { 0 };
		struct qc_image *v;

		if (qc_open_deleted(img, &list, i, part, &v, &why))
			continue;
		read_all(v);
		if (qc_size(v) / qc_cluster_size(img) < CLUSTERS_MAX)
			show_text(v, qc_rescue_map);
		qc_close(v);
	}
	qc_deleted_list_free(&list);
}

static void show_evidence(struct qc_image *img, size_t size)
{
	static const enum qc_evidence kinds[] = {
		QC_EVIDENCE_UNALLOCATED, QC_EVIDENCE_SLACK, QC_EVIDENCE_ZEROED
	};
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct qc_reason why = { 0 };
		struct qc_image *v;

		if (qc_open_evidence(img, kinds[i], &v, &why))
			continue;
		sum += kinds[i] == QC_EVIDENCE_ZEROED ? 0 : qc_size(v);
		read_all(v);
		qc_close(v);
	}
	MUST(sum <= size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = file_of(data, size), dirfd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct qc_image *img;
	struct qc_counters count;

	MUST(dirfd >= 0);
	if (!open_input(CACHE_BYTES, fd, dirfd, 0, &img)) {
		show_evidence(img, size);
		show_deleted(img);
		show_text(img, qc_unallocated_report);
		show_text(img, qc_slack_report);
		if (qc_size(img) / qc_cluster_size(img) < CLUSTERS_MAX)
			show_text(img, qc_findings_report);
		qc_close(img);
	}
	close(dirfd);
	close(fd);
	qc_get_counters(context(CACHE_BYTES), &count);
	MUST(!count.layers_open && !count.table_bytes);
	return 0;
}
