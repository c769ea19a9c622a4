/* SPDX-License-Identifier: MIT */
#include "tree/file_owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tree/name.h"
#include "tree/node.h"
#include "tree/tree_fields.h"

/* Opens the file of a node, without access to its content.  Returns a descriptor; -errno. */
static int open_file_of_node(struct tree *t, struct node *n)
{
	struct identity id;
	struct stat st;
	char *path;
	int fd;

	path = n->is_dir ? name_path_of_dir(t, n) : name_path_of_image(t, n, 0);
	fd = path ? source_open_path(t->src, path, O_PATH) : -ESTALE;
	free(path);
	if (fd < 0 || n->is_dir)
		return fd;
	id.dev = 0;
	if (!fstat(fd, &st))
		id = identity_of(&st);
	if (id.dev && identity_same_file(&id, &n->image.id))
		return fd;
	close(fd);
	return -ESTALE;
}

int file_owner_set(struct tree *t, struct node *n, const struct tree_maker *to)
{
	bool owner = to->uid != (uid_t)-1 || to->gid != (gid_t)-1, mode = to->mode != (mode_t)-1;
	char path[40];
	int fd, r = 0;

	if (!owner && !mode)
		return 0;
	if (t->config.ro)
		return -EROFS;
	if (!tree_makes_files(t) || n->origin != n)
		return -EPERM;
	fd = open_file_of_node(t, n);
	if (fd < 0)
		return fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (owner && fchownat(fd, "", to->uid, to->gid, AT_EMPTY_PATH))
		r = -errno;
	if (!r && mode && fchmodat(AT_FDCWD, path, to->mode & 07777, 0))
		r = -errno;
	close(fd);
	return r;
}
