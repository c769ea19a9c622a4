/* SPDX-License-Identifier: MIT */
/*
 * external_file.h - the files that an image names: its backing file, its data file.
 *
 * The names come out of the image and are hostile.  What they may reach is the
 * user's choice (enum qc_refs); that it is a regular file is known before it is
 * opened; and a name is a path, never a URL or an option list.
 */
#ifndef QC_EXTERNAL_FILE_H
#define QC_EXTERNAL_FILE_H

#include "base/util.h"
#include "base/log.h"

/* What the user allows, for the life of a context. */
struct qc_external_policy {
	enum qc_refs refs;
	struct qc_path_map *path_maps;
	size_t npath_maps;
};

/* A file, and its folder, from which the names in it start. */
struct qc_file_location {
	int fd;
	int dirfd;
	char *dir;  /* absolute path */
	char *name; /* within dir */
};

#define QC_FILE_LOCATION_NONE ((struct qc_file_location){ -1, -1, NULL, NULL })

/* Opens for reading the file that the image at `from` calls `name`.  `what` is
 * the word for it in messages. */
qc_err qc_open_external_file(const struct qc_external_policy *policy, const char *what,
		const struct qc_file_location *from, const char *name, struct qc_file_location *out,
		struct qc_reason *why);

/* Closes both descriptors and frees both names; harmless on QC_FILE_LOCATION_NONE. */
void qc_file_location_close(struct qc_file_location *p);

#endif
