/* SPDX-License-Identifier: MIT */
#include "commands/snapshot_find.h"

#include <errno.h>
#include <string.h>

static bool is_text(const char *bytes, size_t len, const char *text, size_t text_len)
{
	return len == text_len && !memcmp(bytes, text, len);
}

const struct qc_snapshot *snapshot_find(const struct qc_snapshots *s, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < s->n; i++)
		if (is_text(s->at[i].name, s->at[i].name_len, name, len))
			return &s->at[i];
	for (size_t i = 0; i < s->n; i++)
		if (is_text(s->at[i].id, s->at[i].id_len, name, len))
			return &s->at[i];
	return NULL;
}

/* Compares a snapshot with a list of "snapshot.id=" and "snapshot.name=". */
static bool matches_list(const struct qc_snapshot *s, const char *list)
{
	static const char id[] = "snapshot.id=", name[] = "snapshot.name=";
	bool good = true;

	while (good && *list) {
		size_t n = strcspn(list, ",");

		if (!strncmp(list, id, sizeof(id) - 1))
			good = is_text(s->id, s->id_len, list + sizeof(id) - 1, n - sizeof(id) + 1);
		else if (!strncmp(list, name, sizeof(name) - 1))
			good = is_text(s->name, s->name_len, list + sizeof(name) - 1,
				       n - sizeof(name) + 1);
		else
			good = false;
		list += n + (list[n] == ',');
	}
	return good;
}

qc_err snapshot_find_and_open(struct qc_image *img, const char *name, struct qc_image **out,
			      struct qc_reason *why)
{
	const struct qc_snapshot *found = NULL;
	struct qc_snapshots s = { 0 };
	qc_err r = qc_list_snapshots(img, &s);

	if (r)
		return r;
	if (strncmp(name, "snapshot.", 9))
		found = snapshot_find(&s, name);
	for (size_t i = 0; i < s.n && !found && !strncmp(name, "snapshot.", 9); i++)
		if (matches_list(&s.at[i], name))
			found = &s.at[i];
	r = found ? qc_snapshot_open(img, found, QC_PART_DISK, out, why) : -ENOENT;
	qc_snapshots_free(&s);
	return r;
}
