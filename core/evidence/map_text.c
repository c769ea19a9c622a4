/* SPDX-License-Identifier: MIT */
#include "evidence/map_text.h"

#include <inttypes.h>

#include "qcow_array.h"

static void close_area(struct qc_map_text *m)
{
	if (m->status)
		qc_text_add(&m->areas, "0x%08" PRIx64 "  0x%08" PRIx64 "  %c\n", m->start,
			    m->end - m->start, m->status);
	m->start = m->end;
}

void qc_map_text_add(struct qc_map_text *m, uint64_t len, char status)
{
	if (!len)
		return;
	if (status != m->status)
		close_area(m);
	m->status = status;
	m->end += len;
}

qc_err qc_map_text_end(struct qc_map_text *m, const struct qc_text *head, char **out, size_t *len)
{
	struct qc_text all = { 0 };

	close_area(m);
	qc_text_add(&all, "# Mapfile. Created by qcowfs\n");
	for (size_t at = 0; head && at < head->len; at += 512)
		qc_text_add(&all, "%.512s", head->bytes + at);
	qc_text_add(&all, "# current_pos  current_status  current_pass\n"
		    "0x00000000     +               1\n#      pos        size  status\n");
	all.failed = all.failed || m->areas.failed || (head && head->failed);
	if (!all.failed && array_reserve(&all.bytes, &all.room, all.len + m->areas.len + 1, 1))
		all.failed = true;
	if (!all.failed && m->areas.len)
		memcpy(all.bytes + all.len, m->areas.bytes, m->areas.len);
	all.len += all.failed ? 0 : m->areas.len;
	free(m->areas.bytes);
	*m = (struct qc_map_text){ 0 };
	return qc_text_end(&all, out, len);
}
