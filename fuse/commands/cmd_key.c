/* SPDX-License-Identifier: MIT */
/*
 * cmd_key.c - qcowfs key: list, add and remove the passphrases of an image encrypted with LUKS.
 */
#include "commands/commands.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cli/option_values.h"
#include "commands/common.h"
#include "commands/interrupt.h"
#include "commands/key_list.h"
#include "keys/new_passphrase.h"

enum { SLOT = 256, NEW_KEY_FILE, NEW_KEY_FD, ITER_TIME, FORCE };

struct key_args {
	int slot; /* -1: none was given */
	const char *new_key_file;
	int new_key_fd;
	unsigned int iter_time_ms;
	bool force;
};

static int parse_key_number(const char *text, unsigned int most, int *to)
{
	unsigned long long n;
	int r = option_value_number(text, most, false, &n);

	*to = r ? *to : (int)n;
	return r;
}

static int set_key_option(void *to, int id, const char *value)
{
	struct key_args *a = to;
	int n = 0;

	if (id == NEW_KEY_FILE)
		a->new_key_file = value;
	a->force = a->force || id == FORCE;
	if (id == SLOT)
		return parse_key_number(value, QC_KEY_SLOTS - 1, &a->slot);
	if (id == NEW_KEY_FD)
		return parse_key_number(value, INT_MAX, &a->new_key_fd);
	if (id == ITER_TIME && (parse_key_number(value, INT_MAX, &n) || !n))
		return -EINVAL;
	a->iter_time_ms = id == ITER_TIME ? (unsigned int)n : a->iter_time_ms;
	return 0;
}

static const struct command_option key_options[] = {
	{ SLOT, "slot", "N", "the key slot, 0 to 7 (add: the first that is free)" },
	{ NEW_KEY_FILE, "new-key-file", "PATH", "the new passphrase, to the end of the file" },
	{ NEW_KEY_FD, "new-key-fd", "N", "the same, from a descriptor that is open" },
	{ ITER_TIME, "iter-time", "MS", "how long a try of the new passphrase takes here (2000)" },
	{ FORCE, "force", NULL, "remove the last key, too: all data is lost then" },
	{ 0 },
};

static const struct command_spec spec = {
	.name = "key",
	.summary = "Lists, adds or removes passphrases of an image that is encrypted with LUKS",
	.operands = "list|add|remove IMAGE",
	.min_operands = 2,
	.max_operands = 2,
	.has_json = true,
	.options = key_options,
	.set = set_key_option,
};

static qc_err add_new_key(struct command *c, const struct key_args *a, struct qc_image *img,
			  struct qc_reason *why)
{
	uint8_t *pass = qc_secure_alloc(QC_KEY_MAX);
	struct qc_new_key key = { .slot = a->slot, .iter_time_ms = a->iter_time_ms,
				  .passphrase = pass };
	unsigned int slot;
	qc_err r = pass ? new_passphrase_get(a->new_key_file, a->new_key_fd, pass, QC_KEY_MAX,
					     &key.len) : -ENOMEM;

	interrupt_catch(); /* a key slot is written whole: that takes a few seconds */
	if (!r)
		r = qc_key_add(img, &key, &slot, why);
	if (!r && !c->quiet)
		printf("Key slot %u added.\n", slot);
	qc_secure_free(pass);
	return r;
}

/* Removes one slot, or all those that the passphrase of the user opens. */
static qc_err remove_keys(struct command *c, const struct key_args *a, struct qc_image *img,
			  struct qc_reason *why)
{
	uint8_t *pass = qc_secure_alloc(QC_KEY_MAX);
	unsigned int slots = a->slot < 0 ? 0 : 1U << a->slot;
	size_t n = 0;
	qc_err r = pass ? 0 : -ENOMEM;

	key_source_end_prompting(&c->keys); /* finds the passphrase that was typed */
	if (!r && !slots)
		r = command_get_key(c, qc_layer_path(img, 0), NULL, pass, QC_KEY_MAX, &n);
	if (!r && !slots)
		r = qc_key_find(img, pass, n, &slots, why);
	interrupt_catch();
	if (!r)
		r = qc_key_remove(img, slots, a->force, why);
	for (unsigned int i = 0; !r && !c->quiet && i < QC_KEY_SLOTS; i++)
		if (slots & 1U << i)
			printf("Key slot %u removed.\n", i);
	qc_secure_free(pass);
	return r;
}

static int change_keys(struct command *c, const struct key_args *a, bool add)
{
	struct qc_reason why = { 0 };
	struct qc_image *img;
	int status = command_open(c, c->operand[1], QC_OPEN_WRITE | QC_OPEN_NO_BACKING, &img);
	qc_err r;

	if (status != COMMAND_OK)
		return status;
	r = add ? add_new_key(c, a, img, &why) : remove_keys(c, a, img, &why);
	qc_close(img);
	if (r == -ECANCELED)
		return COMMAND_FAILED;
	return r ? command_fail(c->operand[1], r, &why) : COMMAND_OK;
}

int cmd_key(int argc, char **argv)
{
	struct key_args a = { .slot = QC_KEY_SLOT_ANY, .new_key_fd = -1 };
	struct command c;
	int status = command_begin(&c, &spec, &a, argc, argv);

	if (status == COMMAND_RUN && !strcmp(c.operand[0], "list"))
		status = key_list_print(&c, c.operand[1], c.json);
	else if (status == COMMAND_RUN && (!strcmp(c.operand[0], "add") || !strcmp(c.operand[0], "remove")))
		status = change_keys(&c, &a, *c.operand[0] == 'a');
	else if (status == COMMAND_RUN)
		status = command_fail(c.operand[0], 0, &(struct qc_reason){ .text = "unknown action "
				      "(list, add and remove are known)" });
	return command_end(&c, status);
}
