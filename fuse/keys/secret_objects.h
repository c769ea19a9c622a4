/* SPDX-License-Identifier: MIT */
/*
 * secret_objects.h - passphrases as QEMU's programs take them: --object secret,id=ID,file=PATH.
 */
#ifndef SECRET_OBJECTS_H
#define SECRET_OBJECTS_H

#include <stddef.h>
#include <stdint.h>

struct secret_object {
	struct secret_object *next;
	char *id;
	uint8_t *bytes; /* secure memory */
	size_t len;
};

/*
 * secret_objects_add() - read one secret
 * @text:  "secret,id=ID" with data=TEXT or file=PATH, and perhaps format=raw or format=base64
 *
 * A secret that is encrypted with another one (keyid) is refused.
 * Return: 0; -errno after a message
 */
int secret_objects_add(struct secret_object **list, const char *text);

/* Return: NULL: no secret has this id */
const struct secret_object *secret_objects_find(const struct secret_object *list, const char *id);
void secret_objects_free(struct secret_object *list);

#endif
