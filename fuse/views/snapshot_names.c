/* SPDX-License-Identifier: MIT */
#include "views/snapshot_names.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tree/raw_name.h"

/* ---- one name --------------------------------------------------------------- */

static bool must_escape(const char *bytes, size_t i)
{
	unsigned char c = (unsigned char)bytes[i];

	return c < 0x20 || c == 0x7f || c == '/' || c == '%' || (c == '.' && i == 0);
}

char *snapshot_name_escape(const char *bytes, size_t len)
{
	char *out, *p;

	if (!len)
		return strdup("%");
	p = out = malloc(3 * len + 1);
	if (!out)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		if (must_escape(bytes, i))
			p += sprintf(p, "%%%02X", (unsigned char)bytes[i]);
		else
			*p++ = bytes[i];
	}
	*p = 0;
	return out;
}

static int hex_value(char c)
{
	static const char digits[] = "0123456789ABCDEF";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Replaces every %XX by its byte.  The caller checks that the result is shown like this. */
static size_t decode_escapes(const char *shown, char *out)
{
	size_t n = 0;

	if (!strcmp(shown, "%"))
		return 0;
	while (*shown) {
		if (*shown == '%' && hex_value(shown[1]) >= 0 && hex_value(shown[2]) >= 0) {
			out[n++] = (char)(hex_value(shown[1]) << 4 | hex_value(shown[2]));
			shown += 3;
		} else {
			out[n++] = *shown++;
		}
	}
	return n;
}

int snapshot_name_unescape(const char *shown, char **bytes, size_t *len)
{
	char *out = malloc(strlen(shown) + 1), *again;
	int r;

	if (!out)
		return -ENOMEM;
	*len = decode_escapes(shown, out);
	out[*len] = 0;
	again = snapshot_name_escape(out, *len);
	r = !again ? -ENOMEM : strcmp(again, shown) ? -EINVAL : 0;
	free(again);
	if (r)
		free(out);
	else
		*bytes = out;
	return r;
}

/* ---- all names of an image -------------------------------------------------- */

struct naming {
	const struct qc_snapshots *s;
	char **name;
	size_t *order;
	void *taken; /* tsearch(3) tree of the names given so far */
};

static int compare_texts(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int compare_by_name_then_index(const void *a, const void *b, void *names)
{
	size_t i = *(const size_t *)a, j = *(const size_t *)b;
	int order = strcmp(((char **)names)[i], ((char **)names)[j]);

	return order ? order : (i > j) - (i < j);
}

static bool name_is_taken(const struct naming *w, const char *name)
{
	return tfind(name, &w->taken, compare_texts);
}

static int register_name(struct naming *w, size_t i)
{
	return tsearch(w->name[i], &w->taken, compare_texts) ? 0 : -ENOMEM;
}

/* Returns NAME@SUFFIX.  Consumes the suffix. */
static char *append_suffix(const char *name, char *suffix)
{
	char *out;

	if (!suffix || asprintf(&out, "%s@%s", name, suffix) < 0)
		out = NULL;
	free(suffix);
	return raw_name_cut(out, RAW_NAME_MAX);
}

/* Counts the snapshots from order[at] on that have the same name. */
static size_t run_length(const struct naming *w, size_t at, size_t end)
{
	size_t n = 1;

	while (at + n < end && !strcmp(w->name[w->order[at]], w->name[w->order[at + n]]))
		n++;
	return n;
}

/* Registers names that only one snapshot has.  Appends @ID to the others, which are the first
 * *shared in the order afterwards. */
static int register_unique_names(struct naming *w, size_t *shared)
{
	size_t run;
	int r = 0;

	*shared = 0;
	for (size_t at = 0; !r && at < w->s->n; at += run) {
		run = run_length(w, at, w->s->n);
		if (run == 1)
			r = register_name(w, w->order[at]);
		else
			memmove(&w->order[*shared], &w->order[at], run * sizeof(*w->order));
		*shared += run == 1 ? 0 : run;
	}
	for (size_t k = 0; !r && k < *shared; k++) {
		size_t i = w->order[k];
		char *longer = append_suffix(w->name[i], snapshot_name_escape(w->s->at[i].id, w->s->at[i].id_len));

		free(w->name[i]);
		w->name[i] = longer;
		r = longer ? 0 : -ENOMEM;
	}
	return r;
}

/* Registers the first free name of NAME, NAME@2, ...; *next is the number to begin with. */
static int register_numbered(struct naming *w, const char *name, size_t i, unsigned int *next)
{
	char *mine = *next == 1 ? strdup(name) : NULL, *digits;

	if (*next == 1)
		++*next;
	while (!mine || name_is_taken(w, mine)) {
		free(mine);
		if (asprintf(&digits, "%u", (*next)++) < 0)
			digits = NULL;
		mine = append_suffix(name, digits);
		if (!mine)
			return -ENOMEM;
	}
	free(w->name[i]);
	w->name[i] = mine;
	return register_name(w, i);
}

static int register_shared_names(struct naming *w, size_t shared)
{
	size_t run;
	int r = 0;

	qsort_r(w->order, shared, sizeof(*w->order), compare_by_name_then_index, w->name);
	for (size_t at = 0; !r && at < shared; at += run) {
		char *name = strdup(w->name[w->order[at]]);
		unsigned int next = 1;

		run = run_length(w, at, shared);
		r = name ? 0 : -ENOMEM;
		for (size_t k = 0; !r && k < run; k++)
			r = register_numbered(w, name, w->order[at + k], &next);
		free(name);
	}
	return r;
}

static void keep_name(void *p)
{
	(void)p;
}

int snapshot_names(const struct qc_snapshots *s, char ***out)
{
	struct naming w = { .s = s };
	size_t shared;
	int r = 0;

	w.name = calloc(s->n + 1, sizeof(*w.name));
	w.order = calloc(s->n + 1, sizeof(*w.order));
	if (!w.name || !w.order)
		r = -ENOMEM;
	for (size_t i = 0; !r && i < s->n; i++) {
		w.order[i] = i;
		w.name[i] = raw_name_cut(snapshot_name_escape(s->at[i].name, s->at[i].name_len), RAW_NAME_MAX);
		r = w.name[i] ? 0 : -ENOMEM;
	}
	if (!r) {
		qsort_r(w.order, s->n, sizeof(*w.order), compare_by_name_then_index, w.name);
		r = register_unique_names(&w, &shared);
	}
	if (!r)
		r = register_shared_names(&w, shared);
	tdestroy(w.taken, keep_name);
	free(w.order);
	if (r)
		snapshot_names_free(w.name, s->n);
	else
		*out = w.name;
	return r;
}

void snapshot_names_free(char **names, size_t n)
{
	for (size_t i = 0; names && i < n; i++)
		free(names[i]);
	free(names);
}
