/* SPDX-License-Identifier: MIT */
#include "keys/secret_objects.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/create_options.h"
#include "qcow.h"
#include "util/report.h"

/* The words of one --object; they point into its text. */
struct secret_words {
	const char *id, *data, *file, *format;
};

static int fail_secret(const char *problem, const char *word)
{
	report(QC_LOG_ERROR, "--object: %s%s%s", problem, word ? " " : "", word ? word : "");
	return -EINVAL;
}

static int read_secret_words(char *text, struct secret_words *out)
{
	char *next = create_options_cut(text, ',');

	if (strcmp(text, "secret") != 0)
		return fail_secret("only secrets are known, not", text);
	for (char *word = next; word; word = next) {
		char *value = strchr(word, '=');

		next = create_options_cut(word, ',');
		value = strchr(word, '=');
		if (value)
			*value++ = 0;
		if (value && !strcmp(word, "id"))
			out->id = value;
		else if (value && !strcmp(word, "data"))
			out->data = value;
		else if (value && !strcmp(word, "file"))
			out->file = value;
		else if (value && !strcmp(word, "format"))
			out->format = value;
		else
			return fail_secret("a secret has no option", word);
	}
	if (!out->id || !out->data == !out->file)
		return fail_secret("a secret needs id=, and one of data= and file=", NULL);
	if (out->format && strcmp(out->format, "raw") && strcmp(out->format, "base64"))
		return fail_secret("a secret has the format raw or base64, not", out->format);
	return 0;
}

/* ---- the bytes -------------------------------------------------------------------- */

static int load_secret_file(const char *path, struct secret_object *s)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n = fd < 0 ? -1 : 1;

	while (n > 0 && s->len < QC_KEY_MAX) {
		n = read(fd, s->bytes + s->len, QC_KEY_MAX - s->len);
		if (n > 0)
			s->len += (size_t)n;
	}
	if (n < 0)
		report(QC_LOG_ERROR, "--object: %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return n < 0 ? -EINVAL : 0;
}

static int decode_base64_digit(uint8_t c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Decodes in place.  Spaces and line ends are skipped. */
static int decode_base64(struct secret_object *s)
{
	size_t out = 0, in = 0;
	uint32_t bits = 0;
	unsigned int n = 0;

	for (; in < s->len && s->bytes[in] != '='; in++) {
		int digit = decode_base64_digit(s->bytes[in]);

		if (digit < 0 && !strchr(" \t\r\n", s->bytes[in]))
			return fail_secret("no base64 in the secret", s->id);
		if (digit < 0)
			continue;
		bits = bits << 6 | (uint32_t)digit;
		n += 6;
		if (n >= 8) {
			n -= 8;
			s->bytes[out++] = (uint8_t)(bits >> n);
		}
	}
	s->len = out;
	return 0;
}

static int load_secret(const struct secret_words *w, struct secret_object *s)
{
	int r = 0;

	if (w->file)
		r = load_secret_file(w->file, s);
	else if (strlen(w->data) > QC_KEY_MAX)
		r = fail_secret("more than 64 KiB in the secret", s->id);
	else
		memcpy(s->bytes, w->data, s->len = strlen(w->data));
	if (!r && w->format && !strcmp(w->format, "base64"))
		r = decode_base64(s);
	return r;
}

/* ---- public ----------------------------------------------------------------------------- */

int secret_objects_add(struct secret_object **list, const char *text)
{
	struct secret_words words = { 0 };
	struct secret_object *s = calloc(1, sizeof(*s));
	char *copy = strdup(text);
	int r = s && copy ? read_secret_words(copy, &words) : -ENOMEM;

	if (!r) {
		s->id = strdup(words.id);
		s->bytes = qc_secure_alloc(QC_KEY_MAX);
		r = s->id && s->bytes ? load_secret(&words, s) : -ENOMEM;
	}
	if (r) {
		secret_objects_free(s);
	} else {
		s->next = *list;
		*list = s;
	}
	if (copy)
		explicit_bzero(copy, strlen(copy));
	free(copy);
	return r;
}

const struct secret_object *secret_objects_find(const struct secret_object *list, const char *id)
{
	while (list && strcmp(list->id, id) != 0)
		list = list->next;
	return list;
}

void secret_objects_free(struct secret_object *list)
{
	while (list) {
		struct secret_object *s = list;

		list = s->next;
		free(s->id);
		qc_secure_free(s->bytes);
		free(s);
	}
}
