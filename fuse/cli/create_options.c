/* SPDX-License-Identifier: MIT */
#include "cli/create_options.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/report.h"

int create_options_size(const char *text, uint64_t *out)
{
	static const char units[] = "BKMGTPE";
	const char *unit;
	char *end;
	uint64_t whole;
	double value, bytes;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	whole = strtoull(text, &end, 10);
	value = *end == '.' ? strtod(text, &end) : (double)whole;
	if (errno)
		return -EINVAL;
	unit = *end ? strchr(units, toupper((unsigned char)*end)) : units;
	if (!unit || (*end && end[1]))
		return -EINVAL;
	bytes = ldexp(value, 10 * (int)(unit - units));
	if (bytes >= 0x1p63)
		return -EINVAL;
	*out = value == (double)whole ? whole << (10 * (unit - units)) : (uint64_t)bytes;
	return 0;
}

static int find_word(const char *value, const char *const *words)
{
	for (int i = 0; words[i]; i++)
		if (!strcmp(value, words[i]))
			return i;
	return -EINVAL;
}

int create_options_number(const char *text, unsigned int *out)
{
	uint64_t n;
	int r = create_options_size(text, &n);

	if (r || n > UINT_MAX)
		return -EINVAL;
	*out = (unsigned int)n;
	return 0;
}

int create_options_version(const char *text, unsigned int *out)
{
	int i = find_word(text, (const char *const[]){ "0.10", "1.1", "v2", "v3", NULL });

	if (i >= 0)
		*out = i % 2 ? 3 : 2;
	return i < 0 ? i : 0;
}

int create_options_switch(const char *text, bool *out)
{
	int i = find_word(text, (const char *const[]){ "off", "on", "false", "true", "no", "yes",
						       NULL });

	if (i >= 0)
		*out = i % 2;
	return i < 0 ? i : 0;
}

/* ---- one option -------------------------------------------------------------------- */

enum value_kind { TEXT, SIZE, NUMBER, SWITCH, COMPAT, PREALLOCATION, ENCRYPTION };

static const struct create_option {
	const char *name;
	enum value_kind kind;
	size_t at; /* in struct qc_create_options */
} table[] = {
#define AT(field) offsetof(struct qc_create_options, field)
	{ "size", SIZE, AT(size) },
	{ "compat", COMPAT, 0 },
	{ "cluster_size", NUMBER, AT(cluster_size) },
	{ "refcount_bits", NUMBER, AT(refcount_bits) },
	{ "lazy_refcounts", SWITCH, AT(lazy_refcounts) },
	{ "extended_l2", SWITCH, AT(extended_l2) },
	{ "compression_type", TEXT, AT(compression_type) },
	{ "preallocation", PREALLOCATION, 0 },
	{ "data_file", TEXT, AT(data_file) },
	{ "data_file_raw", SWITCH, AT(data_file_raw) },
	{ "backing_file", TEXT, AT(backing) },
	{ "backing_fmt", TEXT, AT(backing_format) },
	{ "encrypt.format", ENCRYPTION, 0 },
	{ "encrypt.cipher-alg", TEXT, AT(cipher_alg) },
	{ "encrypt.cipher-mode", TEXT, AT(cipher_mode) },
	{ "encrypt.ivgen-alg", TEXT, AT(ivgen_alg) },
	{ "encrypt.ivgen-hash-alg", TEXT, AT(ivgen_hash_alg) },
	{ "encrypt.hash-alg", TEXT, AT(hash_alg) },
	{ "encrypt.iter-time", NUMBER, AT(iter_time_ms) },
#undef AT
};

static int set_create_option(struct create_options *c, const struct create_option *option,
			     const char *value)
{
	void *to = (char *)&c->o + option->at;
	int i = 0;

	switch (option->kind) {
	case TEXT:
		*(const char **)to = value;
		return 0;
	case SIZE:
		c->has_size = true;
		return create_options_size(value, to);
	case NUMBER:
		return create_options_number(value, to);
	case SWITCH:
		return create_options_switch(value, to);
	case COMPAT:
		return create_options_version(value, &c->o.version);
	case PREALLOCATION:
		i = find_word(value, (const char *const[]){ "off", "metadata", "falloc", "full", NULL });
		c->preallocation = (enum preallocation)i;
		break;
	case ENCRYPTION:
		i = find_word(value, (const char *const[]){ "", "aes", "luks", NULL });
		c->o.encryption = (enum qc_create_encryption)i;
		break;
	}
	return i < 0 ? i : 0;
}

static int add_one(struct create_options *c, char *word)
{
	char *value = strchr(word, '=');
	size_t i = 0;

	if (value)
		*value++ = 0;
	while (i < sizeof(table) / sizeof(table[0]) && strcmp(table[i].name, word) != 0)
		i++;
	if (i == sizeof(table) / sizeof(table[0]))
		report(QC_LOG_ERROR, "%s: unknown option for a new image", word);
	else if (!value && table[i].kind != SWITCH)
		report(QC_LOG_ERROR, "%s: the option needs a value", word);
	else if (set_create_option(c, &table[i], value ? value : "on"))
		report(QC_LOG_ERROR, "%s: '%s' is no value for this option", word, value);
	else
		return 0;
	return -EINVAL;
}

/* ---- lists ---------------------------------------------------------------------------- */

char *create_options_cut(char *word, char separator)
{
	char *to = word;

	for (; *word; word++) {
		if (*word == separator && word[1] == separator && separator == ',')
			word++;
		else if (*word == separator)
			break;
		*to++ = *word;
	}
	word = *word ? word + 1 : NULL;
	*to = 0;
	return word;
}

int create_options_add(struct create_options *c, const char *list, char separator)
{
	size_t room = strlen(list) + 1;
	/* Texts point into the copy, so it is kept: each copy begins with the address of the last. */
	char *copy = malloc(sizeof(char *) + room), *word, *next;
	int r = 0;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, &c->text, sizeof(char *));
	memcpy(copy + sizeof(char *), list, room);
	c->text = copy;
	for (word = copy + sizeof(char *); !r && word && *word; word = next) {
		next = create_options_cut(word, separator);
		r = add_one(c, word);
	}
	return r;
}

void create_options_free(struct create_options *c)
{
	while (c->text) {
		char *last;

		memcpy(&last, c->text, sizeof(last));
		free(c->text);
		c->text = last;
	}
}
