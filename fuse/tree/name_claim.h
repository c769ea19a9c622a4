/* SPDX-License-Identifier: MIT */
/* name_claim.h - give a name of the mount to a new file of SOURCE.  Call with tree.lock held. */
#ifndef NAME_CLAIM_H
#define NAME_CLAIM_H

#include "tree/identity.h"

struct name;
struct node;
struct tree;

/*
 * name_claim_check() - find out if a name can lead to a new file
 * @shown:  name in the mount
 * @file:   name of the image file, which is shown under that name
 *
 * Return: 0; -EEXIST the name is in use; -EPERM something else has it, or the file.
 */
int name_claim_check(const struct node *dir, const char *shown, const char *file);

/* Lets the name lead to the file, which exists now.  The check was successful, and dir.lock was held
 * since.  Return: 0; -ENOMEM. */
int name_claim(struct tree *t, struct node *dir, const char *shown, const char *file,
	       const struct identity *id, struct name **out);

#endif
