/* SPDX-License-Identifier: MIT */
#include "commands/check_report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "info/json.h"

static const struct finding_text {
	const char *word; /* in JSON */
	const char *problem;
} finding_texts[] = {
	[QC_FINDING_LEAK] = { "leak", "refcount is too high" },
	[QC_FINDING_REFCOUNT_LOW] = { "refcount-too-low", "refcount is too low" },
	[QC_FINDING_COPIED] = { "copied-flag", "COPIED flag does not agree with the refcount" },
	[QC_FINDING_INVALID_ENTRY] = { "invalid-entry", "invalid entry" },
	[QC_FINDING_BEYOND_END] = { "beyond-end", "reference beyond the end of the file" },
	[QC_FINDING_OVERLAP] = { "overlap", "cluster is used twice" },
	[QC_FINDING_INVALID_TABLE] = { "invalid-table", "invalid table" },
};

/* Returns true if the refcount of the cluster has a meaning for this finding. */
static bool has_refcount(const struct qc_finding *f)
{
	return f->kind == QC_FINDING_LEAK || f->kind == QC_FINDING_REFCOUNT_LOW ||
	       f->kind == QC_FINDING_COPIED;
}

/* Returns true if the references to the cluster were counted. */
static bool has_references(const struct qc_finding *f)
{
	return f->kind == QC_FINDING_LEAK || f->kind == QC_FINDING_REFCOUNT_LOW ||
	       f->kind == QC_FINDING_OVERLAP;
}

/* ---- for people ----------------------------------------------------------------- */

static void print_offset(const char *what, uint64_t off)
{
	if (off != QC_NO_OFFSET)
		printf(", %s 0x%" PRIx64, what, off);
}

static void print_finding(const struct qc_finding *f)
{
	printf("%s%s: %s", f->is_left ? "left: " : "", f->is_leak ? "leak" : "corruption",
	       finding_texts[f->kind].problem);
	print_offset("guest offset", f->guest_offset);
	print_offset("host offset", f->host_offset);
	if (has_refcount(f))
		printf(", refcount %" PRIu64, f->refcount);
	if (has_references(f))
		printf(", references %" PRIu64, f->references);
	if (*f->table && f->table_offset != QC_NO_OFFSET)
		printf(", entry %" PRIu64 " (0x%" PRIx64 ") of the %s at 0x%" PRIx64, f->index,
		       f->entry, f->table, f->table_offset);
	puts(f->in_snapshot ? " (in a snapshot)" : "");
}

static double percent_of(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static void print_faults(const struct qc_check_result *r)
{
	if (!r->corruptions && !r->leaks)
		puts("No errors were found on the image.");
	if (r->corruptions)
		printf("\n%" PRIu64 " errors were found on the image.\nData may be corrupted, or "
		       "further writes to the image may corrupt it.\n", r->corruptions);
	if (r->leaks)
		printf("\n%" PRIu64 " leaked clusters were found on the image.\nThis means waste "
		       "of disk space, but no harm to data.\n", r->leaks);
}

static void print_counts(const struct qc_check_result *r)
{
	if (r->leaks_fixed || r->corruptions_fixed)
		printf("The following inconsistencies were found and repaired:\n\n"
		       "    %" PRIu64 " leaked clusters\n    %" PRIu64 " corruptions\n\n"
		       "Double checking the fixed image now...\n", r->leaks_fixed,
		       r->corruptions_fixed);
	print_faults(r);
	if (r->total_clusters && r->allocated_clusters)
		printf("%" PRIu64 "/%" PRIu64 " = %0.2f%% allocated, %0.2f%% fragmented, "
		       "%0.2f%% compressed clusters\n", r->allocated_clusters, r->total_clusters,
		       percent_of(r->allocated_clusters, r->total_clusters),
		       percent_of(r->fragmented_clusters, r->allocated_clusters),
		       percent_of(r->compressed_clusters, r->allocated_clusters));
	if (r->image_end_offset)
		printf("Image end offset: %" PRIu64 "\n", r->image_end_offset);
}

/* ---- JSON ------------------------------------------------------------------------- */

static void begin_document(struct check_report *report)
{
	if (!report->has_begun)
		fputs("{\n    \"qcowfs\": {\n        \"findings\": [", stdout);
	report->has_begun = true;
}

static void put_offset(struct json *j, json_t *o, const char *key, uint64_t off)
{
	if (off != QC_NO_OFFSET)
		json_put(j, o, key, json_number(off));
}

static json_t *json_of_finding(struct json *j, const struct qc_finding *f)
{
	json_t *o = json_object();

	json_put(j, o, "kind", json_string(finding_texts[f->kind].word));
	json_put(j, o, "leak", json_boolean(f->is_leak));
	json_put(j, o, "snapshot", json_boolean(f->in_snapshot));
	json_put(j, o, "left", json_boolean(f->is_left));
	put_offset(j, o, "guest-offset", f->guest_offset);
	put_offset(j, o, "host-offset", f->host_offset);
	if (has_refcount(f))
		json_put(j, o, "refcount", json_number(f->refcount));
	if (has_references(f))
		json_put(j, o, "references", json_number(f->references));
	if (!*f->table)
		return o;
	json_put(j, o, "table", json_string(f->table));
	put_offset(j, o, "table-offset", f->table_offset);
	json_put(j, o, "index", json_number(f->index));
	json_put(j, o, "entry", json_number(f->entry));
	return o;
}

static void print_json_finding(struct check_report *report, const struct qc_finding *f)
{
	struct json j = { false };
	json_t *o = json_of_finding(&j, f);

	begin_document(report);
	fputs(report->has_finding ? ",\n            " : "\n            ", stdout);
	report->has_finding = true;
	json_dumpf(o, stdout, 0);
	json_decref(o);
}

static void end_findings(struct check_report *report)
{
	begin_document(report);
	fputs(report->has_finding ? "\n        ]" : "]", stdout);
}

static void print_number(const char *key, uint64_t v, bool always)
{
	if (v || always)
		printf("    \"%s\": %" PRIu64 ",\n", key, v);
}

static void print_json_counts(struct check_report *report, const char *path,
			      const struct qc_check_result *r)
{
	json_t *name = json_name(path);

	end_findings(report);
	printf(",\n        \"dirty\": %s,\n        \"corrupt\": %s", r->dirty ? "true" : "false",
	       r->corrupt ? "true" : "false");
	if (r->repair_error)
		printf(",\n        \"repair-error\": \"%s\"", strerror(-r->repair_error));
	puts("\n    },");
	print_number("image-end-offset", r->image_end_offset, false);
	print_number("total-clusters", r->total_clusters, false);
	print_number("allocated-clusters", r->allocated_clusters, false);
	print_number("fragmented-clusters", r->fragmented_clusters, false);
	print_number("compressed-clusters", r->compressed_clusters, false);
	print_number("corruptions", r->corruptions, false);
	print_number("leaks", r->leaks, false);
	print_number("corruptions-fixed", r->corruptions_fixed, false);
	print_number("leaks-fixed", r->leaks_fixed, false);
	print_number("check-errors", 0, true);
	fputs("    \"filename\": ", stdout);
	json_dumpf(name, stdout, JSON_ENCODE_ANY);
	printf(",\n    \"format\": \"%s\"\n}\n", r->version == 1 ? "qcow" : "qcow2");
	json_decref(name);
}

/* ----------------------------------------------------------------------------------- */

void check_report_finding(void *arg, const struct qc_finding *f)
{
	struct check_report *report = arg;

	if (report->json)
		print_json_finding(report, f);
	else if (!report->quiet)
		print_finding(f);
}

void check_report_end(struct check_report *report, const char *path,
		      const struct qc_check_result *r)
{
	if (report->json)
		print_json_counts(report, path, r);
	else if (!report->quiet)
		print_counts(r);
}

void check_report_abandon(struct check_report *report)
{
	if (!report->has_begun)
		return;
	end_findings(report);
	puts("\n    },\n    \"check-errors\": 1\n}");
}
