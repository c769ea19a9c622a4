/* SPDX-License-Identifier: MIT */
#include "rescue/plan.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/log.h"
#include "base/range.h"
#include "format/header.h"

#define PLAN_VERSION "qcowfs-plan"

struct plan_parse {
	struct qc_plan *p;
	struct qc_reason *why;
};

/* ---- values ----------------------------------------------------------------- */

/* Reads a number, which is not negative, and at most @most. */
static qc_err read_plan_number(struct plan_parse *x, const char *key, const json_t *v,
			       uint64_t most, uint64_t *out)
{
	if (!json_is_integer(v) || json_integer_value(v) < 0 ||
	    (uint64_t)json_integer_value(v) > most)
		return qc_fail(x->why, -EINVAL, "plan: %s: not a number from 0 to %" PRIu64, key, most);
	*out = (uint64_t)json_integer_value(v);
	return 0;
}

/* Reads a power of two, as its logarithm. */
static qc_err read_plan_power(struct plan_parse *x, const char *key, const json_t *v,
			      unsigned int most, unsigned int *bits)
{
	uint64_t n = 0;
	qc_err r = read_plan_number(x, key, v, UINT64_C(1) << most, &n);

	if (r)
		return r;
	if (!n || n & (n - 1))
		return qc_fail(x->why, -EINVAL, "plan: %s: %" PRIu64 " is no power of two", key, n);
	*bits = (unsigned int)__builtin_ctzll(n);
	return 0;
}

/* Reads an object with two numbers. */
static qc_err read_plan_pair(struct plan_parse *x, const char *key, const json_t *v,
			     const char *second, uint64_t most, uint64_t *offset, uint64_t *n)
{
	qc_err r;

	if (!json_is_object(v))
		return qc_fail(x->why, -EINVAL, "plan: %s: not an object with offset and %s", key, second);
	r = read_plan_number(x, key, json_object_get(v, "offset"), INT64_MAX, offset);
	return r ? r : read_plan_number(x, key, json_object_get(v, second), most, n);
}

static qc_err read_plan_word(struct plan_parse *x, const char *key, const json_t *v,
			     const char *const *words, unsigned int n, unsigned int *out)
{
	const char *s = json_string_value(v);

	for (unsigned int i = 0; s && i < n; i++) {
		if (!strcmp(s, words[i])) {
			*out = i;
			return 0;
		}
	}
	return qc_fail(x->why, -EINVAL, "plan: %s: not a known word", key);
}

/* ---- keys ------------------------------------------------------------------- */

/* Reads the words of an L1 table, each a string with a number of base 16. */
static qc_err read_l1_words(struct plan_parse *x, const json_t *words)
{
	uint32_t n = x->p->head.geom.l1_entries;

	if (!words || json_is_null(words))
		return 0;
	if (!json_is_array(words) || json_array_size(words) != n)
		return qc_fail(x->why, -EINVAL, "plan: l1: words: not an array of %" PRIu32 " words", n);
	x->p->l1_word = calloc(n + 1, sizeof(*x->p->l1_word));
	if (!x->p->l1_word)
		return qc_fail(x->why, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < n; i++) {
		const char *s = json_string_value(json_array_get(words, i));
		char *end = NULL;

		errno = 0;
		if (s && !strncmp(s, "0x", 2))
			x->p->l1_word[i] = strtoull(s + 2, &end, 16);
		if (!end || end == s + 2 || *end || errno)
			return qc_fail(x->why, -EINVAL, "plan: l1: word %" PRIu32 " is no string as "
				       "\"0x8000000000050000\"", i);
	}
	return 0;
}

static qc_err read_plan_l1(struct plan_parse *x, const char *key, const json_t *v)
{
	uint64_t entries = 0;
	qc_err r = read_plan_pair(x, key, v, "entries", L1_ENTRIES_MAX,
				  &x->p->head.geom.l1_offset, &entries);

	x->p->head.geom.l1_entries = (uint32_t)entries;
	return r ? r : read_l1_words(x, json_object_get(v, "words"));
}

static qc_err read_plan_tables(struct plan_parse *x, enum qc_plan_key k, const char *key,
			       const json_t *v)
{
	struct qc_header *h = &x->p->head;
	uint64_t n = 0;
	qc_err r;

	if (k == QC_PLAN_L1)
		return read_plan_l1(x, key, v);
	if (k == QC_PLAN_LUKS)
		return read_plan_pair(x, key, v, "length", INT64_MAX, &h->luks_offset, &h->luks_bytes);
	if (k == QC_PLAN_SNAPSHOTS) {
		r = read_plan_pair(x, key, v, "count", SNAPSHOTS_MAX, &h->snapshots_offset, &n);
		h->snapshots = (uint32_t)n;
		return r;
	}
	r = read_plan_pair(x, key, v, "clusters", UINT32_MAX, &h->reftable_offset, &n);
	h->reftable_clusters = (uint32_t)n;
	return r;
}

/* By the number of the compression type. */
static const char *const plan_methods[] = { "deflate", "zstd" };

static qc_err read_plan_kinds(struct plan_parse *x, enum qc_plan_key k, const char *key,
			      const json_t *v)
{
	static const char *const crypts[] = { "none", "aes", "luks" };
	struct qc_header *h = &x->p->head;
	unsigned int i = 0;
	qc_err r;

	if (k == QC_PLAN_EXTENDED_L2) {
		if (!json_is_boolean(v))
			return qc_fail(x->why, -EINVAL, "plan: %s: neither true nor false", key);
		h->incompatible |= json_is_true(v) ? INCOMPAT_EXTENDED_L2 : 0;
		return 0;
	}
	if (k == QC_PLAN_ENCRYPTION) {
		r = read_plan_word(x, key, v, crypts, 3, &i);
		h->crypt = (enum qc_crypt)i;
		return r;
	}
	r = read_plan_word(x, key, v, plan_methods, 2, &i);
	h->compression = (enum qc_compression)i;
	return r;
}

static qc_err read_plan_key(struct plan_parse *x, enum qc_plan_key k, const char *key,
			    const json_t *v)
{
	struct qc_header *h = &x->p->head;
	uint64_t n = 0;
	qc_err r;

	switch (k) {
	case QC_PLAN_FILE_SIZE:
		return read_plan_number(x, key, v, INT64_MAX, &x->p->file_size);
	case QC_PLAN_VERSION:
		r = read_plan_number(x, key, v, 3, &n);
		h->version = (uint32_t)n;
		return r;
	case QC_PLAN_SIZE:
		return read_plan_number(x, key, v, INT64_MAX, &h->size);
	case QC_PLAN_CLUSTER_SIZE:
		return read_plan_power(x, key, v, CLUSTER_BITS_MAX, &h->geom.cluster_bits);
	case QC_PLAN_L2_ENTRIES:
		return read_plan_power(x, key, v, L2_BITS_MAX_V1, &h->geom.l2_bits);
	case QC_PLAN_REFCOUNT_BITS:
		return read_plan_power(x, key, v, REFCOUNT_ORDER_MAX, &h->refcount_order);
	case QC_PLAN_EXTENDED_L2:
	case QC_PLAN_COMPRESSION:
	case QC_PLAN_ENCRYPTION:
		return read_plan_kinds(x, k, key, v);
	case QC_PLAN_L1:
	case QC_PLAN_REFCOUNT_TABLE:
	case QC_PLAN_SNAPSHOTS:
	case QC_PLAN_LUKS:
	case QC_PLAN_KEYS:
		break;
	}
	return read_plan_tables(x, k, key, v);
}

static const char *const key_names[QC_PLAN_KEYS] = {
	[QC_PLAN_FILE_SIZE] = "file-size",
	[QC_PLAN_VERSION] = "version",
	[QC_PLAN_CLUSTER_SIZE] = "cluster-size",
	[QC_PLAN_SIZE] = "size",
	[QC_PLAN_L1] = "l1",
	[QC_PLAN_REFCOUNT_TABLE] = "refcount-table",
	[QC_PLAN_REFCOUNT_BITS] = "refcount-bits",
	[QC_PLAN_EXTENDED_L2] = "extended-l2",
	[QC_PLAN_L2_ENTRIES] = "l2-entries",
	[QC_PLAN_COMPRESSION] = "compression",
	[QC_PLAN_SNAPSHOTS] = "snapshots",
	[QC_PLAN_ENCRYPTION] = "encryption",
	[QC_PLAN_LUKS] = "luks",
};

static qc_err read_plan_object(struct plan_parse *x, json_t *root)
{
	const char *key;
	json_t *v;

	if (!json_is_object(root) || json_integer_value(json_object_get(root, PLAN_VERSION)) != 1)
		return qc_fail(x->why, -EINVAL, "plan: not an object with \"" PLAN_VERSION "\": 1");
	json_object_foreach(root, key, v) {
		unsigned int k = 0;
		qc_err r;

		while (k < QC_PLAN_KEYS && strcmp(key, key_names[k]) != 0)
			k++;
		if (!strcmp(key, PLAN_VERSION) || json_is_null(v))
			continue;
		if (k == QC_PLAN_KEYS)
			return qc_fail(x->why, -EINVAL, "plan: unknown key '%.40s'", key);
		r = read_plan_key(x, (enum qc_plan_key)k, key, v);
		if (r)
			return r;
		x->p->has[k] = true;
	}
	return 0;
}

qc_err qc_plan_parse(const char *text, size_t len, struct qc_plan **out, struct qc_reason *why)
{
	struct plan_parse x = { calloc(1, sizeof(*x.p)), why };
	json_error_t error;
	json_t *root;
	qc_err r;

	*out = NULL;
	if (!x.p)
		return qc_fail(why, -ENOMEM, "out of memory");
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (root)
		r = read_plan_object(&x, root);
	else
		r = qc_fail(why, -EINVAL, "plan: line %d: %s", error.line, error.text);
	json_decref(root);
	if (r)
		qc_plan_free(x.p);
	else
		*out = x.p;
	return r;
}

void qc_plan_free(struct qc_plan *p)
{
	if (p)
		free(p->l1_word);
	free(p);
}

/* ---- use ---------------------------------------------------------------------- */

bool qc_plan_is_complete(const struct qc_plan *p)
{
	return p->has[QC_PLAN_CLUSTER_SIZE] && p->has[QC_PLAN_SIZE] && p->has[QC_PLAN_L1] &&
	       p->has[QC_PLAN_VERSION] &&
	       p->has[p->head.version == 1 ? QC_PLAN_L2_ENTRIES : QC_PLAN_REFCOUNT_TABLE];
}

/* ---- writing -------------------------------------------------------------------- */

/* The offset of a table without entries may be any in a header, and is written as 0. */
static json_t *json_of_plan_pair(uint64_t offset, const char *second, uint64_t n)
{
	return json_pack("{s:I, s:I}", "offset", (json_int_t)(n ? offset : 0), second,
			 (json_int_t)n);
}

static json_t *json_of_plan_l1(const struct qc_header *h, const uint8_t *l1)
{
	json_t *out = json_of_plan_pair(h->geom.l1_offset, "entries", h->geom.l1_entries), *words;

	if (!l1)
		return out;
	words = json_array();
	for (uint32_t i = 0; i < h->geom.l1_entries; i++)
		json_array_append_new(words, json_sprintf("0x%016" PRIx64,
							  be64_at(l1 + 8 * (size_t)i)));
	json_object_set_new(out, "words", words);
	return out;
}

static void add_plan_tables(json_t *j, const struct qc_header *h)
{
	if (h->version == 1) {
		json_object_set_new(j, "l2-entries", json_integer(INT64_C(1) << h->geom.l2_bits));
		return;
	}
	json_object_set_new(j, "refcount-table", json_of_plan_pair(h->reftable_offset, "clusters",
								   h->reftable_clusters));
	json_object_set_new(j, "refcount-bits", json_integer(INT64_C(1) << h->refcount_order));
	json_object_set_new(j, "snapshots", json_of_plan_pair(h->snapshots_offset, "count",
							      h->snapshots));
	if (h->version < 3)
		return;
	json_object_set_new(j, "extended-l2", json_boolean(geom_is_extended(&h->geom)));
	json_object_set_new(j, "compression", json_string(plan_methods[h->compression]));
}

qc_err qc_plan_write(const struct qc_header *h, uint64_t file_size, const uint8_t *l1, char **text,
		     size_t *len)
{
	static const char *const crypts[] = { "none", "aes", "luks" };
	json_t *j = json_pack("{s:i, s:I, s:i, s:I, s:I, s:o, s:s}", PLAN_VERSION, 1, "file-size",
			      (json_int_t)file_size, "version", (int)h->version, "cluster-size",
			      (json_int_t)geom_cluster(&h->geom), "size", (json_int_t)h->size, "l1",
			      json_of_plan_l1(h, l1), "encryption", crypts[h->crypt]);

	*text = NULL;
	if (j) {
		add_plan_tables(j, h);
		if (h->crypt == CRYPT_LUKS)
			json_object_set_new(j, "luks", json_of_plan_pair(h->luks_offset, "length",
									  h->luks_bytes));
		*text = json_dumps(j, JSON_INDENT(1));
	}
	json_decref(j);
	if (!*text)
		return -ENOMEM;
	*len = strlen(*text);
	return 0;
}
