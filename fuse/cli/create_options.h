/* SPDX-License-Identifier: MIT */
/*
 * create_options.h - options of a new image, as qemu-img writes them: "cluster_size=2M,compat=0.10".
 */
#ifndef CREATE_OPTIONS_H
#define CREATE_OPTIONS_H

#include "qcow_create.h"

enum preallocation { PREALLOC_OFF, PREALLOC_METADATA, PREALLOC_FALLOC, PREALLOC_FULL };

struct create_options {
	struct qc_create_options o; /* its texts point into `text` */
	enum preallocation preallocation;
	/* By the options "size", "encryption" and "preallocation". */
	bool has_size, encryption_on, has_preallocation;
	const char *key_secret; /* id of the secret object with the passphrase; NULL: not given */
	char *text; /* copies of all lists */
};

enum { CREATE_OPTIONS_HELP = 1 };

/*
 * create_options_add() - read a list of options; a later one overrides an earlier one
 * @separator: between two options: ',' on command lines, ':' in mount options
 *
 * Return: 0; -EINVAL after a message that names the option; -ENOMEM; CREATE_OPTIONS_HELP: the list
 * has "help" or "?", and the options are printed
 */
int create_options_add(struct create_options *c, const char *list, char separator);

void create_options_free(struct create_options *c);

/* Prints the line that qemu-img prints for a new image. */
void create_options_print_formatting(const struct create_options *c, const char *path);

/* Ends the first word of a list at its separator and returns the rest, or NULL.  A comma that is
 * doubled belongs to the word, as in qemu-img. */
char *create_options_cut(char *list, char separator);

/* Reads a size such as 4096, 64k or 1.5G, in bytes.  Return: 0; -EINVAL */
int create_options_size(const char *text, uint64_t *out);

/* Reads other values: a number that is written as a size; 0.10, 1.1, v2 or v3, as 2 or 3; on,
 * off, yes, no, true or false.  Return: 0; -EINVAL */
int create_options_number(const char *text, unsigned int *out);
int create_options_version(const char *text, unsigned int *out);
int create_options_switch(const char *text, bool *out);

#endif
