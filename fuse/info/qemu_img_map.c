/* SPDX-License-Identifier: MIT */
#include "info/qemu_img_map.h"

#include <inttypes.h>
#include <string.h>

#include "info/json.h"

qc_err qemu_img_map_of_image(void *img, uint64_t at, struct qc_mapping *out)
{
	return qc_get_mapping(img, at, out);
}

static bool continues_mapping(const struct qc_mapping *a, const struct qc_mapping *b)
{
	return a->depth == b->depth && a->present == b->present && a->zero == b->zero &&
	       a->data == b->data && a->compressed == b->compressed &&
	       a->has_offset == b->has_offset &&
	       (!a->has_offset || (a->offset + a->len == b->offset && !strcmp(a->file, b->file)));
}

/* Fills m->next with the mapping at m->at, unless it is there already. */
static qc_err fetch_mapping(struct qemu_img_map *m)
{
	qc_err r;

	if (m->has_next)
		return 0;
	r = m->get(m->arg, m->at, &m->next);
	if (!r && m->next.len > m->end - m->at)
		m->next.len = m->end - m->at;
	m->has_next = !r;
	return r;
}

qc_err qemu_img_map_next(struct qemu_img_map *m, struct qc_mapping *out)
{
	*out = (struct qc_mapping){ .start = m->at };
	while (m->at < m->end) {
		qc_err r = fetch_mapping(m);

		if (r)
			return r;
		if (out->len && !continues_mapping(out, &m->next))
			break;
		if (out->len)
			out->len += m->next.len;
		else
			*out = m->next;
		m->at += m->next.len;
		m->has_next = false;
	}
	return 0;
}

static const char *word_of(bool b)
{
	return b ? "true" : "false";
}

void qemu_img_map_print_json(FILE *to, const struct qc_mapping *m, const char *file)
{
	json_t *name = m->has_offset ? json_name(file) : NULL;

	fprintf(to, "{ \"start\": %" PRIu64 ", \"length\": %" PRIu64 ", \"depth\": %u, "
		"\"present\": %s, \"zero\": %s, \"data\": %s, \"compressed\": %s", m->start, m->len,
		m->depth, word_of(m->present), word_of(m->zero), word_of(m->data),
		word_of(m->compressed));
	if (m->has_offset)
		fprintf(to, ", \"offset\": %" PRIu64, m->offset);
	if (name) {
		fputs(", \"file\": ", to);
		json_dumpf(name, to, JSON_ENCODE_ANY);
	}
	fputc('}', to);
	json_decref(name);
}
