/* SPDX-License-Identifier: MIT */
#include "commands/convert_bitmaps.h"

#include <errno.h>
#include <string.h>

#include "util/report.h"

int convert_bitmaps_open_areas(const struct convert_args *a, const char *path,
			       const struct source_disk *s, struct qc_image **out)
{
	struct qc_reason why = { 0 };
	qc_err r;

	*out = NULL;
	if (!a->bitmap)
		return COMMAND_OK;
	r = s->img ? qc_bitmap_open(s->img, a->bitmap, strlen(a->bitmap), out, &why) : -ENOENT;
	if (!r)
		return COMMAND_OK;
	report(QC_LOG_ERROR, "%s: cannot use bitmap '%s': %s", path, a->bitmap,
	       r == -ENOENT ? "there is no such bitmap" : why.text);
	return COMMAND_FAILED;
}

/* Adds a bitmap to the new image, with the bits of that of the source. */
static qc_err copy_bitmap(const struct qc_bitmap *b, struct qc_image *from, struct qc_image *to,
			  struct qc_reason *why)
{
	struct qc_image *view;
	qc_err r = qc_bitmap_open(from, b->name, b->name_len, &view, why);

	if (r)
		return r;
	r = qc_bitmap_add(to, b->name, b->name_len, b->granularity, false);
	if (!r)
		r = qc_bitmap_merge(to, b->name, b->name_len, view);
	if (!r && b->is_auto)
		r = qc_bitmap_enable(to, b->name, b->name_len, true);
	qc_close(view);
	return r;
}

qc_err convert_bitmaps_copy_all(const struct convert_args *a, const char *path,
				const struct source_disk *s, struct qc_image *to)
{
	struct qc_bitmaps list = { 0 };
	qc_err r = 0;

	if (!a->bitmaps || !s->img)
		return 0;
	r = qc_list_bitmaps(s->img, &list);
	for (size_t i = 0; !r && i < list.n; i++) {
		struct qc_reason why = { 0 };

		if (a->skip_broken && list.at[i].in_use) {
			report(QC_LOG_WARN, "%s: left out bitmap '%s', which is inconsistent", path,
			       list.at[i].name);
			continue;
		}
		r = copy_bitmap(&list.at[i], s->img, to, &why);
		if (!r)
			continue;
		report(QC_LOG_ERROR, "%s: cannot copy bitmap '%s': %s", path, list.at[i].name,
		       *why.text ? why.text : strerror(-r));
		r = -ECANCELED;
	}
	qc_bitmaps_free(&list);
	return r;
}
