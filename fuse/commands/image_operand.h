/* SPDX-License-Identifier: MIT */
/*
 * image_operand.h - the name of an image, in all ways in which qemu-img takes it.
 *
 * A path; a json: or file: name; and with --image-opts a list such as
 * driver=qcow2,file.filename=vm.qcow2,encrypt.key-secret=sec0.  Only whole local files are known.
 */
#ifndef IMAGE_OPERAND_H
#define IMAGE_OPERAND_H

#include <stdbool.h>

struct image_operand {
	char *path;
	char *format; /* "raw", "qcow", "qcow2"; NULL: not given */
	char *secret; /* id of the secret object with the passphrase; NULL: not given */
	bool share;   /* force-share=on */
};

/*
 * image_operand_parse() - find out which file a name means
 * @image_opts:  the name is a list of options
 * @out:         for image_operand_free(), also after a failure
 *
 * Return: 0; -errno after a message
 */
int image_operand_parse(const char *name, bool image_opts, struct image_operand *out);
void image_operand_free(struct image_operand *o);

#endif
