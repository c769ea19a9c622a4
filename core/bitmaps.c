/* SPDX-License-Identifier: MIT */
#include "bitmaps.h"

#include <stdio.h>

#include "be.h"
#include "context.h"
#include "range.h"

/* A directory entry: fixed part, extra data, name; padded to 8 bytes. */
enum { NAME_LEN = 18, EXTRA_LEN = 20, FIXED = 24, DIRECTORY_MAX = 64 * 1024 };

/* The names, as far as they fit. */
static void list_names(const uint8_t *dir, uint64_t len, uint32_t n, char *out, size_t room)
{
	uint64_t at = 0, used = 0;

	for (; n && range_inside(at, FIXED, len); n--) {
		uint64_t name = at + FIXED + be32_at(dir + at + EXTRA_LEN);
		uint16_t bytes = be16_at(dir + at + NAME_LEN);

		if (!range_inside(name, bytes, len) || used + bytes + 3 > room)
			break;
		used += (uint64_t)snprintf(out + used, room - used, "%s%.*s", used ? ", " : "",
					   (int)bytes, (const char *)dir + name);
		at = round_up(name + bytes, 8);
	}
}

void qc_bitmaps_warn(struct qc_layer *l)
{
	const struct qc_header *h = &l->head;
	uint64_t len = min_u64(h->bitmaps_bytes, DIRECTORY_MAX);
	AUTO_FREE uint8_t *dir = calloc(1, len + 1);
	char names[400] = "";
	size_t got;

	if (dir && h->bitmaps && !qc_file_read(l->file, h->bitmaps_offset, dir, len, &got))
		list_names(dir, got, h->bitmaps, names, sizeof(names));
	qc_log(&l->ctx->log, QC_LOG_WARN,
	       "%s: its persistent bitmaps are no longer valid, as it is written: %s", l->path,
	       *names ? names : "(their directory is damaged)");
}
