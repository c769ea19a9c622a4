/* SPDX-License-Identifier: MIT */
#include "commands/command_help.h"

#include <stdio.h>

enum { KEY_FILE = COMMAND_IMAGE_OPTS + 1, KEY_FD, BACKING, BACKING_MAP, LOCKING, DATA_FILE };

const struct command_option command_shared_options[] = {
	{ 'h', "help", NULL, "print this" },
	{ 'p', NULL, NULL, "show progress" },
	{ 'q', NULL, NULL, "print nothing but errors" },
	{ 'U', "force-share", NULL, "the same as --locking=share" },
	{ 'f', "format", "raw|qcow|qcow2", "format of the image (found by its first bytes)" },
	{ 't', NULL, "CACHE", "accepted as by qemu-img, and ignored" },
	{ 'T', NULL, "CACHE", "the same" },
	{ COMMAND_IMAGE_OPTS, "image-opts", NULL,
	  "an image is driver=qcow2,file.filename=PATH,encrypt.key-secret=ID" },
	{ COMMAND_OBJECT, "object", "secret,id=ID,file=PATH", "a passphrase, as qemu-img takes it" },
	{ KEY_FILE, "key-file", "PATH", "the passphrase of encrypted images, to the end of the file" },
	{ KEY_FD, "key-fd", "N", "the same, from a descriptor that is open" },
	{ BACKING, "backing", "samedir|any|none",
	  "which backing and data files an image may name (samedir)" },
	{ DATA_FILE, "data-file", "NAME[=PATH]", "the external data file that may be written" },
	{ BACKING_MAP, "backing-map", "OLD:NEW", "look for backing files below NEW instead of OLD" },
	{ LOCKING, "locking", "on|off|share",
	  "keep off images that QEMU uses; share: read a live one (on)" },
	{ 0 },
};

const struct command_option command_json_options[] = {
	{ COMMAND_JSON, "json", NULL, "the same as --output=json" },
	{ COMMAND_OUTPUT, "output", "human|json", "how it is shown (human)" },
	{ 0 },
};

static void print_options(const struct command_option *o)
{
	for (; o->id; o++) {
		char left[64], letter[5] = "";

		if (o->id < 256)
			snprintf(letter, sizeof(letter), "-%c%s", o->id, o->name ? ", " : "");
		snprintf(left, sizeof(left), "%s%s%s%s%s", letter, o->name ? "--" : "",
			 o->name ? o->name : "", o->arg ? (o->name ? "=" : " ") : "",
			 o->arg ? o->arg : "");
		printf("    %-30s %s\n", left, o->help);
	}
}

void command_print_help(const struct command_spec *spec)
{
	printf("usage: qcowfs %s [options] %s\n\n%s.\n\n", spec->name, spec->operands, spec->summary);
	print_options(spec->options);
	if (spec->has_json)
		print_options(command_json_options);
	printf("\nOptions of all commands:\n\n");
	print_options(command_shared_options);
}
