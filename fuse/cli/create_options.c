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

enum value_kind {
	TEXT, SIZE, NUMBER, SWITCH, COMPAT, PREALLOCATION, ENCRYPTION, AES, SECRET, SIZE_HINT,
	SWITCH_HINT,
};

static const char *const preallocations[] = { "off", "metadata", "falloc", "full", NULL };

static const struct create_option {
	const char *name;
	enum value_kind kind;
	size_t at; /* in struct qc_create_options */
	const char *help;
} table[] = {
#define AT(field) offsetof(struct qc_create_options, field)
	{ "size", SIZE, AT(size), "size of the disk" },
	{ "compat", COMPAT, 0, "version of the format: v2 [0.10] or v3 [1.1]" },
	{ "cluster_size", NUMBER, AT(cluster_size), "bytes of a cluster" },
	{ "refcount_bits", NUMBER, AT(refcount_bits), "width of a refcount" },
	{ "lazy_refcounts", SWITCH, AT(lazy_refcounts), "postpone updates of refcounts" },
	{ "extended_l2", SWITCH, AT(extended_l2),
	  "clusters have 32 parts that are allocated one by one" },
	{ "compression_type", TEXT, AT(compression_type),
	  "how clusters are compressed: zlib, zstd" },
	{ "preallocation", PREALLOCATION, 0, "off, metadata, falloc, full" },
	{ "data_file", TEXT, AT(data_file), "name of an external data file" },
	{ "data_file_raw", SWITCH, AT(data_file_raw), "the data file alone is the disk" },
	{ "backing_file", TEXT, AT(backing), "name of the backing file" },
	{ "backing_fmt", TEXT, AT(backing_format), "format of the backing file" },
	{ "encrypt.format", ENCRYPTION, 0, "encrypt: luks, aes" },
	{ "encrypt.cipher-alg", TEXT, AT(cipher_alg), "cipher" },
	{ "encrypt.cipher-mode", TEXT, AT(cipher_mode), "mode of the cipher" },
	{ "encrypt.ivgen-alg", TEXT, AT(ivgen_alg), "how initialization vectors are made" },
	{ "encrypt.ivgen-hash-alg", TEXT, AT(ivgen_hash_alg), "hash of essiv" },
	{ "encrypt.hash-alg", TEXT, AT(hash_alg), "hash of PBKDF2" },
	{ "encrypt.iter-time", NUMBER, AT(iter_time_ms),
	  "milliseconds that a try of a passphrase takes" },
	{ "encrypt.key-secret", SECRET, 0, "id of the secret object with the passphrase" },
	{ "extent_size_hint", SIZE_HINT, 0, "accepted as by qemu-img, and ignored" },
	{ "nocow", SWITCH_HINT, 0, "the same" },
	{ "encryption", AES, 0, "the same as encrypt.format=aes" },
#undef AT
};

/* The old option "encryption" of QEMU. */
static int set_aes(struct create_options *c, const char *value)
{
	bool on = false;
	int r = create_options_switch(value, &on);

	if (on)
		c->o.encryption = QC_CREATE_AES;
	c->encryption_on = on;
	return r;
}

static int set_create_option(struct create_options *c, const struct create_option *option,
			     const char *value)
{
	void *to = (char *)&c->o + option->at;
	uint64_t ignored_size;
	bool ignored_switch;
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
		i = find_word(value, preallocations);
		c->preallocation = (enum preallocation)i;
		c->has_preallocation = true;
		break;
	case ENCRYPTION:
		i = find_word(value, (const char *const[]){ "", "aes", "luks", NULL });
		c->o.encryption = (enum qc_create_encryption)i;
		break;
	case AES:
		return set_aes(c, value);
	case SIZE_HINT:
		return create_options_size(value, &ignored_size);
	case SWITCH_HINT:
		return create_options_switch(value, &ignored_switch);
	case SECRET:
		c->key_secret = value;
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
	else if (!value && table[i].kind != SWITCH && table[i].kind != AES &&
		 table[i].kind != SWITCH_HINT)
		report(QC_LOG_ERROR, "%s: the option needs a value", word);
	else if (set_create_option(c, &table[i], value ? value : "on"))
		report(QC_LOG_ERROR, "%s: '%s' is no value for this option", word, value);
	else
		return 0;
	return -EINVAL;
}

/* ---- what is printed -------------------------------------------------------------------- */

static int print_create_help(void)
{
	static const char *const kinds[] = {
		[TEXT] = "str", [SIZE] = "size", [NUMBER] = "num", [SWITCH] = "bool (on/off)",
		[COMPAT] = "str", [PREALLOCATION] = "str", [ENCRYPTION] = "str",
		[AES] = "bool (on/off)", [SECRET] = "str", [SIZE_HINT] = "size",
		[SWITCH_HINT] = "bool (on/off)",
	};

	puts("Supported options:");
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char left[60];

		snprintf(left, sizeof(left), "%s=<%s>", table[i].name, kinds[table[i].kind]);
		printf("  %-34s - %s\n", left, table[i].help);
	}
	return CREATE_OPTIONS_HELP;
}

static void print_create_value(const char *name, const char *value)
{
	if (value)
		printf(" %s=%s", name, value);
}

static void print_encryption(const struct create_options *c)
{
	const struct qc_create_options *o = &c->o;

	if (o->encryption == QC_CREATE_PLAIN)
		return;
	if (c->encryption_on)
		print_create_value("encryption", "on");
	else
		print_create_value("encrypt.format", o->encryption == QC_CREATE_AES ? "aes" : "luks");
	print_create_value("encrypt.key-secret", c->key_secret);
	print_create_value("encrypt.cipher-alg", o->cipher_alg);
	print_create_value("encrypt.cipher-mode", o->cipher_mode);
	print_create_value("encrypt.ivgen-alg", o->ivgen_alg);
	print_create_value("encrypt.ivgen-hash-alg", o->ivgen_hash_alg);
	print_create_value("encrypt.hash-alg", o->hash_alg);
	if (o->iter_time_ms)
		printf(" encrypt.iter-time=%u", o->iter_time_ms);
}

void create_options_print_formatting(const struct create_options *c, const char *path)
{
	const struct qc_create_options *o = &c->o;
	bool first = o->version == 1;

	printf("Formatting '%s', fmt=%s", path, first ? "qcow" : "qcow2");
	print_encryption(c);
	if (!first)
		printf(" cluster_size=%u extended_l2=%s", o->cluster_size ? o->cluster_size : 65536,
		       o->extended_l2 ? "on" : "off");
	if (!first && c->has_preallocation)
		print_create_value("preallocation", preallocations[c->preallocation]);
	if (!first)
		print_create_value("compression_type", o->compression_type ? o->compression_type : "zlib");
	printf(" size=%llu", (unsigned long long)o->size);
	if (!first && o->version)
		print_create_value("compat", o->version == 2 ? "0.10" : "1.1");
	print_create_value("backing_file", o->backing);
	print_create_value("backing_fmt", o->backing_format);
	print_create_value("data_file", o->data_file);
	if (o->data_file_raw)
		print_create_value("data_file_raw", "on");
	if (!first)
		printf(" lazy_refcounts=%s refcount_bits=%u", o->lazy_refcounts ? "on" : "off",
		       o->refcount_bits ? o->refcount_bits : 16);
	putchar('\n');
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
		if (separator == ',' && (!strcmp(word, "help") || !strcmp(word, "?")))
			r = print_create_help();
		else
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
