/* SPDX-License-Identifier: MIT */
/*
 * external_file.h - opens the backing file and the data file that an image names.
 *
 * Called when a chain is opened.  The names come from the image and are hostile.  The user
 * decides which files they may reach (enum qc_refs).  Only regular files are opened, and with
 * QC_REFS_ANY block devices as backing files.  A name is always a path, never a URL or a list
 * of options as in QEMU.
 */
#ifndef QC_EXTERNAL_FILE_H
#define QC_EXTERNAL_FILE_H

#include "base/util.h"
#include "base/log.h"

/* The choice of the user, constant during the life of a context. */
struct qc_external_policy {
	enum qc_refs refs;
	struct qc_path_map *path_maps;
	size_t npath_maps;
};

/* An open file, and its directory, from which relative names in the file start. */
struct qc_file_location {
	int fd;
	int dirfd;
	char *dir;  /* absolute path of dirfd */
	char *name; /* of the file, in dir */
};

#define QC_FILE_LOCATION_NONE ((struct qc_file_location){ -1, -1, NULL, NULL })

/*
 * qc_open_external_file() - open a file that an image names, for reading
 * @what:  "backing file" or "data file", for messages
 * @from:  the image; relative names start at its directory
 * @out:   on failure QC_FILE_LOCATION_NONE
 *
 * Return: 0;
 *	-EACCES  the policy forbids it, or no regular file
 *	-ENOMEM
 *	else as open(2)
 */
qc_err qc_open_external_file(const struct qc_external_policy *policy, const char *what,
			     const struct qc_file_location *from, const char *name,
			     struct qc_file_location *out, struct qc_reason *why);

/*
 * qc_file_location_of() - open the file of a user again, for reading
 * @out:  on failure to be closed, too
 *
 * Makes an open file description, since locks belong to one.
 * Return: 0; -EMEDIUMTYPE neither a regular file nor a block device; -ENOMEM; as open(2)
 */
qc_err qc_file_location_of(const struct qc_image_location *src, struct qc_file_location *out,
			   struct qc_reason *why);

/* Closes and frees all; does nothing to QC_FILE_LOCATION_NONE. */
void qc_file_location_close(struct qc_file_location *p);

#endif
