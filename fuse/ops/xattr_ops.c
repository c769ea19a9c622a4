/* SPDX-License-Identifier: MIT */
/*
 * xattr_ops.c - extended attributes that say what a file is: user.qcowfs.NAME, read-only.
 *
 * Where there are extended attributes the kernel asks for security.capability before each write(2),
 * unless the file system takes that task (FUSE_HANDLE_KILLPRIV_V2).  The question would double the
 * time of small writes.  So a mount that can be written has extended attributes only where the
 * kernel offers that, since Linux 5.11.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/ops.h"

#define PREFIX "user.qcowfs."

enum { VALUE_MAX = 1024 }; /* a name of a backing file has at most 1023 bytes */

static const char *text_of_format(const struct node_info *f, char *buf)
{
	(void)buf;
	return f->format;
}

static const char *text_of_backing(const struct node_info *f, char *buf)
{
	(void)buf;
	return f->backing;
}

static const char *text_of_snapshot_id(const struct node_info *f, char *buf)
{
	(void)buf;
	return f->snapshot_id;
}

static const char *text_of_size(const struct node_info *f, char *buf)
{
	snprintf(buf, VALUE_MAX, "%" PRIu64, f->size);
	return f->has_size ? buf : NULL;
}

static const char *text_of_dirty_bytes(const struct node_info *f, char *buf)
{
	snprintf(buf, VALUE_MAX, "%" PRIu64, f->dirty_bytes);
	return f->has_dirty_bytes ? buf : NULL;
}

/* The function returns the value, which may be in `buf`; NULL: the file has no such attribute. */
static const struct {
	const char *name;
	const char *(*text)(const struct node_info *f, char *buf);
} attributes[] = {
	{ PREFIX "format", text_of_format },
	{ PREFIX "backing", text_of_backing },
	{ PREFIX "snapshot-id", text_of_snapshot_id },
	{ PREFIX "virtual-size", text_of_size },
	{ PREFIX "dirty-bytes", text_of_dirty_bytes },
};

enum { ATTRIBUTES = sizeof(attributes) / sizeof(attributes[0]) };

static void reply_value(fuse_req_t req, const void *value, size_t len, size_t room)
{
	if (!room)
		fuse_reply_xattr(req, len);
	else if (len > room)
		reply_err(req, -ERANGE);
	else
		fuse_reply_buf(req, value, len);
}

static size_t find_attribute(const char *name)
{
	size_t i = 0;

	while (i < ATTRIBUTES && strcmp(attributes[i].name, name))
		i++;
	return i;
}

bool op_getxattr_is_quick(fuse_req_t req, const char *name)
{
	return !server_of(req)->has_xattrs || find_attribute(name) == ATTRIBUTES;
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t room)
{
	struct server *s = server_of(req);
	size_t i = find_attribute(name);
	const char *text = NULL;
	struct node_info f;
	char buf[VALUE_MAX];
	int r;

	if (!s->has_xattrs || i == ATTRIBUTES) {
		/* After ENOSYS the kernel does not ask again, for any name. */
		reply_err(req, s->has_xattrs ? -ENODATA : -ENOSYS);
		return;
	}
	r = tree_get_info(s->tree, node_of(req, ino), &f);
	if (!r)
		text = attributes[i].text(&f, buf);
	if (text)
		reply_value(req, text, strlen(text), room);
	else
		reply_err(req, r ? r : -ENODATA);
	node_info_free(&f);
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t room)
{
	struct server *s = server_of(req);
	char list[ATTRIBUTES * 40], buf[VALUE_MAX];
	struct node_info f;
	size_t len = 0;
	int r;

	if (!s->has_xattrs) {
		reply_err(req, -ENOSYS);
		return;
	}
	r = tree_get_info(s->tree, node_of(req, ino), &f);
	for (size_t i = 0; !r && i < ATTRIBUTES; i++)
		if (attributes[i].text(&f, buf))
			len += (size_t)snprintf(list + len, sizeof(list) - len, "%s",
						attributes[i].name) + 1;
	if (r)
		reply_err(req, r);
	else
		reply_value(req, list, len, room);
	node_info_free(&f);
}
