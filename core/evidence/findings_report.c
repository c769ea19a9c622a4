/* SPDX-License-Identifier: MIT */
/* findings_report.c - all findings about an image file, as one JSON text. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/outcome.h"
#include "crypto/secure_mem.h"
#include "evidence/findings.h"

static json_t *json_of_time(int64_t ns)
{
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm tm;
	char text[64];
	size_t n;

	if (ns < 0 || !gmtime_r(&seconds, &tm))
		return json_null();
	n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, sizeof(text) - n, ".%09dZ", (int)(ns % 1000000000));
	return json_string(text);
}

static json_t *json_of_source(const struct qc_layer *l)
{
	const struct qc_file_stat *st = &l->stat_at_open;
	const char *slash = strrchr(l->path, '/');
	json_t *name = json_string(slash ? slash + 1 : l->path), *path = json_string(l->path);

	return json_pack("{s:o, s:o, s:I, s:I, s:I, s:o, s:o, s:n}", "file",
			 name ? name : json_null(), "resolved", path ? path : json_null(), "device",
			 (json_int_t)st->dev, "inode", (json_int_t)st->ino, "size",
			 (json_int_t)st->size, "mtime", json_of_time(st->mtime_ns), "ctime",
			 json_of_time(st->ctime_ns), "sha256");
}

static json_t *json_of_walk(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return json_pack("{s:o, s:b}", "at", json_of_time(now.tv_sec * INT64_C(1000000000)),
			 "complete", 1);
}

static qc_err find_all(struct qc_finding_list *l)
{
	static qc_err (*const parts[])(struct qc_finding_list *) = {
		qc_findings_header_find, qc_findings_tables_find, qc_findings_compressed_find,
		qc_findings_residue_find, qc_findings_snapshots_find,
	};
	qc_err r = 0;

	for (size_t i = 0; !r && i < sizeof(parts) / sizeof(parts[0]); i++)
		r = parts[i](l);
	return r;
}

static qc_err write_report(struct qc_finding_list *l, char **text, size_t *len)
{
	json_t *report = json_pack("{s:s, s:o, s:o, s:O, s:O, s:I}", "schema", "qcowfs-findings-1",
				   "source", json_of_source(l->img->layer[0]), "walked",
				   json_of_walk(), "facts", l->info, "findings", l->findings,
				   "left-out", (json_int_t)l->left_out);

	*text = report ? json_dumps(report, JSON_INDENT(1)) : NULL;
	json_decref(report);
	if (!*text)
		return -ENOMEM;
	*len = strlen(*text);
	return 0;
}

qc_err qc_findings_report(struct qc_image *img, char **text, size_t *len)
{
	struct qc_tables t;
	struct qc_finding_list l = { .img = img, .t = &t };
	qc_err r = img->headers_only ? -EINVAL : qc_tables_open(&t, img->layer[0]);

	if (r)
		return qc_no_outcome(r);
	qc_crypto_init();
	l.info = json_array();
	l.findings = json_array();
	r = l.info && l.findings ? find_all(&l) : -ENOMEM;
	if (!r)
		r = write_report(&l, text, len);
	json_decref(l.info);
	json_decref(l.findings);
	qc_tables_close(&t);
	return qc_no_outcome(r);
}
