/* SPDX-License-Identifier: MIT */
#include "commands/amend_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/create_options.h"
#include "util/report.h"

enum amend_kind { VERSION, BITS, SWITCH, TEXT, BYTES };

static const struct amend_option {
	const char *name;
	enum amend_kind kind;
	size_t at; /* in struct amend_options */
} options[] = {
#define AT(field) offsetof(struct amend_options, field)
	{ "backing_file", TEXT, AT(backing) },
	{ "backing_fmt", TEXT, AT(backing_format) },
	{ "compat", VERSION, AT(o.version) },
	{ "data_file", TEXT, AT(o.data_file) },
	{ "data_file_raw", SWITCH, AT(o.data_file_raw) },
	{ "lazy_refcounts", SWITCH, AT(o.lazy_refcounts) },
	{ "refcount_bits", BITS, AT(o.refcount_bits) },
	{ "size", BYTES, AT(size) },
#undef AT
};

static bool set_amend_value(void *to, enum amend_kind kind, const char *value)
{
	bool on = false;

	switch (kind) {
	case VERSION:
		return !create_options_version(value, to);
	case SWITCH:
		if (create_options_switch(value, &on))
			return false;
		*(enum qc_switch *)to = on ? QC_ON : QC_OFF;
		return true;
	case TEXT:
		*(const char **)to = value;
		return true;
	case BYTES:
		return !create_options_size(value, to) && *(uint64_t *)to;
	case BITS:
		return !create_options_number(value, to) && *(unsigned int *)to;
	}
	return false;
}

static int set_amend_option(struct amend_options *a, char *word)
{
	const size_t count = sizeof(options) / sizeof(options[0]);
	char *value = strchr(word, '=');
	size_t i = 0;

	if (value)
		*value++ = 0;
	while (i < count && strcmp(options[i].name, word) != 0)
		i++;
	if (!strncmp(word, "encrypt.", 8))
		report(QC_LOG_ERROR, "%s: not an option of amend (qcowfs key changes passphrases)", word);
	else if (i == count)
		report(QC_LOG_ERROR, "%s: no option that can be changed", word);
	else if (!value && options[i].kind != SWITCH)
		report(QC_LOG_ERROR, "%s: the option needs a value", word);
	else if (!set_amend_value((char *)a + options[i].at, options[i].kind, value ? value : "on"))
		report(QC_LOG_ERROR, "%s: '%s' is no value for this option", word, value);
	else
		return 0;
	return -ECANCELED;
}

int amend_options_parse(struct amend_options *a, const char *list)
{
	char *word, *next;
	int r = 0;

	if (a->text) {
		report(QC_LOG_ERROR, "amend: -o is given twice (a comma separates options)");
		return -ECANCELED;
	}
	a->text = strdup(list);
	if (!a->text)
		return -ENOMEM;
	for (word = a->text; !r && word && *word; word = next) {
		next = create_options_cut(word, ',');
		r = set_amend_option(a, word);
		a->any = true;
	}
	return r;
}
